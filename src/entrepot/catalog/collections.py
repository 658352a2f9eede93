"""Collections: products put together by hand, in an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from entrepot.catalog.contracts import CollectionNotFound, ProductNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.kernel.ids import new_id

PRODUCTS_MAX = 10_000
"""So many products a collection has at most that are put in an order here; bulk edits add more."""


class CollectionExists(Conflict):
    """Another collection has this handle."""


class InvalidCollection(InvalidInput):
    """A collection has a title of 1 to 255 characters and a handle without spaces, / ? # %."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection and how many products it has."""

    id: UUID
    handle: str
    title: str
    products: int


async def list_collections(tx: Tx) -> tuple[Collection, ...]:
    """Return all collections by title."""
    rows = await tx.fetch(
        """select c.id, c.handle, c.title, (select count(*) from collection_product p
               where p.organisation_id = $1 and p.collection_id = c.id) as products
           from collection c where c.organisation_id = $1 order by lower(c.title), c.id""",
        tx.organisation,
    )
    return tuple(Collection(**dict(row)) for row in rows)


async def get_collection(tx: Tx, collection_id: UUID) -> Collection:
    """Return a collection. Raises CollectionNotFound."""
    row = await tx.fetch_row(
        """select c.id, c.handle, c.title, (select count(*) from collection_product p
               where p.organisation_id = $1 and p.collection_id = c.id) as products
           from collection c where c.organisation_id = $1 and c.id = $2""",
        tx.organisation,
        collection_id,
    )
    if row is None:
        raise CollectionNotFound
    return Collection(**dict(row))


@dataclass(frozen=True, slots=True)
class Member:
    """A product of a collection."""

    id: UUID
    handle: str
    title: str
    status: str
    position: int


async def members(tx: Tx, collection_id: UUID, limit: int = 500) -> tuple[Member, ...]:
    """Return the first products of a collection in its order."""
    rows = await tx.fetch(
        """select p.id, p.handle, p.title, p.status, c.position
           from collection_product c join product p on p.organisation_id = $1 and p.id = c.product_id
           where c.organisation_id = $1 and c.collection_id = $2 order by c.position, p.id limit $3""",
        tx.organisation,
        collection_id,
        limit,
    )
    return tuple(Member(**dict(row)) for row in rows)


async def create_collection(tx: Tx, title: str, handle: str) -> UUID:
    """Make a collection. Raises InvalidCollection, CollectionExists."""
    title, handle = _checked(title, handle)
    id: UUID | None = await tx.fetch_value(
        "insert into collection (organisation_id, id, handle, title) values ($1, $2, $3, $4)"
        " on conflict (organisation_id, handle) do nothing returning id",
        tx.organisation,
        new_id(),
        handle,
        title,
    )
    if id is None:
        raise CollectionExists(f"Another collection has the handle {handle!r}.")
    return id


async def change_collection(tx: Tx, collection_id: UUID, title: str, handle: str) -> None:
    """Give a collection a title and a handle. Raises InvalidCollection, CollectionExists, CollectionNotFound."""
    title, handle = _checked(title, handle)
    await _lock(tx, collection_id)
    taken = await tx.fetch_value(
        "select 1 from collection where organisation_id = $1 and handle = $2 and id <> $3",
        tx.organisation,
        handle,
        collection_id,
    )
    if taken:
        raise CollectionExists(f"Another collection has the handle {handle!r}.")
    await tx.execute(
        "update collection set title = $3, handle = $4, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        collection_id,
        title,
        handle,
    )


async def set_members(tx: Tx, collection_id: UUID, product_ids: Sequence[UUID]) -> None:
    """Let a collection have these products in this order. Raises CollectionNotFound, ProductNotFound, InvalidCollection."""
    await _lock(tx, collection_id)
    ids = list(dict.fromkeys(product_ids))
    if len(ids) > PRODUCTS_MAX:
        raise InvalidCollection(f"At most {PRODUCTS_MAX:,} products are put in order here.")
    known = await tx.fetch(
        "select id from product where organisation_id = $1 and id = any($2::uuid[])", tx.organisation, ids
    )
    missing = set(ids) - {row["id"] for row in known}
    if missing:
        raise ProductNotFound(product_id=str(missing.pop()))
    await tx.execute(
        "delete from collection_product where organisation_id = $1 and collection_id = $2"
        " and not product_id = any($3::uuid[])",
        tx.organisation,
        collection_id,
        ids,
    )
    await tx.execute(
        """insert into collection_product (organisation_id, collection_id, product_id, position)
           select $1, $2, i.id, i.place from unnest($3::uuid[]) with ordinality as i(id, place)
           on conflict (organisation_id, collection_id, product_id) do update set position = excluded.position""",
        tx.organisation,
        collection_id,
        ids,
    )


async def delete_collection(tx: Tx, collection_id: UUID) -> None:
    """Delete a collection; its products stay. Raises CollectionNotFound."""
    await _lock(tx, collection_id)
    await tx.execute("delete from collection where organisation_id = $1 and id = $2", tx.organisation, collection_id)


async def _lock(tx: Tx, collection_id: UUID) -> None:
    if not await tx.fetch_value(
        "select 1 from collection where organisation_id = $1 and id = $2 for update", tx.organisation, collection_id
    ):
        raise CollectionNotFound


def _checked(title: str, handle: str) -> tuple[str, str]:
    title, handle = title.replace("\x00", "").strip(), handle.replace("\x00", "").strip()
    if not 0 < len(title) <= 255 or not 0 < len(handle) <= 255 or any(c.isspace() or c in "/?#%" for c in handle):
        raise InvalidCollection
    return title, handle
