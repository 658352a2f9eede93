"""A small shop on PostgreSQL: variants with stock, connections with listings, orders as a channel would tell them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.channels.contract import ChannelOrder, ChannelOrderLine, ChannelOrderStatus
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

T0 = datetime(2030, 5, 1, 12, tzinfo=UTC)


async def make_variants(database: Database, organisation_id: UUID, on_hand: dict[str, int]) -> dict[str, UUID]:
    """Make a product with a variant per SKU, and its stock."""
    async with database.transaction(organisation_id) as tx:
        made = await catalog.save_products(
            tx, [NewProduct(new_id().hex, "P", tuple(NewVariant(sku, 100, "EUR") for sku in on_hand))]
        )
        await stock.change_on_hand(
            tx,
            [stock.StockChange(made[sku], "opening stock", on_hand=n) for sku, n in on_hand.items()],
            kind="count",
            actor="test",
        )
    return made


async def make_connection(database: Database, organisation_id: UUID, channel: str = "shopify", **columns: Any) -> UUID:
    """Insert a connection; further columns by name."""
    values = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "channel": channel,
        "name": new_id().hex,
        "environment": "production",
        **columns,
    }
    names, places = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
    async with database.transaction(organisation_id) as tx:
        await tx.execute(f"insert into connection ({names}) values ({places})", *values.values())
    return values["id"]  # type: ignore[no-any-return]


async def make_listing(
    database: Database, organisation_id: UUID, connection_id: UUID, variant_id: UUID, external_id: str, sku: str = ""
) -> UUID:
    """Insert a listing of a variant."""
    identifier = new_id()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into listing (organisation_id, id, connection_id, variant_id, external_id, sku, seen_at)"
            " values ($1, $2, $3, $4, $5, $6, now())",
            organisation_id,
            identifier,
            connection_id,
            variant_id,
            external_id,
            sku or external_id,
        )
    return identifier


def line(sku: str | None, quantity: int, cancelled: int = 0, shipped: int = 0, name: str = "") -> ChannelOrderLine:
    """Make an order line; its id is the SKU where no name is given."""
    return ChannelOrderLine(name or sku or "x", sku, sku, sku or "?", quantity, cancelled, shipped, Decimal("1.00"))


def order(
    name: str,
    version: int,
    lines: Sequence[ChannelOrderLine],
    status: ChannelOrderStatus = ChannelOrderStatus.OPEN,
    *,
    placed_at: datetime = T0,
    fulfilled_by_channel: bool = False,
) -> ChannelOrder:
    """Make a version of an order."""
    zero = Decimal(0)
    return ChannelOrder(
        name, f"#{name}", version, status, placed_at, placed_at + timedelta(seconds=version), "EUR", tuple(lines),
        zero, zero, zero, zero, fulfilled_by_channel=fulfilled_by_channel,
    )  # fmt: skip


async def ingest(
    database: Database, organisation_id: UUID, connection_id: UUID, *versions: ChannelOrder, via: str = "poll"
) -> orders.Ingested:
    """Take these versions over in one transaction."""
    async with database.transaction(organisation_id) as tx:
        return await orders.ingest(tx, connection_id, versions, via=via, now=T0)


async def stored(database: Database, organisation_id: UUID, name: str) -> Any:
    """Return an order's head."""
    async with database.transaction(organisation_id) as tx:
        return await tx.fetch_row(
            "select id, status, version, has_exception, has_shortage from sales_order where organisation_id = $1"
            " and external_id = $2",
            organisation_id,
            name,
        )


async def lines_of(database: Database, organisation_id: UUID, name: str) -> dict[str, tuple[int, int, int, int, int]]:
    """Return (quantity, cancelled, shipped, reserved, shortage) by the line's external id."""
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch(
            "select l.external_id, l.quantity, l.cancelled, l.shipped, l.reserved, l.shortage from order_line l"
            " join sales_order o on o.organisation_id = $1 and o.id = l.order_id"
            " where l.organisation_id = $1 and o.external_id = $2",
            organisation_id,
            name,
        )
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in rows}


async def level(database: Database, organisation_id: UUID, variant_id: UUID) -> tuple[int, int]:
    """Return (on hand, reserved) after proving all balances by their movements."""
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        found = await stock.levels(tx, [variant_id])
    return sum(v.on_hand for v in found), sum(v.reserved for v in found)
