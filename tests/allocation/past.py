"""Past orders in the hub, written as the room of orders would have them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


async def add_order(
    database: Database,
    organisation_id: UUID,
    connection_id: UUID,
    placed_at: datetime,
    lines: list[tuple[str, UUID | None, int]],
    *,
    price_minor: int = 1_000,
    currency: str = "EUR",
    cancelled: int = 0,
    country: str = "",
) -> None:
    """Write an order: lines of (SKU, variant, units)."""
    order = new_id()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            """insert into sales_order (organisation_id, id, connection_id, external_id, number, version, status, currency,
                   total_minor, placed_at, channel_updated_at, received_at, ship_to)
               values ($1, $2, $3, $4, $4, 1, 'open', $5, 0, $6, $6, $6, $7)""",
            organisation_id, order, connection_id, order.hex, currency, placed_at,
            {"country": country} if country else None,
        )  # fmt: skip
        for position, (sku, variant_id, units) in enumerate(lines):
            await tx.execute(
                """insert into order_line (organisation_id, id, order_id, external_id, position, sku, variant_id, title,
                       quantity, cancelled, unit_price_minor) values ($1, $2, $3, $4, $5, $6, $7, 'x', $8, $9, $10)""",
                organisation_id, new_id(), order, str(position), position, sku, variant_id, units, cancelled, price_minor,
            )  # fmt: skip


def days(start: datetime, count: int) -> list[datetime]:
    """Return a time on each of so many days."""
    return [start + timedelta(days=number) for number in range(count)]
