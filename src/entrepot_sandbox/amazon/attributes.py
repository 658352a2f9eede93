"""A listing's attributes as the seller submitted them, what follows from them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from entrepot_sandbox.amazon.state import CHANNEL_CODE, PRODUCT_TYPE, State
from entrepot_sandbox.books import Listing
from entrepot_sandbox.sheets import Sheet

Json = dict[str, Any]
ATTRIBUTE = "fulfillment_availability"
QUANTITY_MAX = 99_999_999
TITLE_MAX, DESCRIPTION_MAX = 200, 2000
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "LISTING": ("item_name", "brand", "condition_type", "purchasable_offer"),
    "LISTING_PRODUCT_ONLY": ("item_name", "brand"),
    "LISTING_OFFER_ONLY": ("condition_type", "purchasable_offer"),
}
TYPES: Mapping[str, tuple[str, ...]] = {
    PRODUCT_TYPE: (),
    "DRINKING_CUP": ("material",),
    "SHIRT": ("department",),
    "HOME": (),
}
"""The product types that are served, with what each requires of its own."""


def issue(code: str, message: str, attribute: str, *, severity: str = "ERROR", missing: bool = False) -> Json:
    """Return an issue about an attribute."""
    return {
        "code": code,
        "message": message,
        "severity": severity,
        "attributeNames": [attribute],
        "categories": ["MISSING_ATTRIBUTE" if missing else "INVALID_ATTRIBUTE"],
    }


def opening_sheet(state: State, listing: Listing) -> Sheet:
    """Return the sheet of a listing that was there at the opening."""
    product, place = listing.product, state.place.id
    sheet = Sheet(listing.sku, product.title, "LISTING", state.opened_at, state.opened_at, [listing])
    offer = {
        "audience": "ALL",
        "currency": product.currency,
        "our_price": [{"schedule": [{"value_with_tax": float(product.price)}]}],
        "marketplace_id": place,
    }
    attributes: Json = {
        "item_name": [{"value": product.title, "marketplace_id": place}],
        "brand": [{"value": "Entrepot Demo", "marketplace_id": place}],
        "condition_type": [{"value": "new_new", "marketplace_id": place}],
        "purchasable_offer": [offer],
    }
    if product.barcode:
        identifier = {"type": "ean", "value": product.barcode, "marketplace_id": place}
        attributes["externally_assigned_product_identifier"] = [identifier]
    sheet.extra = {"attributes": attributes, "product_type": PRODUCT_TYPE}
    return sheet


def attributes_of(listing: Listing) -> Json:
    """Return the attributes as they are now, with the quantity."""
    assert listing.sheet is not None
    own: Json = listing.sheet.extra["attributes"]
    if first(own, "parentage_level") == "parent":
        return own
    return {**own, ATTRIBUTE: [{"fulfillment_channel_code": CHANNEL_CODE, "quantity": listing.quantity}]}


def first(attributes: Mapping[str, Any], name: str, key: str = "value") -> Any:
    """Return the first value of an attribute, None where there is none."""
    entries = attributes.get(name)
    return entries[0].get(key) if isinstance(entries, list) and entries and isinstance(entries[0], dict) else None


def price_in(attributes: Mapping[str, Any]) -> Any:
    """Return the price of the offer as it was written, None where there is no offer."""
    for offer in attributes.get("purchasable_offer") or ():
        for price in offer.get("our_price") or ():
            for step in price.get("schedule") or ():
                return step.get("value_with_tax")
    return None


def patched(attributes: Mapping[str, Any], patches: Sequence[Any]) -> tuple[Json, list[Json]]:
    """Return the attributes after JSON patches, and what is wrong with the patches."""
    result: Json = dict(attributes)
    for patch in patches:
        op = patch.get("op") if isinstance(patch, Mapping) else None
        path = patch.get("path") if isinstance(patch, Mapping) else None
        if op not in ("add", "replace", "merge", "delete"):
            return {}, [issue("4000001", "The operation must be add, replace, merge or delete.", "op")]
        if not isinstance(path, str) or not path.startswith("/attributes/") or path.count("/") != 2:
            return {}, [issue("4000001", "The path must be /attributes/ and a name.", "path")]
        name, value = path.removeprefix("/attributes/"), patch.get("value")
        if op == "delete" and name == ATTRIBUTE:
            return {}, [issue("4000001", f"'{ATTRIBUTE}' cannot be deleted here.", name)]
        if op == "delete":
            result.pop(name, None)
            continue
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            return {}, [issue("4000001", "The value must be a list of objects.", name)]
        if op == "merge":
            have = [dict(each) for each in result.get(name) or ()]
            result[name] = _merged(have, value)
        else:
            result[name] = value
    return result, []


_SELECTORS = ("marketplace_id", "language_tag", "audience", "currency", "fulfillment_channel_code")


def _merged(have: list[Json], given: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return the entries with those given laid over the ones that have the same selectors."""
    for entry in given:
        same = next((each for each in have if all(each.get(n) == entry[n] for n in _SELECTORS if n in entry)), None)
        if same is None:
            have.append(dict(entry))
        else:
            same.update(entry)
    return have


def problems_in(attributes: Mapping[str, Any], product_type: str, requirements: str, currency: str) -> list[Json]:
    """Return what is wrong with a whole set of attributes: errors, and warnings."""
    if product_type not in TYPES:
        return [issue("4000004", f"'{product_type}' is not a valid product type.", "productType")]
    is_parent = first(attributes, "parentage_level") == "parent"
    needed = REQUIRED["LISTING_PRODUCT_ONLY" if is_parent else requirements]
    if requirements != "LISTING_OFFER_ONLY" and not is_parent:
        needed = (*needed, *TYPES[product_type])
    found = [
        issue("90220", f"'{name}' is required but not supplied.", name, missing=True)
        for name in needed
        if not attributes.get(name)
    ]
    title = str(first(attributes, "item_name") or "")
    if len(title) > TITLE_MAX:
        found.append(issue("90225", f"'item_name' exceeds the maximum length of {TITLE_MAX}.", "item_name"))
    if len(str(first(attributes, "product_description") or "")) > DESCRIPTION_MAX:
        message = f"'product_description' exceeds the maximum length of {DESCRIPTION_MAX}."
        found.append(issue("90225", message, "product_description"))
    barcode = str(first(attributes, "externally_assigned_product_identifier") or "")
    if barcode and not _is_gtin(barcode):
        name = "externally_assigned_product_identifier"
        found.append(issue("90226", f"'{barcode}' is not a valid product identifier.", name))
    price = price_in(attributes)
    if attributes.get("purchasable_offer"):
        if isinstance(price, bool) or not isinstance(price, int | float) or price <= 0:
            found.append(issue("90226", "'value_with_tax' must be greater than 0.", "purchasable_offer"))
        if first(attributes, "purchasable_offer", "currency") != currency:
            found.append(issue("90226", f"'currency' must be {currency}.", "purchasable_offer"))
    if requirements == "LISTING" and not is_parent and not attributes.get("bullet_point"):
        message = "'bullet_point' is recommended: listings with it are found more often."
        found.append(issue("18027", message, "bullet_point", severity="WARNING", missing=True))
    return found


def _is_gtin(digits: str) -> bool:
    if not (digits.isascii() and digits.isdigit() and len(digits) in (8, 12, 13, 14)):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0


def quantity_in(attributes: Mapping[str, Any]) -> tuple[int | None, list[Json]]:
    """Return the quantity that attributes set (None: they set none), and what is wrong with it."""
    quantity: int | None = None
    for value in attributes.get(ATTRIBUTE) or ():
        given = value.get("quantity") if isinstance(value, Mapping) else None
        if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= QUANTITY_MAX:
            return None, [issue("90220", "'quantity' must be a whole number of at least 0.", ATTRIBUTE)]
        if value.get("fulfillment_channel_code", CHANNEL_CODE) != CHANNEL_CODE:
            return None, [issue("90225", "'fulfillment_channel_code' must be DEFAULT.", ATTRIBUTE)]
        quantity = given
    return quantity, []


def take(state: State, listing: Listing, attributes: Json, product_type: str) -> None:
    """Make the attributes a listing's own, with what follows from them."""
    sheet, now = listing.sheet, state.desk.now()
    assert sheet is not None
    own = {name: value for name, value in attributes.items() if name != ATTRIBUTE}
    sheet.extra = {"attributes": own, "product_type": product_type}
    parent = first(own, "child_parent_sku_relationship", "parent_sku")
    if parent:
        state.families.setdefault(str(parent), {})[listing.sku] = None
    sheet.title = str(first(own, "item_name") or sheet.title)
    price = price_in(own)
    product = replace(listing.product, title=sheet.title)
    if isinstance(price, int | float):
        product = replace(product, price=Decimal(str(price)).quantize(Decimal("0.01")))
    barcode = first(own, "externally_assigned_product_identifier")
    product = replace(product, barcode=str(barcode or ""))
    sheet.shown = price is not None
    state.shop.change_product(listing, product)
    sheet.touch(now)
