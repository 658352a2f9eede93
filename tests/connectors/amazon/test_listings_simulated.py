"""Amazon's listings and prices over real HTTP against the simulated Amazon, both held to the official specifications."""

from __future__ import annotations

from decimal import Decimal

from tests.connectors.amazon.given import check_answer
from tests.connectors.listings_suite import ListingsContract

from entrepot.channels.contract import (
    Dimensions,
    ListingDraft,
    ListingImage,
    VariantDraft,
)
from entrepot.connectors.amazon import CONNECTOR


class TestAmazonListings(ListingsContract):
    connector = CONNECTOR
    key = "amazon"
    writes = frozenset({"putListingsItem"})
    checks = (check_answer,)

    def draft(self, key: str, count: int = 2) -> ListingDraft:
        colours = [f"Colour {number}" for number in range(count)]
        return ListingDraft(
            key=key,
            title=f"Mug of {key}",
            description="<p>Holds <b>tea</b> &amp; coffee.</p>",
            vendor="Kiln & Co",
            category="DRINKING_CUP",
            option_names=("Colour",) if count > 1 else (),
            images=(
                ListingImage(f"https://img.example/{key}/front.jpg"),
                ListingImage(f"https://img.example/{key}/back.jpg"),
            ),
            attributes={
                "material": ("stoneware", "cork"),
                "bullet_point": ("Holds tea", "Keeps warm"),
                "number_of_items": 2,
                "capacity.value": Decimal("0.25"),
                "capacity.unit": "liters",
                **({"variation_theme": "COLOR"} if count > 1 else {}),
            },
            variants=tuple(
                VariantDraft(
                    key=f"{key}-{number}",
                    sku=f"{key.upper()}-{number}",
                    price=Decimal("12.50") + number,
                    currency="EUR",
                    options=(colour,) if count > 1 else (),
                    barcode="4006381333931",
                    compare_at=Decimal("15.05") + number,
                    weight_g=350 + number,
                    dimensions=Dimensions(120, 90, 100 + number),
                )
                for number, colour in enumerate(colours)
            ),
        )
