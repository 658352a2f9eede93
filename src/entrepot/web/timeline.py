"""One list of what happened to a connection, out of health readings, the audit log and sync runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from entrepot.identity.facade import AuditEntry
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
    for reading, older in zip(readings, [*readings[1:], None], strict=True):
        if older is None or older.status != reading.status:
            tone, word = formats.tone(reading.status), formats.word(reading.status)
            entries.append(Entry(reading.at, tone, word, reading.reason))
    entries += [Entry(line.at, "info", f"{audit_text(line.action)} by {line.actor_name}") for line in audit]
    for run in runs:
        detail = run.error or (f"{formats.number(run.done)} done" if run.finished_at else "")
        text = f"{formats.word(run.kind)}: {formats.word(run.state).lower()}"
        entries.append(Entry(run.started_at, formats.tone(run.state), text, detail))
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:MOST]


def audit_text(action: str) -> str:
    """Return an action of the audit log as words: `connection.pause` becomes `Connection: pause`."""
    subject, _, verb = action.partition(".")
    return f"{formats.word(subject)}: {verb.replace('_', ' ')}" if verb else formats.word(action)
