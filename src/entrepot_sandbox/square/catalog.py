"""Square's catalog: items with their variations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Listing, Shop
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.square.answers import (
    Ids,
    Json,
    bad,
    body_of,
    limit_of,
    list_of,
    money,
    not_found,
    object_of,
    ok,
    page_of,
    read_time,
    stamp,
    start_of,
)

TYPES = frozenset({"ITEM", "ITEM_VARIATION"})
_PAGE = 100


class Catalog:
    """Items and variations. A listing's id is its variation's id; `keys["item_id"]` is the item's (its sheet's id)."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.items: dict[str, Sheet] = {}
        self.own: dict[str, Json] = {}
        """What else the seller wrote of a variation, by its id: its data and where it is present."""

    def list_product(self, listing: Listing, now: datetime) -> None:
        """Take a listing into the catalog, as the only variation of an item."""
        item_id, product = listing.keys["item_id"], listing.product
        sheet = Sheet(item_id, product.title, "REGULAR", now, now, [listing], version=int(listing.keys["version"]))
        sheet.extra = {"data": {"product_type": "REGULAR", "is_taxable": True, "is_archived": False}, "at": {}}
        sheet.extra["data"]["name"] = product.title
        self.items[item_id], listing.sheet = sheet, sheet
        data = {
            "name": "Regular",
            "pricing_type": "FIXED_PRICING",
            "track_inventory": True,
            "sellable": True,
            "stockable": True,
        }
        self.own[listing.id] = {"data": data, "at": {}}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/catalog/list", self.list_objects, methods=["GET"]),
            Route("/v2/catalog/search", self.search, methods=["POST"]),
            Route("/v2/catalog/batch-retrieve", self.batch_retrieve, methods=["POST"]),
            Route("/v2/catalog/object/{object_id}", self.retrieve, methods=["GET"]),
        ]

    async def list_objects(self, request: Request) -> Response:
        """ListCatalog."""
        told = request.query_params.get("types", "ITEM,ITEM_VARIATION")
        objects = self._objects([name.strip().upper() for name in told.split(",") if name.strip()])
        page, following = page_of(objects, start_of(request.query_params.get("cursor")), _PAGE)
        return ok({"objects": [self._make(thing) for thing in page] or None, "cursor": following})

    async def search(self, request: Request) -> Response:
        """SearchCatalogObjects, with the queries by text that fit SKUs and names."""
        body = await body_of(request)
        types = list_of(body, "object_types", at_most=20) or sorted(TYPES)
        matches = _query(object_of(body, "query"))
        since = read_time(body["begin_time"], "begin_time") if body.get("begin_time") else None
        found = [
            thing
            for thing in map(self._make, self._objects(types))
            if matches(thing) and (since is None or read_time(thing["updated_at"], "") > since)
        ]
        page, following = page_of(found, start_of(body.get("cursor")), limit_of(body, usual=100, at_most=1000))
        related = self._related(page) if body.get("include_related_objects") else None
        return ok(
            {
                "objects": list(page) or None,
                "cursor": following,
                "related_objects": related or None,
                "latest_time": max((thing["updated_at"] for thing in found), default=None),
            }
        )

    async def batch_retrieve(self, request: Request) -> Response:
        """BatchRetrieveCatalogObjects: unknown ids are left out."""
        body = await body_of(request)
        ids = list_of(body, "object_ids", at_most=1000, required=True)
        found = [thing for object_id in ids if (thing := self._object(str(object_id))) is not None]
        related = self._related(found) if body.get("include_related_objects") else None
        return ok({"objects": found or None, "related_objects": related or None})

    async def retrieve(self, request: Request) -> Response:
        """RetrieveCatalogObject."""
        object_id = request.path_params["object_id"]
        found = self._object(object_id)
        if found is None:
            raise not_found(f"Catalog object with ID {object_id} not found.")
        wants = request.query_params.get("include_related_objects", "").lower() == "true"
        return ok({"object": found, "related_objects": (self._related([found]) if wants else None) or None})

    def _objects(self, types: Sequence[str]) -> list[tuple[str, Sheet | Listing]]:
        """Return the objects of these types, unmade. Raises SquareError for what cannot be a type."""
        unknown = [name for name in types if not isinstance(name, str) or not name.isupper()]
        if unknown:
            raise bad("INVALID_ENUM_VALUE", f"`{unknown[0]}` is not a valid enum value.", "types")
        found: list[tuple[str, Sheet | Listing]] = []
        for sheet in self.items.values():
            if "ITEM" in types:
                found.append(("ITEM", sheet))
            if "ITEM_VARIATION" in types:
                found += [("ITEM_VARIATION", listing) for listing in sheet.listings]
        return found

    def _make(self, thing: tuple[str, Sheet | Listing]) -> Json:
        made = thing[1]
        return self.item(made) if isinstance(made, Sheet) else self.variation(made)

    def _object(self, object_id: str) -> Json | None:
        if object_id in self.items:
            return self.item(self.items[object_id])
        listing = self._shop.listings.get(object_id)
        return None if listing is None else self.variation(listing)

    def _related(self, things: Sequence[Json]) -> list[Json]:
        """Return the items of the variations found."""
        items = {thing["item_variation_data"]["item_id"] for thing in things if thing["type"] == "ITEM_VARIATION"}
        return [self.item(self.items[item_id]) for item_id in sorted(items)]

    def item(self, sheet: Sheet) -> Json:
        """Return an item, its variations inside."""
        data = {**sheet.extra["data"], "variations": [self.variation(each) for each in sheet.listings]}
        if data.get("description_html"):
            data["description_plaintext"] = data["description"] = _plain(data["description_html"])
        return {
            "type": "ITEM",
            "id": sheet.id,
            "updated_at": stamp(sheet.updated_at),
            "version": sheet.version,
            "is_deleted": False,
            "present_at_all_locations": True,
            **sheet.extra["at"],
            "item_data": data,
        }

    def variation(self, listing: Listing) -> Json:
        """Return the variation of a listing."""
        product, own = listing.product, self.own[listing.id]
        assert listing.sheet is not None
        data: Json = {
            **own["data"],
            "item_id": listing.keys["item_id"],
            "sku": product.sku,
            "ordinal": next(place for place, each in enumerate(listing.sheet.listings) if each is listing),
            "price_money": money(product.price, product.currency),
        }
        if product.barcode:
            data["upc"] = product.barcode
        return {
            "type": "ITEM_VARIATION",
            "id": listing.id,
            "updated_at": listing.keys["listed_at"],
            "version": int(listing.keys["version"]),
            "is_deleted": False,
            "present_at_all_locations": True,
            **own["at"],
            "item_variation_data": data,
        }


def _plain(html: str) -> str:
    text = re.sub(r"<[^>]+>", " ", html)
    for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(name, sign)
    return " ".join(text.split())


def _query(query: Json) -> Callable[[Json], bool]:
    """Return what tells whether an object matches. Raises SquareError for a query that is not imitated."""
    if not query:
        return lambda thing: True
    if len(query) != 1:
        raise bad("BAD_REQUEST", "Exactly one query type must be set.", "query")
    kind, told = next(iter(query.items()))
    if not isinstance(told, dict):
        raise bad("EXPECTED_OBJECT", "Expected an object.", f"query.{kind}")
    name = str(told.get("attribute_name", ""))
    if kind == "exact_query":
        wanted = str(told.get("attribute_value", "")).lower()
        return lambda thing: _attribute(thing, name).lower() == wanted
    if kind == "set_query":
        values = {str(value).lower() for value in list_of(told, "attribute_values", at_most=250, required=True)}
        return lambda thing: _attribute(thing, name).lower() in values
    if kind == "prefix_query":
        prefix = str(told.get("attribute_prefix", "")).lower()
        return lambda thing: _attribute(thing, name).lower().startswith(prefix)
    if kind == "text_query":
        words = [str(word).lower() for word in list_of(told, "keywords", at_most=3, required=True)]
        return lambda thing: all(
            word in f"{_attribute(thing, 'name')} {_attribute(thing, 'sku')}".lower() for word in words
        )
    raise bad("BAD_REQUEST", f"This simulated Square does not know the query {kind}.", f"query.{kind}")


def _attribute(thing: Json, name: str) -> str:
    data = thing.get("item_data") or thing.get("item_variation_data") or {}
    return str(data.get(name, ""))


def listing_keys(ids: Ids, listed_at: str, version: int) -> dict[str, str]:
    """Return the further ids of a new listing."""
    return {"item_id": ids.letters(), "listed_at": listed_at, "version": str(version)}
