"""Making a variant a bundle of others, and no bundle again."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.stock import store
from entrepot.stock.claims import tell_changed


class HasStockOfItsOwn(Conflict):
    """This variant has stock, claims or shortages of its own: a bundle has none, its parts have."""


async def set_bundle(tx: Tx, variant_id: UUID, parts: Mapping[UUID, int]) -> None:
    """Make a variant the bundle of these parts (variant -> units in one); with none it is no bundle any more.

    Claims that were made before keep the parts of then. Raises HasStockOfItsOwn, InvalidBundle, VariantNotFound.
    """
    if parts:
        levels = await store.lock_levels(tx, [variant_id])
        own = levels.get(variant_id, [])
        busy = any(
            (level.on_hand, level.reserved, level.held, level.unavailable, level.incoming) != (0, 0, 0, 0, 0)
            for level in own
        )
        if busy or await store.open_shortages(tx, variant_ids=[variant_id]):
            raise HasStockOfItsOwn
        await catalog.put_parts(tx, variant_id, parts)
        await store.drop_levels(tx, variant_id)
    else:
        await catalog.put_parts(tx, variant_id, {})
    await tell_changed(tx, [variant_id])
