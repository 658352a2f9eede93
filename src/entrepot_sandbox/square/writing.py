"""Writing the catalog: batches that are taken whole or not at all, object versions, deletion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Listing, Product, Shop
from entrepot_sandbox.sheets import Edit, Sheet, apply
from entrepot_sandbox.square.answers import Ids, Json, Keys, SquareError, bad, body_of, list_of, ok, stamp
from entrepot_sandbox.square.catalog import Catalog

_OBJECTS_MAX, _BATCH_MAX, _DELETES_MAX, _VARIATIONS_MAX = 10_000, 1_000, 200, 250
_KEPT_OF_OBJECT = ("present_at_all_locations", "present_at_location_ids", "absent_at_location_ids")
_MADE = ("description", "description_plaintext", "variations")
_MADE_OF_VARIATION = ("item_id", "sku", "upc", "price_money", "ordinal")


class Writing:
    """BatchUpsertCatalogObjects and BatchDeleteCatalogObjects."""

    def __init__(
        self,
        shop: Shop,
        catalog: Catalog,
        ids: Ids,
        location_id: str,
        products: Mapping[str, Product],
        currency: str,
        now: Callable[[], datetime],
        changed: Callable[[datetime], None],
    ) -> None:
        self._shop, self._catalog, self._ids, self._now = shop, catalog, ids, now
        self._location_id, self._products, self._currency = location_id, products, currency
        self._changed = changed
        self._keys = Keys()
        self._last_version = 0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/catalog/batch-upsert", self.batch_upsert, methods=["POST"]),
            Route("/v2/catalog/batch-delete", self.batch_delete, methods=["POST"]),
        ]

    async def batch_upsert(self, request: Request) -> Response:
        """BatchUpsertCatalogObjects: good batches are written even where another is refused."""
        body = await body_of(request)
        earlier = self._keys.earlier(body.get("idempotency_key"), body)
        if earlier is not None:
            return ok(earlier)
        batches = list_of(body, "batches", at_most=_OBJECTS_MAX, required=True)
        if sum(len(each.get("objects") or ()) for each in batches) > _OBJECTS_MAX:
            raise bad("ARRAY_LENGTH_TOO_LONG", f"At most {_OBJECTS_MAX} objects.", "batches")
        errors: list[SquareError] = []
        written: list[Json] = []
        mappings: dict[str, str] = {}
        for number, batch in enumerate(batches):
            things = list_of(batch, "objects", at_most=_BATCH_MAX, required=True)
            try:
                for place, thing in enumerate(things):
                    self._check(thing, f"batches[{number}].objects[{place}]")
            except SquareError as error:
                errors.append(error)
                continue
            written += [self._write(thing, mappings) for thing in things]
        now = self._now()
        if written:
            self._changed(now)
        if errors:
            return ok({"errors": [_error(each) for each in errors]}, errors[0].status)
        pairs = [{"client_object_id": client, "object_id": made} for client, made in mappings.items()]
        answer = {"objects": written, "updated_at": stamp(now), "id_mappings": pairs or None}
        answer = {name: value for name, value in answer.items() if value is not None}
        self._keys.keep(body["idempotency_key"], body, answer)
        return ok(answer)

    async def batch_delete(self, request: Request) -> Response:
        """BatchDeleteCatalogObjects: an item goes with its variations; unknown ids do not matter."""
        body = await body_of(request)
        deleted: list[str] = []
        for object_id in list_of(body, "object_ids", at_most=_DELETES_MAX, required=True):
            sheet = self._catalog.items.get(object_id)
            listing = self._shop.listings.get(object_id)
            if sheet is not None:
                deleted += [sheet.id, *(each.id for each in sheet.listings)]
                self.delete(sheet)
            elif listing is not None and listing.sheet is not None:
                deleted.append(listing.id)
                self._remove(listing)
                if not listing.sheet.listings:
                    deleted.append(listing.sheet.id)
                    self.delete(listing.sheet)
                else:
                    self._touch(listing.sheet, ())
        now = self._now()
        if deleted:
            self._changed(now)
        return ok({"deleted_object_ids": deleted, "deleted_at": stamp(now)})

    def delete(self, sheet: Sheet) -> None:
        """Take an item out of the catalog."""
        for listing in tuple(sheet.listings):
            self._remove(listing)
        self._catalog.items.pop(sheet.id, None)

    def edit(self, edit: Edit, listing: Listing) -> None:
        """Change an item as somebody would in Square's own dashboard."""
        sheet = listing.sheet
        assert sheet is not None
        if edit.deleted:
            self.delete(sheet)
        else:
            data: Json = sheet.extra["data"]
            apply(edit, listing, sheet, self._now())
            data["name"] = sheet.title
            if edit.description_html is not None:
                data["description_html"] = edit.description_html
            if edit.shown is not None:
                data["is_archived"] = not edit.shown
            self._touch(sheet, (listing,))
        self._changed(self._now())

    # -- checking --

    def _check(self, thing: Any, where: str) -> None:
        """Raise SquareError if an object cannot be written."""
        if not isinstance(thing, dict) or not isinstance(thing.get("id"), str) or not thing["id"]:
            raise bad("MISSING_REQUIRED_PARAMETER", "Field must be set: id", f"{where}.id")
        if thing.get("type") == "ITEM":
            self._check_item(thing, where)
        elif thing.get("type") == "ITEM_VARIATION":
            self._check_variation(thing, where)
        else:
            raise bad("INVALID_ENUM_VALUE", "This simulated Square writes items and variations.", f"{where}.type")

    def _check_version(self, thing: Json, where: str, version: int | None) -> None:
        if thing["id"].startswith("#"):
            return
        if version is None:
            raise SquareError(404, "NOT_FOUND", f"Catalog object with ID {thing['id']} not found.", f"{where}.id")
        if thing.get("version") != version:
            detail = "Object version does not match latest database version."
            raise SquareError(409, "CONFLICT", detail, f"{where}.version")

    def _check_item(self, thing: Json, where: str) -> None:
        data = thing.get("item_data") or {}
        sheet = self._catalog.items.get(thing["id"])
        self._check_version(thing, where, sheet.version if sheet else None)
        name = data.get("name") or ""
        if not name.strip():
            raise bad("VALUE_EMPTY", "Item name must not be empty.", f"{where}.item_data.name")
        if len(name) > 512:
            detail = "Item name must not be longer than 512 characters."
            raise bad("VALUE_TOO_LONG", detail, f"{where}.item_data.name")
        if len(data.get("description_html") or "") > 65_535:
            raise bad("VALUE_TOO_LONG", "The description is too long.", f"{where}.item_data.description_html")
        variations = data.get("variations") or []
        if not variations:
            raise bad("ARRAY_EMPTY", "An item must have at least one variation.", f"{where}.item_data.variations")
        if len(variations) > _VARIATIONS_MAX:
            detail = f"An item has at most {_VARIATIONS_MAX} variations."
            raise bad("ARRAY_LENGTH_TOO_LONG", detail, f"{where}.item_data.variations")
        for place, variation in enumerate(variations):
            self._check_variation(variation, f"{where}.item_data.variations[{place}]")

    def _check_variation(self, thing: Json, where: str) -> None:
        data = thing.get("item_variation_data") or {}
        listing = self._shop.listings.get(thing["id"])
        self._check_version(thing, where, int(listing.keys["version"]) if listing else None)
        where = f"{where}.item_variation_data"
        if len(data.get("name") or "") > 255:
            raise bad("VALUE_TOO_LONG", "The name must not be longer than 255 characters.", f"{where}.name")
        if len(data.get("user_data") or "") > 255:
            raise bad("VALUE_TOO_LONG", "user_data must not be longer than 255 characters.", f"{where}.user_data")
        if data.get("pricing_type") not in ("FIXED_PRICING", "VARIABLE_PRICING"):
            raise bad("INVALID_ENUM_VALUE", "pricing_type is not valid.", f"{where}.pricing_type")
        if data["pricing_type"] == "FIXED_PRICING":
            money = data.get("price_money") or {}
            amount = money.get("amount")
            if not isinstance(amount, int) or amount < 0:
                raise bad("VALUE_TOO_LOW", "The price must not be below zero.", f"{where}.price_money.amount")
            if money.get("currency") != self._currency:
                detail = f"The currency must be {self._currency}."
                raise bad("CURRENCY_MISMATCH", detail, f"{where}.price_money.currency")

    # -- writing --

    def _next_version(self) -> int:
        self._last_version = max(self._last_version + 1, int(self._now().timestamp() * 1000))
        return self._last_version

    def _touch(self, sheet: Sheet, listings: Sequence[Listing]) -> None:
        now, version = self._now(), self._next_version()
        sheet.version, sheet.updated_at = version, now
        for listing in listings:
            listing.keys = {**listing.keys, "version": str(version), "listed_at": stamp(now)}

    def _write(self, thing: Json, mappings: dict[str, str]) -> Json:
        if thing["type"] == "ITEM_VARIATION":
            listing = self._shop.listings[thing["id"]]
            assert listing.sheet is not None
            self._write_variation(listing.sheet, thing, mappings)
            self._touch(listing.sheet, (listing,))
            self._show(listing.sheet)
            return self._catalog.variation(listing)
        sheet = self._catalog.items.get(thing["id"])
        if sheet is None:
            now = self._now()
            sheet = Sheet(self._ids.letters(), "", "REGULAR", now, now)
            self._catalog.items[sheet.id] = sheet
            mappings[thing["id"]] = sheet.id
        data = {name: value for name, value in thing["item_data"].items() if name not in _MADE}
        sheet.title = data["name"]
        sheet.description_html = data.get("description_html") or ""
        sheet.extra = {"data": data, "at": {name: thing[name] for name in _KEPT_OF_OBJECT if name in thing}}
        variations = thing["item_data"]["variations"]
        kept = {each["id"] for each in variations}
        for gone in [each for each in sheet.listings if each.id not in kept]:
            self._remove(gone)
        sheet.listings = [self._write_variation(sheet, each, mappings) for each in variations]
        self._touch(sheet, sheet.listings)
        self._show(sheet)
        return self._catalog.item(sheet)

    def _write_variation(self, sheet: Sheet, thing: Json, mappings: dict[str, str]) -> Listing:
        data = thing["item_variation_data"]
        price = Decimal((data.get("price_money") or {}).get("amount", 0)) / 100
        sku, name = data.get("sku") or "", data.get("name") or ""
        title = sheet.title if name in ("", "Regular") else f"{sheet.title} - {name}"
        listing = self._shop.listings.get(thing["id"])
        if listing is None:
            known = self._products.get(sku)
            product = Product(sku, title, price, self._currency, "", known.stock if known else 0)
            keys = {"item_id": sheet.id, "listed_at": stamp(self._now()), "version": "0"}
            listing = self._shop.add_listing(product, self._ids.letters(), keys)
            listing.sheet = sheet
            mappings[thing["id"]] = listing.id
        changed = replace(listing.product, sku=sku, title=title, price=price, barcode=data.get("upc") or "")
        self._shop.change_product(listing, changed)
        self._catalog.own[listing.id] = {
            "data": {name: value for name, value in data.items() if name not in _MADE_OF_VARIATION},
            "at": {name: thing[name] for name in _KEPT_OF_OBJECT if name in thing},
        }
        return listing

    def _show(self, sheet: Sheet) -> None:
        at = sheet.extra["at"]
        here = (
            self._location_id in (at.get("present_at_location_ids") or ())
            if at.get("present_at_all_locations") is False
            else self._location_id not in (at.get("absent_at_location_ids") or ())
        )
        sheet.shown = here and not sheet.extra["data"].get("is_archived")

    def _remove(self, listing: Listing) -> None:
        self._shop.remove_listing(listing)
        self._catalog.own.pop(listing.id, None)
        if listing.sheet is not None:
            listing.sheet.listings = [each for each in listing.sheet.listings if each is not listing]


def _error(error: SquareError) -> Json:
    return {"category": "INVALID_REQUEST_ERROR", "code": error.code, "detail": error.detail, "field": error.field}
