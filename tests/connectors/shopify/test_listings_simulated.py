"""Shopify's listings and prices over real HTTP against the simulated shop."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from tests.connectors.listings_suite import ListingsContract
from tests.connectors.shopify.test_contract import SPEC, variable_errors
from tests.connectors.specs import graphql_errors

from entrepot.channels.contract import Call, ListingDraft, ListingImage, Reply, VariantDraft
from entrepot.connectors.shopify import CONNECTOR


def check_by_the_schema(call: Call, reply: Reply) -> None:
    assert call.body is not None
    sent = msgspec.json.decode(call.body)
    assert graphql_errors(SPEC, sent["query"]) == ()
    assert variable_errors(sent["query"], sent["variables"]) == []


def enough_points(call: Call, reply: Reply) -> None:
    cost = msgspec.json.decode(reply.body)["extensions"]["cost"]
    assert cost["requestedQueryCost"] <= call.cost, call.operation


class TestShopifyListings(ListingsContract):
    connector = CONNECTOR
    key = "shopify"
    writes = frozenset({"set_product"})
    checks = (check_by_the_schema, enough_points)

    def draft(self, key: str, count: int = 2) -> ListingDraft:
        colours = [f"Colour {number}" for number in range(count)]
        return ListingDraft(
            key=key,
            title=f"Mug of {key}",
            description="<p>Holds <b>tea</b> &amp; coffee.</p>",
            vendor="Kiln & Co",
            product_type="Mugs",
            category="gid://shopify/TaxonomyCategory/hg-11-6",
            tags=("kitchen", "gift"),
            option_names=("Colour",) if count > 1 else (),
            images=(
                ListingImage(f"https://img.example/{key}/front.jpg", "The front"),
                ListingImage(f"https://img.example/{key}/back.jpg", "The back"),
            ),
            seo_title="A mug",
            seo_description="A mug that holds tea",
            variants=tuple(
                VariantDraft(
                    key=f"{key}-{number}",
                    sku=f"{key.upper()}-{number}",
                    price=Decimal("12.50") + number,
                    currency="EUR",
                    options=(colour,) if count > 1 else (),
                    barcode="4006381333931",
                    compare_at=Decimal("15.00") + number,
                    weight_g=350 + number,
                )
                for number, colour in enumerate(colours)
            ),
        )
