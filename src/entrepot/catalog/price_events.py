"""Telling that prices of channels may have changed: a price list, a price set by hand, an exchange rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs

PRICES_CHANGED = "catalog.prices_changed"
"""Event: {"connections": [id], "variants": [id] or null}: what these variants (null: all) cost there may have changed."""


async def tell_prices(
    tx: Tx,
    connection_ids: Iterable[UUID | None],
    channels: Iterable[str | None],
    variant_ids: Sequence[UUID] | None = None,
) -> None:
    """Emit that prices changed on these connections and on all of these channels; None among them stands for none."""
    found = await connections_meant(tx, connection_ids, channels)
    if found:
        variants = None if variant_ids is None else sorted(str(each) for each in variant_ids)
        await jobs.emit(tx, PRICES_CHANGED, {"connections": [str(each) for each in found], "variants": variants})


async def connections_meant(
    tx: Tx, connection_ids: Iterable[UUID | None], channels: Iterable[str | None]
) -> list[UUID]:
    """Return these connections and all of these channels, by id; None among them stands for none."""
    rows = await tx.fetch(
        "select id from connection where organisation_id = $1 and (id = any($2::uuid[]) or channel = any($3::text[]))"
        " order by id",
        tx.organisation,
        [each for each in connection_ids if each is not None],
        [each for each in channels if each],
    )
    return [row["id"] for row in rows]


async def tell_rates(tx: Tx) -> None:
    """Emit that prices changed wherever a price list is in use, as exchange rates did."""
    rows = await tx.fetch(
        "select connection_id, channel from price_list where organisation_id = $1 and active", tx.organisation
    )
    await tell_prices(tx, [row["connection_id"] for row in rows], [row["channel"] for row in rows])


async def follow_rates(tx: Tx) -> int:
    """Tell of rates that were entered for a day to come, once that day is there; return how many those are."""
    begun = await tx.execute(
        "update exchange_rate set followed = true where organisation_id = $1 and not followed"
        " and day <= (now() at time zone 'utc')::date",
        tx.organisation,
    )
    if begun:
        await tell_rates(tx)
    return begun
