"""Square's listings and prices over real HTTP against the simulated Square, both held to the official specification."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.connectors.listings_suite import ListingsContract
from tests.connectors.specs import openapi

from entrepot.channels.contract import Call, ListingDraft, Reply, VariantDraft
from entrepot.connectors.square import CONNECTOR

SPEC = "square/api-2025-08-20.patched.json"


def check(call: Call, answer: Reply) -> None:
    openapi(SPEC).check_call(call)
    openapi(SPEC).check_reply(call, answer)


class TestSquareListings(ListingsContract):
    connector = CONNECTOR
    key = "square"
    writes = frozenset({"batchUpsertCatalogObjects"})
    checks = (check,)

    def bad(self, key: str) -> ListingDraft:
        # A title that is too long is refused by the specification already: the call would not be valid.
        return replace(self.draft(key), title=" ")

    def draft(self, key: str, count: int = 2) -> ListingDraft:
        sizes = [f"Size {number}" for number in range(count)]
        return ListingDraft(
            key=key,
            title=f"Mug of {key}",
            description="<p>Holds <b>tea</b> &amp; coffee.</p>",
            option_names=("Size",) if count > 1 else (),
            seo_title="A mug",
            seo_description="A mug that holds tea",
            variants=tuple(
                VariantDraft(
                    key=f"{key}-{number}",
                    sku=f"{key.upper()}-{number}",
                    price=Decimal("12.50") + number,
                    currency="EUR",
                    options=(size,) if count > 1 else (),
                    barcode="4006381333931",
                )
                for number, size in enumerate(sizes)
            ),
        )
