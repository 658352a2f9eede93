"""What pages and the HTTP interface read of conflicts and policies. Select statements only; lists are paged by key."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.money import to_decimal
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of
from entrepot.sync.conflicts import ConflictNotFound
from entrepot.sync.merge.fields import FIELDS
from entrepot.sync.merge.policies import sum_of_deltas
from entrepot.sync.merge.values import EMPTY, FieldKind, Value

STATES = ("open", "resolved")
KINDS = ("oversell", "duplicate_sale", "stock", "price", "content")


@dataclass(frozen=True, slots=True)
class ConflictFilter:
    """Which conflicts: every field narrows."""

    state: str = "open"
    kind: str | None = None
    field: str | None = None
    connection_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A conflict. `sku` and `title` of what it is about, where that is one thing; `connection` the channel's name."""

    id: UUID
    kind: str
    state: str
    field: str
    why: str
    subject_id: UUID
    connection_id: UUID | None
    connection: str | None
    variant_id: UUID | None
    sku: str | None
    title: str | None
    base: Value
    ours: Value
    theirs: Value
    ours_by: str
    ours_at: datetime | None
    theirs_at: datetime | None
    suggestion: dict[str, Any] | None
    risk: int
    history: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    resolution: dict[str, Any] | None
    undoable: bool
    """Whether it may still be undone."""

    @property
    def result(self) -> Value:
        """What a person is advised, or the sum of both changes where these are quantities; None if nothing is advised."""
        if self.kind == "stock":
            return sum_of_deltas(FieldKind.NUMBER, self.base, self.ours, self.theirs)
        return self.suggestion["value"] if self.suggestion else None


@dataclass(frozen=True, slots=True)
class Group:
    """Open conflicts of one kind, field and connection. `risk`: the highest of them."""

    kind: str
    field: str
    connection_id: UUID | None
    connection: str | None
    count: int
    risk: int


_COLUMNS = """c.id, c.kind, c.state, c.field, c.why, c.subject_id, c.connection_id, n.name as connection, c.variant_id, v.sku,
    p.title, c.base, c.ours, c.theirs, c.ours_by, c.ours_at, c.theirs_at, c.suggestion, c.risk, c.history, c.created_at,
    c.updated_at, c.resolved_at, c.resolved_by, c.resolution, c.undo is not null and c.state = 'resolved' as undoable"""
_FROM = """conflict c
    left join connection n on n.organisation_id = $1 and n.id = c.connection_id
    left join variant v on v.organisation_id = $1 and v.id = c.variant_id
    left join product p on p.organisation_id = $1 and p.id = v.product_id"""


async def list_conflicts(
    tx: Tx, chosen: ConflictFilter, cursor: str | None = None, limit: int = 50
) -> Slice[ConflictView]:
    """Return conflicts, the riskiest first (resolved ones: the last decided first). Raises InvalidCursor."""
    limit = bounded(limit)
    is_open = chosen.state == "open"
    after = decode_cursor(cursor, int, UUID) if is_open else decode_cursor(cursor, datetime, UUID)
    args: list[Any] = [tx.organisation, chosen.state]
    where = ["c.organisation_id = $1", "c.state = $2"]
    for column, value in (("kind", chosen.kind), ("field", chosen.field), ("connection_id", chosen.connection_id)):
        if value is not None:
            args.append(value)
            where.append(f"c.{column} = ${len(args)}")
    order = "c.risk desc, c.id desc" if is_open else "c.resolved_at desc, c.id desc"
    if after:
        args += after
        where.append(f"({'c.risk' if is_open else 'c.resolved_at'}, c.id) < (${len(args) - 1}, ${len(args)})")
    args.append(limit + 1)
    rows = await tx.fetch(
        f"with c as materialized (select * from conflict c where {' and '.join(where)} order by {order} limit ${len(args)})"
        f" select {_COLUMNS} from {_FROM.replace('conflict c', 'c', 1)} order by {order}",
        *args,
    )
    items = [ConflictView(**dict(row)) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    key: tuple[Any, ...] | None = None
    if last is not None:
        key = (last.risk, last.id) if is_open else (last.resolved_at, last.id)
    return slice_of(items, limit, key)


async def conflict_detail(tx: Tx, conflict_id: UUID) -> ConflictView:
    """Return one conflict. Raises ConflictNotFound."""
    row = await tx.fetch_row(
        f"select {_COLUMNS} from {_FROM} where c.organisation_id = $1 and c.id = $2", tx.organisation, conflict_id
    )
    if row is None:
        raise ConflictNotFound
    return ConflictView(**dict(row))


async def groups(tx: Tx) -> tuple[Group, ...]:
    """Return how many conflicts are open by kind, field and connection, the riskiest first."""
    rows = await tx.fetch(
        """
        select c.kind, c.field, c.connection_id, n.name as connection, count(*) as count, max(c.risk) as risk
        from conflict c left join connection n on n.organisation_id = $1 and n.id = c.connection_id
        where c.organisation_id = $1 and c.state = 'open'
        group by 1, 2, 3, 4 order by risk desc, count desc, 1, 2, 4
        """,
        tx.organisation,
    )
    return tuple(Group(**dict(row)) for row in rows)


async def beside(tx: Tx, view: ConflictView, chosen: ConflictFilter) -> tuple[UUID | None, UUID | None]:
    """Return the open conflicts before and after this one in the list that was chosen."""
    found: list[UUID | None] = []
    for compare, order in ((">", "asc"), ("<", "desc")):
        found.append(
            await tx.fetch_value(
                f"select id from conflict where organisation_id = $1 and state = 'open' and (risk, id) {compare} ($2, $3)"
                " and ($4::text is null or kind = $4) and ($5::text is null or field = $5)"
                f" and ($6::uuid is null or connection_id = $6) order by risk {order}, id {order} limit 1",
                tx.organisation,
                view.risk,
                view.id,
                chosen.kind,
                chosen.field,
                chosen.connection_id,
            )
        )
    return found[0], found[1]


async def count_similar(tx: Tx, view: ConflictView) -> int:
    """Return how many open conflicts are of the same kind, field, connection and cause, this one among them."""
    count: int = await tx.fetch_value(
        "select count(*) from conflict where organisation_id = $1 and state = 'open' and kind = $2 and field = $3"
        " and connection_id is not distinct from $4 and why = $5",
        tx.organisation,
        view.kind,
        view.field,
        view.connection_id,
        view.why,
    )
    return count


async def last_editor(tx: Tx, variant_id: UUID) -> str:
    """Return who changed the product of a variant last, as the audit log has it; empty if it does not."""
    name: str | None = await tx.fetch_value(
        "select a.actor_name from variant v join audit_log a on a.organisation_id = $1 and a.subject_kind = 'product'"
        " and a.subject_id = v.product_id::text and a.action like 'product.%'"
        " where v.organisation_id = $1 and v.id = $2 order by a.id desc limit 1",
        tx.organisation,
        variant_id,
    )
    return name or ""


# ---- words -----------------------------------------------------------------------------------------------

WHY = {
    "both_changed": "Both sides changed it since they last agreed.",
    "never_agreed": "The two differed when they first met.",
    "swing_in": "The channel changed it by more than the limit.",
    "swing_out": "It was changed here by more than the limit.",
    "stock": "The channel shows another quantity than expected, and no sale explains it.",
    "stock_swing": "The channel's quantity changed by more than the limit, and no sale explains it. Our stock is as it was.",
    "oversell": "More units were sold than there are.",
    "duplicate_sale": "Two channels report what looks like the same sale.",
}


def title_of(name: str) -> str:
    """Return a field's name for people."""
    return (
        FIELDS[name].title
        if name in FIELDS
        else {"quantity": "Quantity", "order": "Order", "units": "Units"}.get(name, name)
    )


def words_of(value: Value) -> str:
    """Return a value for people. Pure."""
    if value is None:
        return "–"
    if value == EMPTY:
        return "(empty)"
    if isinstance(value, dict):
        if "minor" in value:
            return f"{to_decimal(value['minor'], value['currency'])} {value['currency']}"
        return ", ".join(f"{name}: {chosen}" for name, chosen in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


CSV_MAX = 10_000
_HEAD = (
    "id", "kind", "state", "field", "connection", "sku", "title", "why", "base", "ours", "ours_by", "ours_at", "theirs",
    "theirs_at", "suggested", "reason", "risk", "created_at", "resolved_at", "resolved_by", "result",
)  # fmt: skip


async def csv_text(tx: Tx, chosen: ConflictFilter) -> str:
    """Return up to CSV_MAX conflicts of a list as a CSV file."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_HEAD)
    cursor: str | None = None
    left = CSV_MAX
    while left > 0:
        part = await list_conflicts(tx, chosen, cursor, min(200, left))
        writer.writerows([_plain(cell) for cell in _cells(view)] for view in part)
        cursor, left = part.next_cursor, left - len(part)
        if cursor is None:
            break
    return out.getvalue()


def _cells(v: ConflictView) -> list[str]:
    advice, end = v.suggestion or {}, v.resolution or {}
    return [
        str(v.id), v.kind, v.state, v.field, v.connection or "", v.sku or "", v.title or "", v.why, words_of(v.base),
        words_of(v.ours), v.ours_by, _at(v.ours_at), words_of(v.theirs), _at(v.theirs_at), words_of(advice.get("value")),
        str(advice.get("reason", "")), str(v.risk), _at(v.created_at), _at(v.resolved_at), v.resolved_by,
        words_of(end.get("value")),
    ]  # fmt: skip


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _at(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()
