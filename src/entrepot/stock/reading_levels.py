"""What the list of all levels reads: every SKU at every location. Select statements only."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.paging import Slice, bounded, decode_cursor, encode_cursor


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A SKU's stock at one location, in units."""

    variant_id: UUID
    sku: str
    title: str
    location: str
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int

    @property
    def ats(self) -> int:
        """Available to sell here."""
        return self.on_hand - self.reserved - self.held - self.unavailable - self.safety_stock


async def list_levels(tx: Tx, cursor: str | None = None, limit: int = 50) -> Slice[LevelRow]:
    """Return the levels of up to `limit` SKUs, by SKU, the preferred location first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str)
    rows = await tx.fetch(
        """
        with page as materialized (
            select id, sku, product_id from variant
            where organisation_id = $1 and ($2::text is null or sku > $2) order by sku limit $3)
        select page.id as variant_id, page.sku, p.title, l.name as location, s.on_hand, s.reserved, s.held, s.unavailable,
               s.incoming, s.safety_stock, (select max(sku) from page) as last, (select count(*) from page) as skus
        from page
        join product p on p.organisation_id = $1 and p.id = page.product_id
        left join stock_level s on s.organisation_id = $1 and s.variant_id = page.id
        left join location l on l.organisation_id = $1 and l.id = s.location_id
        order by page.sku, l.priority, l.id
        """,
        tx.organisation,
        after[0] if after else None,
        limit,
    )
    names = LevelRow.__slots__
    items = tuple(LevelRow(**{name: row[name] for name in names}) for row in rows if row["location"] is not None)
    full = bool(rows) and rows[0]["skus"] == limit
    return Slice(items, encode_cursor(rows[0]["last"]) if full else None)
