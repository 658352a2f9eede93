"""Whether variants can be made in the selling region. Printful does not count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from entrepot.channels.contract import (
    Api,
    Availability,
    ListingRef,
    Payload,
    RequestRejected,
    VariantAvailability,
)
from entrepot.connectors.printful import calls
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.reading import data_list, data_of, number_text, objects, optional_text

_WORDS: Mapping[str, Availability] = {
    "in stock": Availability.AVAILABLE,
    "on demand": Availability.AVAILABLE,
    "stocked on demand": Availability.AVAILABLE,
    "out of stock": Availability.OUT_OF_STOCK,
    "discontinued": Availability.DISCONTINUED,
    "not fulfillable": Availability.NOT_FOR_REGION,
    "not fulfilled": Availability.NOT_FOR_REGION,
}
_BEST = (
    Availability.AVAILABLE,
    Availability.OUT_OF_STOCK,
    Availability.NOT_FOR_REGION,
    Availability.DISCONTINUED,
    Availability.UNKNOWN,
)
_PAGES_MAX = 100


def availability_of(word: str) -> Availability:
    """Return what Printful's word means; one that is not known here is UNKNOWN."""
    return _WORDS.get(word.replace("_", " ").lower(), Availability.UNKNOWN)


def best(of: Iterable[Availability]) -> Availability:
    """Return the best of several ways to make a thing; UNKNOWN where there is none."""
    return min(of, key=_BEST.index, default=Availability.UNKNOWN)


async def read(api: Api, refs: Sequence[ListingRef]) -> tuple[VariantAvailability, ...]:
    """Return whether these can be made; variants of one product are asked for together."""
    region = api.settings.get("selling_region", "") or "worldwide"
    products = dict.fromkeys(ref.keys["catalog_product_id"] for ref in refs if "catalog_product_id" in ref.keys)
    known: dict[str, dict[str, Availability]] = {}
    for product_id in products:
        known |= await _of_product(api, product_id, region)
    for ref in refs:
        variant_id = ref.keys.get("catalog_variant_id", "")
        if variant_id and variant_id not in known and "catalog_product_id" not in ref.keys:
            known |= await _of_variant(api, variant_id, region)
    return tuple(_told(ref, known.get(ref.keys.get("catalog_variant_id", ""), {})) for ref in refs)


def _told(ref: ListingRef, techniques: Mapping[str, Availability]) -> VariantAvailability:
    variant_id = ref.keys.get("catalog_variant_id", "")
    keys = {"catalog_variant_id": variant_id} if variant_id else {}
    return VariantAvailability(ref.external_id, best(techniques.values()), keys, techniques)


async def _of_product(api: Api, product_id: str, region: str) -> dict[str, dict[str, Availability]]:
    found: dict[str, dict[str, Availability]] = {}
    seen = 0
    for _ in range(_PAGES_MAX):
        try:
            page = data_list(await send(api, calls.product_availability(product_id, region, seen)))
        except RequestRejected as error:
            if error.code == "404":
                return found
            raise
        for each in page:
            found[number_text(each, "catalog_variant_id")] = techniques_of(each, region)
        seen += len(page)
        if len(page) < calls.PAGE:
            break
    return found


async def _of_variant(api: Api, variant_id: str, region: str) -> dict[str, dict[str, Availability]]:
    try:
        payload = data_of(await send(api, calls.variant_availability(variant_id, region)))
    except RequestRejected as error:
        if error.code == "404":
            return {}
        raise
    return {variant_id: techniques_of(payload, region)}


def techniques_of(payload: Payload, region: str) -> dict[str, Availability]:
    """Return by technique whether a variant can be made for the region (`worldwide`: for any)."""
    found: dict[str, Availability] = {}
    for technique in objects(payload, "techniques"):
        regions = objects(technique, "selling_regions")
        here = [each for each in regions if each.get("name") == region] or (regions if region == "worldwide" else [])
        found[optional_text(technique, "technique")] = best(
            availability_of(optional_text(each, "availability")) for each in here
        )
    return found
