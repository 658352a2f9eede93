"""What pages and the API read of transfers, counts, suppliers and purchase orders. Select statements only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor
from entrepot.stock.documents import DocumentNotFound
from entrepot.stock.reading_queues import paged
from entrepot.stock.suppliers import SupplierNotFound

TRANSFER_STATES = ("draft", "in_transit", "partly_received", "received", "cancelled")
PURCHASE_STATES = ("draft", "ordered", "partly_received", "received", "cancelled")
COUNT_STATES = ("open", "confirmed", "cancelled")


def _known(state: str, states: tuple[str, ...], word: str) -> str | None:
    if state and state not in states:
        raise InvalidInput(f"{state!r} is not a state of a {word}.")
    return state or None


@dataclass(frozen=True, slots=True)
class PaperLine:
    """Units of a variant on a transfer or purchase order. `received` counts the damaged ones too."""

    variant_id: UUID
    sku: str
    title: str
    quantity: int
    received: int
    damaged: int
    outstanding: int
    cost_minor: int | None = None


# ---- transfers -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer with its units."""

    id: UUID
    number: int
    state: str
    from_location_id: UUID
    from_location: str
    to_location_id: UUID
    to_location: str
    note: str
    actor: str
    created_at: datetime
    shipped_at: datetime | None
    closed_at: datetime | None
    lines: int
    units: int
    received: int
    outstanding: int


_TRANSFER = """
    select t.id, t.number, t.state, t.from_location_id, f.name as from_location, t.to_location_id, g.name as to_location,
           t.note, t.actor, t.created_at, t.shipped_at, t.closed_at, n.lines, n.units, n.received, n.outstanding
    from ({source}) t
    join location f on f.organisation_id = $1 and f.id = t.from_location_id
    join location g on g.organisation_id = $1 and g.id = t.to_location_id
    cross join lateral (
        select count(*) as lines, coalesce(sum(quantity), 0)::bigint as units,
               coalesce(sum(received), 0)::bigint as received, coalesce(sum(outstanding), 0)::bigint as outstanding
        from stock_transfer_line l where l.organisation_id = $1 and l.transfer_id = t.id) n
    order by t.id desc
"""
_PART = "select * from {table} where organisation_id = $1 and {state} and ($3::uuid is null or id < $3) order by id desc limit $4"
_ONE = "select * from {table} where organisation_id = $1 and id = $2"


def _part(table: str, state: str | None) -> str:
    # Two texts, so that a list of one state is read along its index and the whole list along the key.
    return _PART.format(table=table, state="state = $2" if state else "$2::text is null")


async def list_transfers(tx: Tx, state: str = "", cursor: str | None = None, limit: int = 50) -> Slice[TransferRow]:
    """Return transfers (in a state), newest first. Raises InvalidInput."""
    chosen, limit = _known(state, TRANSFER_STATES, "transfer"), bounded(limit)
    after = decode_cursor(cursor, UUID)
    sql = _TRANSFER.format(source=_part("stock_transfer", chosen))
    rows = await tx.fetch(sql, tx.organisation, chosen, after[0] if after else None, limit + 1)
    return paged(rows, TransferRow, limit, lambda row: (row.id,))


async def transfer(tx: Tx, id: UUID) -> tuple[TransferRow, tuple[PaperLine, ...]]:
    """Return a transfer with its lines by SKU. Raises DocumentNotFound."""
    row = await tx.fetch_row(_TRANSFER.format(source=_ONE.format(table="stock_transfer")), tx.organisation, id)
    if row is None:
        raise DocumentNotFound("There is no such transfer.")
    lines = await tx.fetch(
        """
        select l.variant_id, v.sku, p.title, l.quantity, l.received, l.damaged, l.outstanding
        from stock_transfer_line l
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        where l.organisation_id = $1 and l.transfer_id = $2 order by v.sku
        """,
        tx.organisation,
        id,
    )
    return TransferRow(**dict(row)), tuple(PaperLine(**dict(line)) for line in lines)


# ---- counts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CountRow:
    """A count sheet: how many of its SKUs are counted, how many of those differ."""

    id: UUID
    number: int
    state: str
    location_id: UUID
    location: str
    whole: bool
    note: str
    actor: str
    created_at: datetime
    closed_at: datetime | None
    lines: int
    counted: int
    differences: int


@dataclass(frozen=True, slots=True)
class CountLine:
    """A SKU on a sheet. `expected`: what the books said when it was counted; `applied`: by how much the level changed."""

    variant_id: UUID
    position: int
    sku: str
    title: str
    counted: int | None
    expected: int | None
    counted_by: str
    counted_at: datetime | None
    applied: int | None

    @property
    def difference(self) -> int | None:
        """What was counted less what the books said then."""
        return None if self.counted is None or self.expected is None else self.counted - self.expected


_COUNT = """
    select c.id, c.number, c.state, c.location_id, l.name as location, c.whole, c.note, c.actor, c.created_at, c.closed_at,
           n.lines, n.counted, n.differences
    from ({source}) c
    join location l on l.organisation_id = $1 and l.id = c.location_id
    cross join lateral (
        select count(*) as lines, count(counted) as counted,
               count(*) filter (where counted <> expected) as differences
        from stock_count_line s where s.organisation_id = $1 and s.count_id = c.id) n
    order by c.id desc
"""


async def list_counts(tx: Tx, state: str = "", cursor: str | None = None, limit: int = 50) -> Slice[CountRow]:
    """Return count sheets (in a state), newest first. Raises InvalidInput."""
    chosen, limit = _known(state, COUNT_STATES, "count"), bounded(limit)
    after = decode_cursor(cursor, UUID)
    sql = _COUNT.format(source=_part("stock_count", chosen))
    rows = await tx.fetch(sql, tx.organisation, chosen, after[0] if after else None, limit + 1)
    return paged(rows, CountRow, limit, lambda row: (row.id,))


async def count_sheet(tx: Tx, id: UUID) -> CountRow:
    """Return a count sheet. Raises DocumentNotFound."""
    row = await tx.fetch_row(_COUNT.format(source=_ONE.format(table="stock_count")), tx.organisation, id)
    if row is None:
        raise DocumentNotFound("There is no such count.")
    return CountRow(**dict(row))


async def count_lines(
    tx: Tx, id: UUID, only: str = "all", cursor: str | None = None, limit: int = 50
) -> Slice[CountLine]:
    """Return the lines of a sheet in its order: `all`, those still `uncounted`, or the `differences`."""
    conditions = {"all": "true", "uncounted": "l.counted is null", "differences": "l.counted <> l.expected"}
    if only not in conditions:
        raise InvalidInput(f"{only!r} is not a part of a count.")
    limit = bounded(limit)
    after = decode_cursor(cursor, int)
    rows = await tx.fetch(
        f"""
        select l.variant_id, l.position, v.sku, p.title, l.counted, l.expected, l.counted_by, l.counted_at, l.applied
        from (select * from stock_count_line l where l.organisation_id = $1 and l.count_id = $2
              and {conditions[only]} and l.position > $3 order by l.position limit $4) l
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        order by l.position
        """,
        tx.organisation,
        id,
        after[0] if after else 0,
        limit + 1,
    )
    return paged(rows, CountLine, limit, lambda row: (row.position,))


# ---- suppliers -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SupplierRow:
    """Who sells to us. `skus`: of how many variants."""

    id: UUID
    name: str
    email: str
    currency: str
    lead_time_days: int
    note: str
    active: bool
    skus: int
    open_orders: int


@dataclass(frozen=True, slots=True)
class OfferRow:
    """What a supplier sells. Money in minor units of the supplier's currency."""

    variant_id: UUID
    sku: str
    title: str
    supplier_sku: str
    cost_minor: int | None
    lead_time_days: int | None
    pack_units: int
    minimum_units: int
    preferred: bool


_SUPPLIER = """
    select s.id, s.name, s.email, s.currency, s.lead_time_days, s.note, s.active,
           (select count(*) from supplier_variant v where v.organisation_id = $1 and v.supplier_id = s.id) as skus,
           (select count(*) from purchase_order o where o.organisation_id = $1 and o.supplier_id = s.id
            and o.state in ('ordered', 'partly_received')) as open_orders
    from supplier s where s.organisation_id = $1
"""


async def list_suppliers(tx: Tx, search: str = "", cursor: str | None = None, limit: int = 50) -> Slice[SupplierRow]:
    """Return suppliers by name, or those whose name begins so."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str)
    rows = await tx.fetch(
        f"{_SUPPLIER} and ($2::text is null or s.name > $2) and lower(s.name) ^@ lower($3) order by s.name limit $4",
        tx.organisation,
        after[0] if after else None,
        search.strip(),
        limit + 1,
    )
    return paged(rows, SupplierRow, limit, lambda row: (row.name,))


async def supplier(tx: Tx, id: UUID) -> SupplierRow:
    """Return a supplier. Raises SupplierNotFound."""
    row = await tx.fetch_row(f"{_SUPPLIER} and s.id = $2", tx.organisation, id)
    if row is None:
        raise SupplierNotFound(supplier_id=str(id))
    return SupplierRow(**dict(row))


async def offers(tx: Tx, supplier_id: UUID, cursor: str | None = None, limit: int = 50) -> Slice[OfferRow]:
    """Return what a supplier sells, in the order in which the variants were made."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """
        select o.variant_id, v.sku, p.title, o.supplier_sku, o.cost_minor, o.lead_time_days, o.pack_units,
               o.minimum_units, o.preferred
        from (select * from supplier_variant where organisation_id = $1 and supplier_id = $2
              and ($3::uuid is null or variant_id > $3) order by variant_id limit $4) o
        join variant v on v.organisation_id = $1 and v.id = o.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        order by o.variant_id
        """,
        tx.organisation,
        supplier_id,
        after[0] if after else None,
        limit + 1,
    )
    return paged(rows, OfferRow, limit, lambda row: (row.variant_id,))


# ---- purchase orders -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    """A purchase order with its units. `cost_minor`: of the lines whose price is known, in minor units."""

    id: UUID
    number: int
    state: str
    supplier_id: UUID
    supplier: str
    location_id: UUID
    location: str
    currency: str
    expected_on: date | None
    note: str
    actor: str
    created_at: datetime
    ordered_at: datetime | None
    closed_at: datetime | None
    lines: int
    units: int
    received: int
    outstanding: int
    cost_minor: int


_PURCHASE = """
    select o.id, o.number, o.state, o.supplier_id, s.name as supplier, o.location_id, l.name as location, o.currency,
           o.expected_on, o.note, o.actor, o.created_at, o.ordered_at, o.closed_at, n.lines, n.units, n.received,
           n.outstanding, n.cost_minor
    from ({source}) o
    join supplier s on s.organisation_id = $1 and s.id = o.supplier_id
    join location l on l.organisation_id = $1 and l.id = o.location_id
    cross join lateral (
        select count(*) as lines, coalesce(sum(quantity), 0)::bigint as units,
               coalesce(sum(received), 0)::bigint as received, coalesce(sum(outstanding), 0)::bigint as outstanding,
               coalesce(sum(quantity * cost_minor), 0)::bigint as cost_minor
        from purchase_order_line p where p.organisation_id = $1 and p.purchase_order_id = o.id) n
    order by o.id desc
"""


async def list_purchases(
    tx: Tx, state: str = "", supplier_id: UUID | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[PurchaseRow]:
    """Return purchase orders (in a state, of a supplier), newest first. Raises InvalidInput."""
    chosen, limit = _known(state, PURCHASE_STATES, "purchase order"), bounded(limit)
    after = decode_cursor(cursor, UUID)
    source = _part("purchase_order", chosen)
    args = [tx.organisation, chosen, after[0] if after else None, limit + 1]
    if supplier_id is not None:
        source = source.replace("order by", "and supplier_id = $5 order by")
        args.append(supplier_id)
    rows = await tx.fetch(_PURCHASE.format(source=source), *args)
    return paged(rows, PurchaseRow, limit, lambda row: (row.id,))


async def purchase(tx: Tx, id: UUID) -> tuple[PurchaseRow, tuple[PaperLine, ...]]:
    """Return a purchase order with its lines by SKU. Raises DocumentNotFound."""
    row = await tx.fetch_row(_PURCHASE.format(source=_ONE.format(table="purchase_order")), tx.organisation, id)
    if row is None:
        raise DocumentNotFound("There is no such purchase order.")
    lines = await tx.fetch(
        """
        select l.variant_id, v.sku, p.title, l.quantity, l.received, l.damaged, l.outstanding, l.cost_minor
        from purchase_order_line l
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        where l.organisation_id = $1 and l.purchase_order_id = $2 order by v.sku
        """,
        tx.organisation,
        id,
    )
    return PurchaseRow(**dict(row)), tuple(PaperLine(**dict(line)) for line in lines)
