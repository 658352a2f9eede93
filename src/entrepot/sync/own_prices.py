"""Prices that listings have of their own, as a channel or a person changed them there: found, counted, taken off.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of
from entrepot.sync import price_moves
from entrepot.sync.fields import own_store, store
from entrepot.sync.fields.ours import prices_of
from entrepot.sync.merge.values import Value

FIELDS = ("price", "compare_at")
AT_ONCE_MOST = 5_000
"""So many are taken off at once; the rest by asking again."""
TOLD = 20


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """A price (`field` price or compare_at) that a listing has of its own.

    `value`: {"minor", "currency"}, or empty for no compare-at price. `otherwise`: what it would be by the price list, or the
    base price, if it were taken off; None: that cannot be told.
    """

    listing_id: UUID
    field: str
    value: Value
    otherwise: Value
    price_list: str
    set_by: str
    set_at: datetime
    connection_id: UUID
    connection: str
    external_id: str
    sku: str
    product_id: UUID
    title: str


@dataclass(frozen=True, slots=True)
class OwnCount:
    """How many prices of their own the listings of a connection have."""

    connection_id: UUID
    connection: str
    count: int


Key = tuple[UUID, str]
"""(listing, field)"""


async def list_own(
    tx: Tx,
    connection_id: UUID | None = None,
    product_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Slice[OwnPrice]:
    """Return prices of listings' own, what was changed last first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = cast(Any, decode_cursor(cursor, datetime, UUID, str))
    rows = await own_store.own_prices(tx, connection_id, product_id, after, limit + 1)
    variants: dict[UUID, set[UUID]] = {}
    for row in rows:
        variants.setdefault(row["connection_id"], set()).add(row["variant_id"])
    prices = {id: await catalog.channel_prices(tx, id, list(found)) for id, found in variants.items()}
    items = []
    for row in rows:
        listed = prices[row["connection_id"]].get(row["variant_id"])
        kept = {name: row[name] for name in OwnPrice.__slots__ if name not in ("otherwise", "price_list")}
        by = "" if listed is None else listed.price_list
        items.append(OwnPrice(**kept, otherwise=prices_of(row, listed)[row["field"]], price_list=by))
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, None if last is None else (last.set_at, last.listing_id, last.field))


async def count_own(tx: Tx, product_id: UUID | None = None) -> tuple[OwnCount, ...]:
    """Return how many prices of their own listings have, of a product or of all, by connection; none where there are none."""
    return tuple(OwnCount(**_named(row)) for row in await own_store.count_own_prices(tx, product_id))


def _named(row: Any) -> dict[str, Any]:
    return {"connection_id": row["id"], "connection": row["name"], "count": row["count"]}


async def take_off(tx: Tx, actor: Actor, keys: Sequence[Key]) -> int:
    """Let listings cost again what the price list or the base price says; return how many prices those were.

    What goes out by that is no slip, however far it moves: whoever took it off saw both. Raises InvalidInput.
    """
    if not keys or len(keys) > AT_ONCE_MOST:
        raise InvalidInput(f"Choose 1 to {AT_ONCE_MOST:,} prices.")
    if wrong := {field for _, field in keys}.difference(FIELDS):
        raise InvalidInput(f"{min(wrong)[:40]!r} is not a price: price or compare_at.")
    connections = await own_store.connections_of(tx, [key[0] for key in keys])
    count = 0
    for connection_id in sorted(set(connections.values())):
        await store.lock_connection(tx, connection_id)
        here = sorted({key for key in keys if connections.get(key[0]) == connection_id})
        gone = await own_store.remove_overrides(tx, here)
        if not gone:
            continue
        count += len(gone)
        listings = sorted({row["listing_id"] for row in gone})
        await price_moves.look(tx, [connection_id], listing_ids=listings, let_pass=True)
        before = [{"listing": str(row["listing_id"]), row["field"]: row["value"]} for row in gone[:TOLD]]
        await identity.record(
            tx, actor, "listing.price_off", "connection", connection_id, {"first": before}, {"prices": len(gone)}
        )
        await store.want_merge(tx, listings)
        tx.hint(f"merge:{connection_id}")
    return count


async def take_off_all(tx: Tx, actor: Actor, connection_id: UUID, until: datetime) -> int:
    """Take off the prices that the listings of a connection had of their own at a time (as whoever asks saw them), up to
    AT_ONCE_MOST; return how many."""
    keys = await own_store.own_prices_until(tx, connection_id, until, AT_ONCE_MOST)
    return await take_off(tx, actor, keys) if keys else 0
