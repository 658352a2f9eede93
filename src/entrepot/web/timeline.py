"""One list of what happened to a connection or an order, out of what several rooms wrote down. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from entrepot.identity.facade import AuditEntry
from entrepot.orders.reading import OrderEventView
from entrepot.stock.reading import MovementAbout
from entrepot.sync.reading import HealthView, RunView
from entrepot.web import formats

MOST = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    tone: str
    text: str
    detail: str = ""


def timeline_of(health: Iterable[HealthView], audit: Iterable[AuditEntry], runs: Iterable[RunView]) -> list[Entry]:
    """Return the entries, newest first; of readings only those where the status changed."""
    entries: list[Entry] = []
    readings = list(health)
    for reading, older in zip_longest(readings, readings[1:]):
        if older is None or older.status != reading.status:
            tone, word = formats.tone(reading.status), formats.word(reading.status)
            entries.append(Entry(reading.at, tone, word, reading.reason))
    entries += [Entry(line.at, "info", f"{audit_text(line.action)} by {line.actor_name}") for line in audit]
    for run in runs:
        detail = run.error or (f"{formats.number(run.done)} done" if run.finished_at else "")
        text = f"{formats.word(run.kind)}: {formats.word(run.state).lower()}"
        entries.append(Entry(run.started_at, formats.tone(run.state), text, detail))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:MOST]


def order_timeline(events: Iterable[OrderEventView], movements: Iterable[MovementAbout]) -> list[Entry]:
    """Return what happened to an order and to the stock because of it, newest first."""
    entries = [
        Entry(e.at, _EVENT_TONES.get(e.kind, "info"), e.summary, str(e.detail.get("status") or "")) for e in events
    ]
    entries += [Entry(m.at, "muted", _moved(m), f"{m.location}{', ' if m.reason else ''}{m.reason}") for m in movements]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


_EVENT_TONES = {"exception": "bad", "short": "bad", "cancelled": "warn", "shipped": "ok"}


def _moved(movement: MovementAbout) -> str:
    units = abs(movement.on_hand_delta or movement.reserved_delta)
    return f"{formats.word(movement.kind)}: {formats.number(units)} of {movement.sku}"


def audit_text(action: str) -> str:
    """Return an action of the audit log as words: `connection.pause` becomes `Connection: pause`."""
    subject, _, verb = action.partition(".")
    return f"{formats.word(subject)}: {verb.replace('_', ' ')}" if verb else formats.word(action)
