"""Making a variant a bundle of others, and no bundle again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.stock import store, store_claims
from entrepot.stock.claims import tell_changed


class HasStockOfItsOwn(Conflict):
    """This variant has stock, claims or shortages of its own: a bundle has none, its parts have."""


class BeingChanged(Conflict):
    """The stock of this variant is being changed at this moment: try again."""


async def set_bundle(tx: Tx, variant_id: UUID, parts: Mapping[UUID, int]) -> None:
    """Make a variant the bundle of these parts (variant -> units in one); with none it is no bundle any more.

    Claims that were made before keep the parts of then. Raises HasStockOfItsOwn, BeingChanged, InvalidBundle,
    VariantNotFound.
    """
    if parts:
        await _check_empty(tx, variant_id, (await store.lock_levels(tx, [variant_id])).get(variant_id, []))
    await catalog.put_parts(tx, variant_id, parts)
    if parts:
        # Now that nobody makes a level for it any more: those that were made since. Nothing is waited for, as the
        # variants are locked already, which comes after levels.
        try:
            own = await store.lock_own_levels(tx, variant_id)
        except asyncpg.LockNotAvailableError:
            raise BeingChanged from None
        await _check_empty(tx, variant_id, own)
        await store.drop_levels(tx, variant_id)
    await tell_changed(tx, [variant_id])


async def _check_empty(tx: Tx, variant_id: UUID, levels: Sequence[store.LockedLevel]) -> None:
    busy = any(
        (level.on_hand, level.reserved, level.held, level.unavailable, level.incoming) != (0, 0, 0, 0, 0)
        for level in levels
    )
    if busy or await store_claims.open_shortages(tx, variant_ids=[variant_id]):
        raise HasStockOfItsOwn
