"""From read models to patches of cells. Pure.

A patch is {key: value}; a page marks the cell of a key with `data-live="key"`. The value is text, or an object
with `t` (text), `tone`, `at` (time for a running "ago"), `v` and `max` (a progress bar).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from entrepot.orders.reading import OrderRow
from entrepot.stock.reading import RecentMovement, StockRow
from entrepot.sync.reading import ChannelOverview, ListingCell, RunView
from entrepot.web import formats
from entrepot.web.needs import Needs

Patch = dict[str, Any]

ATTENTION = (
    "orders",
    "shortages",
    "listings",
    "connections",
    "inbox",
    "shipments",
    "jobs",
    "matching",
    "first",
    "tasks",
)


def cell_text(cell: ListingCell) -> str:
    """Return what a listing shows, and what it should if that is another number: `12` or `12 → 9`.

    It shows what was acknowledged less the sales there that we know of.
    """
    shows = cell.published if cell.expected is None else cell.expected
    if cell.desired is not None and cell.desired != shows:
        return f"{formats.number(shows)} → {formats.number(cell.desired)}"
    return formats.number(shows)


def cell_patch(cell: ListingCell) -> Patch:
    """Return the patch of one listing's cell."""
    return {
        f"cell:{cell.listing_id}": cell_text(cell),
        f"mark:{cell.listing_id}": {"t": formats.word(cell.badge), "tone": formats.tone(cell.badge)},
    }


def stock_patch(row: StockRow) -> Patch:
    """Return the patch of one variant's stock."""
    return {
        f"on_hand:{row.variant_id}": formats.number(row.on_hand),
        f"reserved:{row.variant_id}": formats.number(row.reserved + row.held),
        f"ats:{row.variant_id}": {"t": formats.number(row.ats), "tone": "bad" if row.ats <= 0 else ""},
    }


def attention_patch(needs: Needs) -> Patch:
    """Return the patch of the counts of what needs a person."""
    patch: Patch = {f"needs:{name}": formats.number(getattr(needs, name)) for name in ATTENTION}
    patch["needs:total"] = formats.number(needs.total) if needs.total else ""
    patch["needs:connections_nav"] = f"{needs.connections} down" if needs.connections else ""
    patch["needs:conflicts_nav"] = formats.number(needs.conflicts) if needs.conflicts else ""
    patch["needs:tasks_nav"] = formats.number(needs.tasks) if needs.tasks else ""
    patch["needs:jobs_nav"] = f"{needs.jobs} failed" if needs.jobs else ""
    return patch


def channel_patch(row: ChannelOverview, orders_24h: int) -> Patch:
    """Return the patch of a connection's row."""
    return {
        f"health:{row.id}": {"t": formats.word(row.condition), "tone": formats.tone(row.condition)},
        f"pulled:{row.id}": {"at": row.pulled_at.isoformat() if row.pulled_at else None},
        f"orders24:{row.id}": formats.number(orders_24h),
        f"queue:{row.id}": formats.number(row.queue),
        f"trouble:{row.id}": formats.number(row.trouble),
    }


def totals_patch(rows: Iterable[ChannelOverview], orders_24h: Mapping[Any, int], hour: int) -> Patch:
    """Return the patch of the figures at the top of the first page."""
    rows = tuple(rows)
    matched, behind = sum(row.matched for row in rows), sum(row.waiting + row.trouble for row in rows)
    return {
        "total:orders_24h": formats.number(sum(orders_24h.values())),
        "total:orders_hour": formats.number(hour),
        "total:in_step": formats.number(max(0, matched - behind)),
        "total:listings": formats.number(matched),
        "total:waiting": formats.number(sum(row.queue for row in rows)),
    }


def run_text(run: RunView) -> str:
    """Return how far a run is: `6,201 of 10,000`."""
    if run.expected_total is None:
        return formats.number(run.done)
    return f"{formats.number(run.done)} of {formats.number(run.expected_total)}"


def run_counts(run: RunView) -> str:
    """Return what a run found: `1 created, 16 unchanged`; nothing is left out but zeros."""
    counts = {str(name): value for name, value in run.counts.items() if isinstance(value, int) and value}
    return ", ".join(f"{formats.number(value)} {name.replace('_', ' ')}" for name, value in counts.items())


def run_note(run: RunView, now: datetime) -> str:
    """Return a run's pace and what is left, such as `118/s, about 32 s left`."""
    if run.state != "running":
        return run.error or run_counts(run) or formats.word(run.state)
    if run.cancel_requested:
        return "Stopping"
    elapsed = max(1.0, (now - run.started_at).total_seconds())
    pace = run.done / elapsed
    text = f"{pace:,.0f}/s" if pace >= 10 else f"{pace:.1f}/s"
    if run.expected_total and pace > 0 and run.expected_total > run.done:
        left = int((run.expected_total - run.done) / pace)
        amount = f"{left} s" if left < 90 else f"{left // 60} min" if left < 5400 else f"{left // 3600} h"
        text += f", about {amount} left"
    return text


def run_patch(run: RunView, now: datetime) -> Patch:
    """Return the patch of a run's row."""
    return {
        f"run:{run.id}": run_text(run),
        f"run-note:{run.id}": run_note(run, now),
        f"run-state:{run.id}": {"t": formats.word(run.state), "tone": formats.tone(run.state)},
        f"run-bar:{run.id}": {"v": min(run.done, run.expected_total or run.done), "max": run.expected_total or 0},
    }


def order_word(row: OrderRow) -> str:
    """Return an order's state in a word: what is wrong with it first."""
    if row.has_exception:
        return "Exception"
    return "Short" if row.has_shortage else formats.word(row.status)


def order_item(row: OrderRow) -> dict[str, Any]:
    """Return what the live list of orders shows of an order."""
    return {
        "id": str(row.id),
        "href": f"/orders/{row.id}",
        "number": row.number,
        "channel": row.connection_name,
        "units": formats.number(row.units),
        "total": formats.money(row.total_minor, row.currency),
        "status": order_word(row),
        "tone": "bad" if row.has_exception or row.has_shortage else formats.tone(row.status),
        "at": row.received_at.isoformat(),
    }


def movement_item(row: RecentMovement) -> dict[str, Any]:
    """Return what the live list of movements shows of one ledger line."""
    change = row.on_hand_delta if row.on_hand_delta else -row.reserved_delta - row.held_delta
    return {
        "id": str(row.id),
        "href": f"/stock/{row.variant_id}",
        "sku": row.sku,
        "kind": formats.word(row.kind),
        "change": formats.signed(change),
        "after": formats.number(row.on_hand_after - row.reserved_after),
        "at": row.at.isoformat(),
    }
