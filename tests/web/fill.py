"""Believable data for pages, written by SQL as the slices would write it: three channels, products, stock, orders."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id

GOODS = (
    "Linen shirt", "Enamel mug", "Wool blanket", "Paper lantern", "Brass hook", "Oak tray", "Tea towel", "Cotton tote",
    "Glass jar", "Wicker basket", "Beeswax candle", "Garden twine", "Pocket notebook", "Ceramic bowl", "Hand soap",
    "Cork mat", "Cast iron pan", "Copper kettle", "Felt slippers", "Rain poncho",
)  # fmt: skip
COLOURS = ("blue", "sand", "moss", "rust", "white")
PEOPLE = ("Ana Costa", "Liam O'Brien", "Mei Tanaka", "Jonas Weber", "Priya Nair", "Zoë Martin", "Omar Haddad")
CHANNELS = (("shopify", "Shopify EU"), ("square", "Square Lisbon"), ("amazon", "Amazon DE"))


@dataclass
class Filled:
    """What was written."""

    connections: dict[str, UUID] = field(default_factory=dict)
    location_id: UUID = field(default_factory=new_id)
    products: list[UUID] = field(default_factory=list)
    variants: list[tuple[UUID, str, int]] = field(default_factory=list)
    listings: dict[tuple[UUID, UUID], UUID] = field(default_factory=dict)
    orders: list[UUID] = field(default_factory=list)


async def fill(
    database: Database, organisation_id: UUID, *, products: int = 40, orders: int = 120, seed: int = 7
) -> Filled:
    """Fill an empty organisation and return what was written."""
    chance = random.Random(seed)
    filled = Filled()
    async with database.transaction(organisation_id) as tx:
        await _connections(tx, filled)
        await _catalog(tx, filled, chance, products)
        now = utc_now()
        for number in range(orders):
            placed = now - timedelta(minutes=(orders - number) * 11)
            filled.orders.append(await add_order(tx, filled, chance, number=1000 + number, placed_at=placed))
        await _runs(tx, filled, now)
        await tx.execute(
            """insert into audit_log (organisation_id, id, at, actor_kind, actor_id, actor_name, action, subject_kind,
               subject_id) values ($1, $2, $3, 'person', '1', 'Ana Costa', 'connection.created', 'connection', $4)""",
            organisation_id,
            new_id(),
            now,
            str(filled.connections["Shopify EU"]),
        )
    return filled


async def _connections(tx: Tx, filled: Filled) -> None:
    now = utc_now()
    for channel, name in CHANNELS:
        identifier = filled.connections[name] = new_id()
        await tx.execute(
            """insert into connection (organisation_id, id, channel, name, environment, settings)
               values ($1, $2, $3, $4, 'simulated', '{}')""",
            tx.organisation,
            identifier,
            channel,
            name,
        )
        slow = channel == "amazon"
        await tx.execute(
            """insert into connection_health (organisation_id, id, connection_id, at, status, reason, latency_ms)
               values ($1, $2, $3, $4, $5, $6, $7)""",
            tx.organisation,
            new_id(),
            identifier,
            now,
            "degraded" if slow else "healthy",
            "Answers take 2.4 s, the limit is used up to 93%." if slow else "Answers in 84 ms.",
            2400 if slow else 84,
        )
        await tx.execute(
            """insert into pull_cursor (organisation_id, connection_id, kind, value, pulled_at, complete_until)
               values ($1, $2, 'orders', 'x', $3, $3)""",
            tx.organisation,
            identifier,
            now - timedelta(seconds=360 if slow else 8),
        )


async def _catalog(tx: Tx, filled: Filled, chance: random.Random, count: int) -> None:
    filled.location_id = new_id()
    await tx.execute(
        "insert into location (organisation_id, id, name) values ($1, $2, 'Main')", tx.organisation, filled.location_id
    )
    for number in range(count):
        product_id = new_id()
        filled.products.append(product_id)
        title = f"{GOODS[number % len(GOODS)]}, {COLOURS[number // len(GOODS) % len(COLOURS)]}"
        await tx.execute(
            """insert into product (organisation_id, id, handle, title, vendor, product_type)
               values ($1, $2, $3, $4, 'Casa Verde', 'Home')""",
            tx.organisation,
            product_id,
            f"product-{number}",
            title,
        )
        sku, price = f"SKU-{number:05d}", chance.randrange(390, 12900, 10)
        variant_id = new_id()
        filled.variants.append((variant_id, sku, price))
        await tx.execute(
            """insert into variant (organisation_id, id, product_id, sku, price_minor, currency)
               values ($1, $2, $3, $4, $5, 'EUR')""",
            tx.organisation,
            variant_id,
            product_id,
            sku,
            price,
        )
        await _stock(tx, filled, chance, variant_id, sku, number)


async def _stock(tx: Tx, filled: Filled, chance: random.Random, variant_id: UUID, sku: str, number: int) -> None:
    on_hand = 0 if number % 9 == 4 else chance.randrange(8, 400)
    reserved = min(on_hand, chance.randrange(0, 7))
    await tx.execute(
        "insert into stock_level (organisation_id, variant_id, location_id, on_hand, reserved) values ($1,$2,$3,$4,$5)",
        tx.organisation,
        variant_id,
        filled.location_id,
        on_hand,
        reserved,
    )
    await add_movement(tx, filled, variant_id, "adjustment", on_hand, 0, on_hand, reserved, "Opening stock")
    for position, (_, name) in enumerate(CHANNELS):
        connection_id = filled.connections[name]
        if number % 7 == position + 3:
            continue
        listing_id = new_id()
        filled.listings[(variant_id, connection_id)] = listing_id
        await tx.execute(
            """insert into listing (organisation_id, id, connection_id, variant_id, external_id, sku, seen_at)
               values ($1, $2, $3, $4, $5, $6, now())""",
            tx.organisation,
            listing_id,
            connection_id,
            variant_id,
            f"{name[:2]}-{number}",
            sku,
        )
        share = (40, 30, 20)[position]
        desired = (on_hand - reserved) * share // 100
        state, published, detail = "in_step", desired, ""
        if number % 11 == 2 and position == 1:
            state, published = "pending", desired + 2
        elif number % 13 == 5 and position == 2:
            state, published, detail = "parked", None, "Amazon: 8541, the SKU does not match the product's ASIN."
        elif number % 17 == 7 and position == 0:
            state, detail = "differs", "The channel shows a number that we did not send."
        await tx.execute(
            """insert into listing_quantity (organisation_id, listing_id, connection_id, variant_id, desired,
                   desired_reason, desired_at, expected, published, published_at, reported, reported_at, state, detail)
               values ($1, $2, $3, $4, $5, $6, now(), $7, $7, now(), $8, now(), $9, $10)""",
            tx.organisation,
            listing_id,
            connection_id,
            variant_id,
            desired,
            {"strategy": "fixed", "pool": on_hand - reserved, "share": share / 100, "text": f"{share}% of the pool"},
            published,
            None if published is None else published + (3 if state == "differs" else 0),
            state,
            detail,
        )


async def add_movement(
    tx: Tx,
    filled: Filled,
    variant_id: UUID,
    kind: str,
    on_hand_delta: int,
    reserved_delta: int,
    on_hand_after: int,
    reserved_after: int,
    reason: str,
) -> None:
    """Write one ledger line (the level is the caller's)."""
    await tx.execute(
        """insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_delta,
               reserved_delta, on_hand_after, reserved_after, reason, actor, at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'Ana Costa', now())""",
        tx.organisation,
        new_id(),
        variant_id,
        filled.location_id,
        kind,
        on_hand_delta,
        reserved_delta,
        on_hand_after,
        reserved_after,
        reason,
    )


async def change_stock(tx: Tx, filled: Filled, variant_id: UUID, on_hand: int) -> None:
    """Set what is on hand, with its ledger line, as another process would."""
    row = await tx.fetch_row(
        """update stock_level n set on_hand = $3, updated_at = now() from stock_level o
           where n.organisation_id = $1 and n.variant_id = $2 and o.organisation_id = n.organisation_id
             and o.variant_id = n.variant_id and o.location_id = n.location_id
           returning o.on_hand as before, n.reserved""",
        tx.organisation,
        variant_id,
        on_hand,
    )
    assert row
    await add_movement(
        tx, filled, variant_id, "adjustment", on_hand - row["before"], 0, on_hand, row["reserved"], "Count"
    )


async def add_order(tx: Tx, filled: Filled, chance: random.Random, *, number: int, placed_at: datetime) -> UUID:
    """Write one order with lines and its first events."""
    order_id = new_id()
    _, name = CHANNELS[chance.choices((0, 1, 2), (5, 3, 2))[0]]
    chosen = chance.sample(filled.variants, chance.choice((1, 1, 1, 2, 3)))
    status = chance.choices(("open", "pending", "shipped", "cancelled", "partly_shipped"), (50, 8, 34, 5, 3))[0]
    unknown, short = number % 37 == 9, number % 41 == 11
    if unknown or short:
        status = "open"
    lines: list[dict[str, Any]] = [
        {"variant": v, "sku": sku, "price": price, "quantity": chance.choice((1, 1, 1, 2, 4))}
        for v, sku, price in chosen
    ]
    total = sum(line["price"] * line["quantity"] for line in lines) + 490
    buyer = chance.choice(PEOPLE)
    await tx.execute(
        """insert into sales_order (organisation_id, id, connection_id, external_id, number, version, status,
               channel_status, currency, total_minor, tax_minor, shipping_minor, buyer_name, buyer_email, ship_to,
               has_exception, has_shortage, placed_at, channel_updated_at, received_at)
           values ($1, $2, $3, $4, $5, 1, $6, $6, 'EUR', $7, $8, 490, $9, $10, $11, $12, $13, $14, $14, $14)""",
        tx.organisation,
        order_id,
        filled.connections[name],
        f"ext-{number}",
        f"#{number}",
        status,
        total,
        total * 19 // 119,
        buyer,
        buyer.split()[0].lower() + "@example.com",
        {"name": buyer, "line1": "Rua das Flores 12", "city": "Porto", "postal_code": "4050-262", "country": "PT"},
        unknown,
        short,
        placed_at,
    )
    for position, line in enumerate(lines, 1):
        shipped = line["quantity"] if status == "shipped" else 0
        cancelled = line["quantity"] if status == "cancelled" else 0
        lost = unknown and position == 1
        await tx.execute(
            """insert into order_line (organisation_id, id, order_id, external_id, position, sku, variant_id, title,
                   quantity, cancelled, shipped, reserved, shortage, unit_price_minor, exception)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)""",
            tx.organisation,
            new_id(),
            order_id,
            f"l{position}",
            position,
            "OLD-" + line["sku"] if lost else line["sku"],
            None if lost else line["variant"],
            f"Line {position}",
            line["quantity"],
            cancelled,
            shipped,
            0 if lost or short else line["quantity"] - shipped - cancelled,
            line["quantity"] if short else 0,
            line["price"],
            "No variant has this SKU." if lost else None,
        )
    for kind, summary in (("received", f"Came in from {name}"), ("reserved", f"{len(lines)} lines reserved")):
        await tx.execute(
            "insert into order_event (organisation_id, id, order_id, at, kind, summary) values ($1,$2,$3,$4,$5,$6)",
            tx.organisation,
            new_id(),
            order_id,
            placed_at,
            kind,
            summary,
        )
    return order_id


async def _runs(tx: Tx, filled: Filled, now: datetime) -> None:
    for minutes, name, kind, state, done, total, error in (
        (0, "Amazon DE", "pull_orders", "running", 6201, 10000, ""),
        (1, "Shopify EU", "drift_check", "running", 94, 512, ""),
        (12, "Square Lisbon", "pull_listings", "done", 40, 40, ""),
        (48, "Amazon DE", "pull_listings", "failed", 12, None, "The channel does not answer properly (503)."),
    ):
        await tx.execute(
            """insert into sync_run (organisation_id, id, connection_id, kind, trigger, state, started_at, finished_at,
                   done, expected_total, counts, error)
               values ($1, $2, $3, $4, 'schedule', $5, $6, $7, $8, $9, '{"new": 3, "changed": 11}', $10)""",
            tx.organisation,
            new_id(),
            filled.connections[name],
            kind,
            state,
            now - timedelta(minutes=minutes, seconds=40),
            None if state == "running" else now - timedelta(minutes=minutes - 1),
            done,
            total,
            error,
        )
