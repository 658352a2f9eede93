"""The tree of categories, edited by people: made, renamed, moved, merged, deleted when empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from entrepot.catalog import facade
from entrepot.catalog.categories import DEPTH_MAX, lock_tree
from entrepot.catalog.contracts import CategoryNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.kernel.ids import new_id

NAME_MAX = 200


class CategoryExists(Conflict):
    """There is a category of that name in that place."""


class CategoryNotEmpty(Conflict):
    """The category has products or categories in it: move them, or merge it into another."""


class CategoryInItself(InvalidInput):
    """A category cannot be moved or merged into itself or one below it."""


class InvalidCategory(InvalidInput):
    """A category has a name of 1 to 200 characters, and at most 10 levels."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category in the tree. `path`: names from the root down. `products`: in it alone."""

    id: UUID
    parent_id: UUID | None
    name: str
    path: tuple[str, ...]
    depth: int
    products: int

    @property
    def label(self) -> str:
        """The path as people read it."""
        return " > ".join(self.path)


async def list_categories(tx: Tx) -> tuple[Category, ...]:
    """Return all categories as a tree that is read downwards: each parent before its children, siblings by name."""
    rows = await tx.fetch(
        """select c.id, c.parent_id, c.name, coalesce(p.products, 0) as products
           from category c left join (
               select category_id, count(*) as products from product
               where organisation_id = $1 and category_id is not null group by category_id) p on p.category_id = c.id
           where c.organisation_id = $1 order by lower(c.name), c.id""",
        tx.organisation,
    )
    below: dict[UUID | None, list[Record]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], []).append(row)
    found: list[Category] = []

    def walk(parent: UUID | None, path: tuple[str, ...]) -> None:
        for row in below.get(parent, ()):
            here = (*path, row["name"])
            found.append(Category(row["id"], parent, row["name"], here, len(path), row["products"]))
            walk(row["id"], here)

    walk(None, ())
    return tuple(found)


async def get_category(tx: Tx, category_id: UUID) -> Category:
    """Return a category. Raises CategoryNotFound."""
    found = next((each for each in await list_categories(tx) if each.id == category_id), None)
    if found is None:
        raise CategoryNotFound
    return found


async def create_category(tx: Tx, name: str, parent_id: UUID | None = None) -> UUID:
    """Make a category. Raises InvalidCategory, CategoryExists, CategoryNotFound."""
    tree = await _locked(tx)
    name = _name(name)
    if parent_id is not None and tree.depth(parent_id) + 2 > DEPTH_MAX:
        raise InvalidCategory
    tree.refuse_twin(parent_id, name, None)
    id = new_id()
    await tx.execute(
        "insert into category (organisation_id, id, parent_id, name) values ($1, $2, $3, $4)",
        tx.organisation,
        id,
        parent_id,
        name,
    )
    return id


async def change_category(tx: Tx, category_id: UUID, *, name: str, parent_id: UUID | None) -> None:
    """Give a category a name and a place. Raises InvalidCategory, CategoryExists, CategoryNotFound, CategoryInItself."""
    tree = await _locked(tx)
    name = _name(name)
    if parent_id is not None and category_id in tree.above(parent_id):
        raise CategoryInItself
    top = 0 if parent_id is None else tree.depth(parent_id) + 1
    if top + tree.height(category_id) > DEPTH_MAX:
        raise InvalidCategory
    tree.refuse_twin(parent_id, name, category_id)
    await tx.execute(
        "update category set name = $3, parent_id = $4, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        category_id,
        name,
        parent_id,
    )
    await _tell_filed_below(tx, category_id)


async def _tell_filed_below(tx: Tx, category_id: UUID) -> None:
    """Emit that the products of a category and of those below it are filed elsewhere now."""
    rows = await tx.fetch(
        """
        with recursive below as (
            select id from category where organisation_id = $1 and id = $2
            union select c.id from category c join below b on c.parent_id = b.id where c.organisation_id = $1
        )
        select p.id from product p where p.organisation_id = $1 and p.category_id in (select id from below) order by p.id
        """,
        tx.organisation,
        category_id,
    )
    await facade.tell_filed(tx, [row["id"] for row in rows])


async def merge_category(tx: Tx, category_id: UUID, into_id: UUID) -> int:
    """Move a category's products and categories into another and delete it; return how many products moved.

    Where both have a category of the same name, those are merged too. Raises CategoryNotFound, CategoryInItself,
    InvalidCategory.
    """
    tree = await _locked(tx, going=True)
    if category_id in tree.above(into_id):
        raise CategoryInItself
    if tree.depth(into_id) + tree.height(category_id) > DEPTH_MAX:
        raise InvalidCategory
    moved = await _merge(tx, tree, category_id, into_id)
    await _tell_filed_below(tx, into_id)
    return moved


async def _merge(tx: Tx, tree: _Tree, category_id: UUID, into_id: UUID) -> int:
    twins = {tree.names[child]: child for child in tree.children(into_id) if child != category_id}
    moved = 0
    for child in tree.children(category_id):
        twin = twins.get(tree.names[child])
        if twin is not None:
            moved += await _merge(tx, tree, child, twin)
    # Its name goes first: a category below it may have the same and come into its place.
    await tx.execute(
        "update category set name = id::text where organisation_id = $1 and id = $2", tx.organisation, category_id
    )
    moved += await tx.execute(
        "update product set category_id = $3, updated_at = now() where organisation_id = $1 and category_id = $2",
        tx.organisation,
        category_id,
        into_id,
    )
    await tx.execute(
        "update category set parent_id = $3, updated_at = now() where organisation_id = $1 and parent_id = $2",
        tx.organisation,
        category_id,
        into_id,
    )
    await tx.execute("delete from category where organisation_id = $1 and id = $2", tx.organisation, category_id)
    return moved


async def delete_category(tx: Tx, category_id: UUID) -> None:
    """Delete an empty category. Raises CategoryNotFound, CategoryNotEmpty."""
    tree = await _locked(tx, going=True)
    tree.require(category_id)
    used = await tx.fetch_value(
        "select 1 from product where organisation_id = $1 and category_id = $2 limit 1", tx.organisation, category_id
    )
    if used or tree.children(category_id):
        raise CategoryNotEmpty
    await tx.execute("delete from category where organisation_id = $1 and id = $2", tx.organisation, category_id)


def _name(name: str) -> str:
    name = name.replace("\x00", "").strip()
    if not 0 < len(name) <= NAME_MAX:
        raise InvalidCategory
    return name


class _Tree:
    """All categories, under a lock that keeps the tree as it is."""

    def __init__(self, rows: Sequence[tuple[UUID, UUID | None, str]]) -> None:
        self.parents = {id: parent for id, parent, _ in rows}
        self.names = {id: name for id, _, name in rows}

    def require(self, id: UUID) -> None:
        """Raise CategoryNotFound unless it is there."""
        if id not in self.parents:
            raise CategoryNotFound

    def above(self, id: UUID) -> list[UUID]:
        """Return a category and those above it."""
        self.require(id)
        found = [id]
        while (parent := self.parents[found[-1]]) is not None:
            found.append(parent)
        return found

    def depth(self, id: UUID) -> int:
        """Return how many categories are above it."""
        return len(self.above(id)) - 1

    def children(self, id: UUID) -> list[UUID]:
        """Return the categories right below it."""
        return [child for child, parent in self.parents.items() if parent == id]

    def height(self, id: UUID) -> int:
        """Return of how many levels it is made, itself the first."""
        self.require(id)
        return 1 + max((self.height(child) for child in self.children(id)), default=0)

    def refuse_twin(self, parent_id: UUID | None, name: str, but: UUID | None) -> None:
        """Raise CategoryExists if another one in that place has the name."""
        for id, parent in self.parents.items():
            if parent == parent_id and id != but and self.names[id] == name:
                raise CategoryExists(f"There is a category {name!r} in that place.")


async def _locked(tx: Tx, *, going: bool = False) -> _Tree:
    """Return the tree as it stays until the end. With `going` nobody gives a product one of its categories meanwhile.

    Whoever does holds the category before the product, as it is done here, so that two never wait for one another.
    """
    await lock_tree(tx)
    rows = await tx.fetch(
        f"select id, parent_id, name from category where organisation_id = $1 order by id{' for update' if going else ''}",
        tx.organisation,
    )
    return _Tree([(row["id"], row["parent_id"], row["name"]) for row in rows])
