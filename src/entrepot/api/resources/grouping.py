"""Categories, collections and saved views: what puts products together."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.catalog import category_tree as tree
from entrepot.catalog import collections, views
from entrepot.catalog.editing import handle_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Handle = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]


class CategoryView(Resource):
    """A category. `path`: names from the root down; `products`: in it alone."""

    id: UUID
    parent_id: UUID | None
    name: str
    path: list[str]
    products: int


class Categories(Resource):
    """All categories, each parent before its children."""

    categories: list[CategoryView]


class OneCategory(Resource):
    """A category."""

    category: CategoryView


class CategoryInput(Input):
    """A category: its name and the category above it (null: it is at the top)."""

    name: Name
    parent_id: UUID | None = None


class MergeInput(Input):
    """Into which category."""

    into_id: UUID


class Merged(Resource):
    """How many products moved, and the category that they are in now."""

    moved: int
    category: CategoryView


class CollectionView(Resource):
    """A collection. `products`: how many."""

    id: UUID
    handle: str
    title: str
    products: int


class Collections(Resource):
    """All collections by title."""

    collections: list[CollectionView]


class OneCollection(Resource):
    """A collection with its first 500 products in their order."""

    collection: CollectionView
    product_ids: list[UUID]


class CollectionInput(Input):
    """A collection. An empty handle is made from the title."""

    title: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
    handle: Handle = ""


class CollectionProducts(Input):
    """The products of a collection in their order."""

    product_ids: Annotated[list[UUID], Field(max_length=collections.PRODUCTS_MAX)]


class SavedView(Resource):
    """A filter of products with a name. `mine`: saved by who asks; `shared`: for all."""

    id: UUID
    name: str
    shared: bool
    mine: bool
    parameters: dict[str, str]


class SavedViews(Resource):
    """Views of who asks, and shared ones."""

    views: list[SavedView]


class ViewInput(Input):
    """A view to be saved: the parameters of the page of products, such as `{"status": "draft", "vendor": "Acme"}`."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    shared: bool = False
    parameters: Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=20)]


# ---- categories ------------------------------------------------------------------------------------------


async def list_categories(call: CallDep) -> Response:
    """Return the tree of categories."""
    async with call.transaction() as tx:
        found = await tree.list_categories(tx)
    return respond(Categories(categories=[CategoryView.model_validate(each) for each in found]))


async def create_category(body: CategoryInput, call: CallDep) -> Response:
    """Make a category."""

    async def work(tx: Tx) -> Answer:
        id = await tree.create_category(tx, body.name, body.parent_id)
        made = await _category(tx, id)
        after = made.category.model_dump(mode="json")
        await identity.record(tx, call.actor, "category.create", "category", id, None, after)
        return answer(made, 201)

    return await once(call, work)


async def update_category(category_id: UUID, body: CategoryInput, call: CallDep) -> Response:
    """Rename a category, or move it with all below it: below another (never below itself), or to the top."""
    async with call.transaction() as tx:
        before = await _category(tx, category_id)
        await tree.change_category(tx, category_id, name=body.name, parent_id=body.parent_id)
        after = await _category(tx, category_id)
        await identity.record(
            tx, call.actor, "category.update", "category", category_id, before.category.model_dump(mode="json"),
            after.category.model_dump(mode="json"),
        )  # fmt: skip
        return respond(after)


async def merge_category(category_id: UUID, body: MergeInput, call: CallDep) -> Response:
    """Move what is in a category into another, and delete it. Categories of the same name below both are merged too."""

    async def work(tx: Tx) -> Answer:
        before = await _category(tx, category_id)
        moved = await tree.merge_category(tx, category_id, body.into_id)
        after = await _category(tx, body.into_id)
        told = {"into": str(body.into_id), "moved": moved}
        shown = before.category.model_dump(mode="json")
        await identity.record(tx, call.actor, "category.merge", "category", category_id, shown, told)
        return answer(Merged(moved=moved, category=after.category))

    return await once(call, work)


async def delete_category(category_id: UUID, call: CallDep) -> Response:
    """Delete a category that has no products and no categories in it."""
    async with call.transaction() as tx:
        before = await _category(tx, category_id)
        await tree.delete_category(tx, category_id)
        shown = before.category.model_dump(mode="json")
        await identity.record(tx, call.actor, "category.delete", "category", category_id, shown)
    return empty()


async def _category(tx: Tx, id: UUID) -> OneCategory:
    return OneCategory(category=CategoryView.model_validate(await tree.get_category(tx, id)))


# ---- collections -----------------------------------------------------------------------------------------


async def list_collections(call: CallDep) -> Response:
    """Return all collections."""
    async with call.transaction() as tx:
        found = await collections.list_collections(tx)
    return respond(Collections(collections=[CollectionView.model_validate(each) for each in found]))


async def get_collection(collection_id: UUID, call: CallDep) -> Response:
    """Return a collection with its products."""
    async with call.transaction() as tx:
        return respond(await _collection(tx, collection_id))


async def create_collection(body: CollectionInput, call: CallDep) -> Response:
    """Make a collection."""

    async def work(tx: Tx) -> Answer:
        id = await collections.create_collection(tx, body.title, body.handle or handle_of(body.title))
        made = await _collection(tx, id)
        after = made.collection.model_dump(mode="json")
        await identity.record(tx, call.actor, "collection.create", "collection", id, None, after)
        return answer(made, 201)

    return await once(call, work)


async def update_collection(collection_id: UUID, body: CollectionInput, call: CallDep) -> Response:
    """Change the title and handle of a collection."""
    async with call.transaction() as tx:
        before = await _collection(tx, collection_id)
        handle = body.handle or before.collection.handle
        await collections.change_collection(tx, collection_id, body.title, handle)
        after = await _collection(tx, collection_id)
        await identity.record(
            tx, call.actor, "collection.update", "collection", collection_id,
            before.collection.model_dump(mode="json"), after.collection.model_dump(mode="json"),
        )  # fmt: skip
        return respond(after)


async def set_collection_products(collection_id: UUID, body: CollectionProducts, call: CallDep) -> Response:
    """Say which products are in a collection, in which order."""
    async with call.transaction() as tx:
        before = await _collection(tx, collection_id)
        await collections.set_members(tx, collection_id, body.product_ids)
        after = await _collection(tx, collection_id)
        await identity.record(
            tx, call.actor, "collection.products", "collection", collection_id,
            {"products": before.collection.products}, {"products": after.collection.products},
        )  # fmt: skip
        return respond(after)


async def delete_collection(collection_id: UUID, call: CallDep) -> Response:
    """Delete a collection; its products stay."""
    async with call.transaction() as tx:
        before = await _collection(tx, collection_id)
        await collections.delete_collection(tx, collection_id)
        shown = before.collection.model_dump(mode="json")
        await identity.record(tx, call.actor, "collection.delete", "collection", collection_id, shown)
    return empty()


async def _collection(tx: Tx, id: UUID) -> OneCollection:
    found = await collections.get_collection(tx, id)
    members = await collections.members(tx, id)
    return OneCollection(collection=CollectionView.model_validate(found), product_ids=[member.id for member in members])


# ---- saved views -----------------------------------------------------------------------------------------


async def list_views(call: CallDep) -> Response:
    """Return the views of who asks, and those shared with all."""
    async with call.transaction() as tx:
        found = await views.list_views(tx, call.actor)
    return respond(SavedViews(views=[SavedView.model_validate(each) for each in found]))


async def save_view(body: ViewInput, call: CallDep) -> Response:
    """Save a view, in the place of one's own of the same name."""

    async def work(tx: Tx) -> Answer:
        id = await views.save_view(tx, call.actor, body.name, body.parameters, shared=body.shared)
        found = next(each for each in await views.list_views(tx, call.actor) if each.id == id)
        return answer(SavedView.model_validate(found), 201)

    return await once(call, work)


async def delete_view(view_id: UUID, call: CallDep) -> Response:
    """Delete a view of one's own; an admin may delete any shared one."""
    async with call.transaction() as tx:
        await views.delete_view(tx, call.actor, view_id)
    return empty()
