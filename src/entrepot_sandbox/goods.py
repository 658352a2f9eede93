"""A default catalogue of pleasant goods, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from entrepot_sandbox.books import Product


@dataclass(frozen=True, slots=True)
class _Kind:
    """A family of goods: names, colours or scents, sizes, and a price range in whole units of the currency."""

    code: str
    name: str
    looks: tuple[str, ...]
    sizes: tuple[str, ...]
    price: tuple[int, int]


_CLOTH = ("natural", "blue", "rust", "olive", "charcoal", "white")
_GLAZE = ("sand", "sea green", "midnight", "chalk", "terracotta")
_SIZES = ("XS", "S", "M", "L", "XL")

KINDS = (
    _Kind("LSH", "Linen shirt", _CLOTH, _SIZES, (45, 69)),
    _Kind("TEE", "Cotton tee", _CLOTH, _SIZES, (19, 29)),
    _Kind("SOC", "Wool socks", ("oatmeal", "moss", "navy", "berry"), ("36-39", "40-43", "44-47"), (12, 18)),
    _Kind("MUG", "Stoneware mug", _GLAZE, ("250 ml", "350 ml"), (14, 24)),
    _Kind("BWL", "Stoneware bowl", _GLAZE, ("small", "large"), (16, 34)),
    _Kind("CND", "Soy candle", ("fig", "cedar", "orange blossom", "rain", "unscented"), ("20 h", "45 h"), (11, 27)),
    _Kind("TWL", "Waffle towel", _CLOTH, ("hand", "bath"), (15, 39)),
    _Kind("CSH", "Linen cushion cover", _CLOTH, ("40 x 40 cm", "50 x 50 cm"), (22, 36)),
    _Kind("NTB", "Dotted notebook", ("red", "forest", "grey", "yellow"), ("A6", "A5"), (7, 15)),
    _Kind("BAG", "Canvas tote", ("ecru", "black", "indigo"), ("short handles", "long handles"), (13, 21)),
    _Kind("TEA", "Loose leaf tea", ("Assam", "jasmine", "peppermint", "rooibos", "sencha"), ("80 g", "250 g"), (6, 19)),
    _Kind("SOP", "Olive oil soap", ("lavender", "lemon", "clay", "plain"), ("single", "box of three"), (5, 16)),
    _Kind("BRD", "Chopping board", ("oak", "beech", "walnut"), ("small", "medium", "large"), (18, 58)),
    _Kind("THR", "Wool throw", ("heather", "ivory", "pine"), ("130 x 180 cm",), (69, 98)),
    _Kind("VAS", "Bud vase", ("clear", "smoke", "amber", "green"), ("12 cm", "20 cm"), (12, 29)),
    _Kind("APR", "Kitchen apron", _CLOTH, ("one size",), (24, 38)),
)


def default_products(count: int, seed: int, *, currency: str = "EUR") -> tuple[Product, ...]:
    """Return `count` products, the same for the same seed. Raises ValueError below 1."""
    if count < 1:
        raise ValueError("At least one product is needed.")
    chance = random.Random(f"{seed}/goods")  # noqa: S311
    variants = list(_variants())
    chance.shuffle(variants)
    products = []
    for number in range(count):
        kind, look, size, code = variants[number % len(variants)]
        edition = number // len(variants)
        sku = code if not edition else f"{code}-{edition + 1}"
        title = f"{kind.name}, {look}, {size}" + (f", edition {edition + 1}" if edition else "")
        price = Decimal(chance.randint(*kind.price)) + chance.choice(
            (Decimal("0.00"), Decimal("0.50"), Decimal("0.90"))
        )
        products.append(Product(sku, title, price, currency, _barcode(number, seed), opening_stock(chance)))
    return tuple(products)


def _variants() -> Iterator[tuple[_Kind, str, str, str]]:
    for kind in KINDS:
        for i, look in enumerate(kind.looks):
            for j, size in enumerate(kind.sizes):
                yield kind, look, size, f"{kind.code}-{i + 1:02}{j + 1}"


def opening_stock(chance: random.Random) -> int:
    """Return a likely stock: mostly 5 to 60 units, now and then some hundreds."""
    return chance.randint(150, 600) if chance.random() < 0.08 else chance.randint(5, 60)


def _barcode(number: int, seed: int) -> str:
    """Return a valid EAN-13 of the range kept for use inside a shop (it begins with 2)."""
    digits = f"2{seed % 1000:03}{number % 100_000_000:08}"
    check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10
    return f"{digits}{check}"
