"""Making a variant a bundle of others, and no bundle again."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.stock import reading, store, store_claims
from entrepot.stock.claims import tell_changed


class HasStockOfItsOwn(Conflict):
    """This variant has stock, claims or shortages of its own: a bundle has none, its parts have."""


async def set_bundle(tx: Tx, variant_id: UUID, parts: Mapping[UUID, int]) -> None:
    """Make a variant the bundle of these parts (variant -> units in one); with none it is no bundle any more.

    Claims that were made before keep the parts of then. Raises HasStockOfItsOwn, InvalidBundle, VariantNotFound.
    """
    if parts and any(map(_in_use, await reading.levels_of(tx, [variant_id]))):
        raise HasStockOfItsOwn
    # Variants are locked before levels, as `ensure_levels` does: from here on nobody makes a level for it.
    await catalog.put_parts(tx, variant_id, parts)
    if parts:
        own = await store.lock_own_levels(tx, variant_id)
        if any(map(_in_use, own)) or await store_claims.open_shortages(tx, variant_ids=[variant_id]):
            raise HasStockOfItsOwn
        await store.drop_levels(tx, variant_id)
    await tell_changed(tx, [variant_id])


def _in_use(level: store.LockedLevel | reading.LevelView) -> bool:
    return any((level.on_hand, level.reserved, level.held, level.unavailable, level.incoming))
