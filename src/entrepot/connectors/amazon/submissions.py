"""What is submitted for a draft: one listing for each variant, and the family where there are several. Mostly pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entrepot.channels.contract import (
    Api,
    ChannelReason,
    ListingDraft,
    ListingField,
    ListingRef,
    ListingResult,
    Payload,
    PushOutcome,
    Reply,
    UnexpectedAnswer,
)
from entrepot.connectors.amazon import attributes, calls
from entrepot.connectors.amazon.errors import AmazonRejected
from entrepot.connectors.amazon.issues import blocks, reasons_of
from entrepot.connectors.amazon.manifest import CURRENCY_OF
from entrepot.connectors.amazon.reading import body_of, inner, objects, text

NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Submission:
    """One listing to make (`attributes`) or to change (`patches`). `variant_key` empty: the family's own."""

    sku: str
    variant_key: str
    product_type: str
    requirements: str
    attributes: Mapping[str, Any]
    patches: Sequence[Mapping[str, Any]] | None

    @property
    def is_needed(self) -> bool:
        """Whether it changes anything."""
        return self.patches is None or bool(self.patches)

    @property
    def body(self) -> dict[str, Any]:
        """What is sent for it."""
        if self.patches is not None:
            return {"productType": self.product_type, "patches": list(self.patches)}
        return {"productType": self.product_type, "requirements": self.requirements, "attributes": self.attributes}

    @property
    def message(self) -> dict[str, Any]:
        """It as a message of a feed."""
        return {"sku": self.sku, "operationType": "UPDATE" if self.patches is None else "PATCH", **self.body}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a submission."""

    outcome: PushOutcome
    reasons: tuple[ChannelReason, ...]


def misfit(draft: ListingDraft, marketplace_id: str) -> ChannelReason | None:
    """Return why a draft cannot be sent at all, None if it can."""
    if not draft.variants:
        return ChannelReason("The product has no variant.", "variants", "NO_VARIANT")
    currency = CURRENCY_OF.get(marketplace_id)
    for variant in draft.variants:
        if not variant.sku:
            return ChannelReason("Amazon lists by SKU: give the variant one.", ListingField.SKU, "NO_SKU", variant.key)
        if currency is not None and variant.currency != currency:
            detail = f"Prices in this marketplace are in {currency}."
            return ChannelReason(detail, ListingField.PRICE, "CURRENCY", variant.key)
    if attributes.is_family(draft) and not draft.attributes.get(attributes.THEME):
        detail = (
            "Several variants make a family, and their options are not colour or size:"
            " say by what they differ, with the attribute variation_theme."
        )
        return ChannelReason(detail, attributes.THEME, "NO_VARIATION_THEME")
    if not draft.category:
        return ChannelReason("Amazon needs a product type: choose the category.", ListingField.CATEGORY, "NO_CATEGORY")
    return None


def skus_of(draft: ListingDraft) -> list[str]:
    """Return every SKU that a draft is about."""
    family = [attributes.parent_sku_of(draft)] if attributes.is_family(draft) else []
    return family + [each.sku for each in draft.variants]


def submissions_of(draft: ListingDraft, there: Mapping[str, Payload], place: str) -> list[Submission]:
    """Return what to submit, the family first. What is there already is patched, so that nothing else of it changes."""
    made = []
    if attributes.is_family(draft):
        sku = attributes.parent_sku_of(draft)
        made.append(_submission(draft, sku, "", attributes.parent_attributes(draft, place), there.get(sku), place))
    for variant in draft.variants:
        wanted = attributes.child_attributes(draft, variant, place)
        made.append(_submission(draft, variant.sku, variant.key, wanted, there.get(variant.sku), place))
    return made


def _submission(
    draft: ListingDraft, sku: str, key: str, wanted: dict[str, Any], current: Payload | None, place: str
) -> Submission:
    is_offer = attributes.ASIN in wanted
    requirements = "LISTING_OFFER_ONLY" if is_offer else "LISTING"
    if not key or not draft.published:
        requirements = "LISTING_PRODUCT_ONLY"
    if current is None:
        if key:
            # Nothing is on offer yet: the quantity comes by its own way.
            wanted = wanted | {"fulfillment_availability": [{"fulfillment_channel_code": "DEFAULT", "quantity": 0}]}
        return Submission(sku, key, draft.category, requirements, wanted, None)
    have = inner(current, "attributes")
    patches = [
        each for each in attributes.patches_of(wanted, draft, place) if _changes(each, have, is_deletable=bool(key))
    ]
    return Submission(sku, key, draft.category, requirements, wanted, patches)


def _changes(patch: Mapping[str, Any], have: Payload, *, is_deletable: bool) -> bool:
    """Return whether a patch changes anything."""
    name = str(patch["path"]).removeprefix("/attributes/")
    if patch["op"] == "delete":
        return name in have and is_deletable
    return bool(have.get(name) != patch["value"])


async def listed(api: Api, skus: Sequence[str]) -> dict[str, Payload]:
    """Return those of the listings that are there, by SKU, as Amazon has them."""
    seller_id, place = api.settings["seller_id"], api.settings["marketplace_id"]
    # A comma separates SKUs in a search, so one that has a comma is read by itself.
    searched = [sku for sku in dict.fromkeys(skus) if "," not in sku]
    found: dict[str, Payload] = {}
    for start in range(0, len(searched), calls.LISTINGS_PAGE):
        part = searched[start : start + calls.LISTINGS_PAGE]
        body = body_of(await api.send(calls.search_by_sku(seller_id, place, part)))
        found |= {text(item, "sku"): item for item in objects(body, "items")}
    for sku in dict.fromkeys(skus):
        item = await whole_listing(api, sku) if "," in sku else None
        if item is not None:
            found[sku] = item
    return found


async def whole_listing(api: Api, sku: str) -> Payload | None:
    """Return one listing as Amazon has it, None where there is none."""
    try:
        reply = await api.send(calls.get_listing(api.settings["seller_id"], api.settings["marketplace_id"], sku))
    except AmazonRejected as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return body_of(reply)


def ended_of(reply: Reply, variant_key: str = "") -> Ended:
    """Return what Amazon answered to a submission. An answer that cannot be read leaves the outcome unknown. Pure."""
    try:
        body = body_of(reply)
        status, issues = text(body, "status"), objects(body, "issues")
    except UnexpectedAnswer as error:
        return Ended(PushOutcome.UNKNOWN, (ChannelReason(error.detail, code=error.code),))
    reasons = reasons_of(issues, variant_key)
    if status in ("ACCEPTED", "VALID") and not blocks(issues):
        return Ended(PushOutcome.APPLIED, reasons)
    if status in ("ACCEPTED", "VALID", "INVALID"):
        return Ended(PushOutcome.REFUSED, reasons or (ChannelReason("Amazon calls the listing invalid.", code=status),))
    return Ended(PushOutcome.UNKNOWN, (ChannelReason(f"Amazon answered {status[:30]}.", code=status),))


@dataclass(frozen=True, slots=True)
class Parts:
    """What is remembered of a draft until its submissions have ended: (SKU, variant's key) in order."""

    key: str
    external_id: str
    product_type: str
    skus: Sequence[tuple[str, str]]

    def result(self, ended: Sequence[Ended]) -> ListingResult:
        """Return the draft's result. One variant that is refused spares the others; without its family none is taken."""
        reasons = tuple(dict.fromkeys(reason for each in ended for reason in each.reasons))
        outcomes = [each.outcome for each in ended]
        refs = {
            key: self.ref_of(sku)
            for (sku, key), outcome in zip(self.skus, outcomes, strict=True)
            if key and outcome is PushOutcome.APPLIED
        }
        family_fails = not self.skus[0][1] and outcomes[0] is not PushOutcome.APPLIED
        unsure = next((each for each in outcomes if each in (PushOutcome.UNKNOWN, PushOutcome.FAILED)), None)
        if unsure is not None:
            return ListingResult(self.key, unsure, self.external_id, refs, reasons)
        if family_fails or not refs:
            return ListingResult(self.key, PushOutcome.REFUSED, self.external_id, {}, reasons)
        return ListingResult(self.key, PushOutcome.APPLIED, self.external_id, refs, reasons)

    def ref_of(self, sku: str) -> ListingRef:
        """Return how the hub addresses one of its listings."""
        keys = {"product_type": self.product_type}
        if self.external_id != sku:
            keys["parent_sku"] = self.external_id
        return ListingRef(sku, keys)


def parts_of(draft: ListingDraft, submissions: Sequence[Submission]) -> Parts:
    """Return what is to be remembered of a draft."""
    external_id = attributes.parent_sku_of(draft) if attributes.is_family(draft) else draft.variants[0].sku
    return Parts(draft.key, external_id, draft.category, [(each.sku, each.variant_key) for each in submissions])
