"""eBay's listings and prices over real HTTP against the simulated eBay, both held to the official specifications."""

from __future__ import annotations

from decimal import Decimal

from tests.connectors.ebay.given import check_answer
from tests.connectors.listings_suite import ListingsContract

from entrepot.channels.contract import Dimensions, ListingDraft, ListingImage, VariantDraft
from entrepot.connectors.ebay import CONNECTOR


class TestEbayListings(ListingsContract):
    connector = CONNECTOR
    key = "ebay"
    writes = frozenset({"createOffer"})
    checks = (check_answer,)
    tells_updated_at = False

    def draft(self, key: str, count: int = 2) -> ListingDraft:
        return ListingDraft(
            key=key,
            title=f"Mug of {key}",
            description="<p>Holds <b>tea</b> &amp; coffee.</p>",
            vendor="Kiln & Co",
            category="20685",
            option_names=("Colour",) if count > 1 else (),
            images=(
                ListingImage(f"https://img.example/{key}/front.jpg"),
                ListingImage(f"https://img.example/{key}/back.jpg"),
            ),
            attributes={"Material": ("Stoneware", "Cork"), "condition": "NEW", "MPN": "K-12"},
            variants=tuple(
                VariantDraft(
                    key=f"{key}-{number}",
                    sku=f"{key.upper()}-{number}",
                    price=Decimal("12.50") + number,
                    currency="EUR",
                    options=(f"Colour {number}",) if count > 1 else (),
                    barcode="4006381333931",
                    compare_at=Decimal("15.05") + number,
                    weight_g=350 + number,
                    dimensions=Dimensions(120, 90, 105 + number),
                )
                for number in range(count)
            ),
        )
