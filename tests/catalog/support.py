"""What the tests of the catalog share."""

from __future__ import annotations

from uuid import UUID

from entrepot.catalog import editing
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.catalog.filters import filter_of
from entrepot.catalog.search import list_products
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, system_actor


def actor(organisation_id: UUID) -> Actor:
    return system_actor(organisation_id, "Ana")


async def make(database: Database, organisation_id: UUID, title: str, *skus: str, **fields: object) -> UUID:
    """Make a product with these SKUs (one like the title, if none is named), each of 10.00 EUR; return its id."""
    named = skus or (title.upper().replace(" ", "-"),)
    several = len(named) > 1
    variants = tuple(NewVariant(sku, 1000, "EUR", option_values=(sku,) if several else ()) for sku in named)
    product = NewProduct("", title, variants, option_names=("Size",) if several else (), **fields)  # type: ignore[arg-type]
    async with database.transaction(organisation_id) as tx:
        id, _ = await editing.create(tx, product)
    return id


async def titles(database: Database, organisation_id: UUID, **parameters: object) -> list[str]:
    """Return the titles that a filter finds, in its order."""
    told = {name: str(value) for name, value in parameters.items()}
    async with database.transaction(organisation_id) as tx:
        return [row.title for row in await list_products(tx, filter_of(told, "EUR"))]
