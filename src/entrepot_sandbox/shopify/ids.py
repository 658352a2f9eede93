"""Numbers and global ids of the simulated shop: fixed offsets, so that the same seed gives the same ids."""

from __future__ import annotations

PRODUCT, VARIANT, ITEM = 8_100_000_000_000, 44_200_000_000_000, 46_300_000_000_000
ORDER, LINE, CUSTOMER = 5_400_000_000_000, 14_500_000_000_000, 7_600_000_000_000
FULFILLMENT_ORDER, FULFILLMENT_ORDER_LINE, FULFILLMENT = 6_700_000_000_000, 15_800_000_000_000, 5_900_000_000_000
REFUND, REFUND_LINE, SUBSCRIPTION, ADJUSTMENT = 910_000_000_000, 920_000_000_000, 1_300_000_000_000, 930_000_000_000
MEDIA, OPERATION = 34_100_000_000_000, 76_300_000_000
FIRST = {"product": PRODUCT, "variant": VARIANT, "item": ITEM, "media": MEDIA}
LOCATION, SHOP = 67_400_000_001, 58_200_000_001
LINES_PER_ORDER_MAX = 1_000
STEP = 32_768
"""Ids of one kind do not follow each other closely on the real channel either."""


def gid(kind: str, number: int | str) -> str:
    """Return the global id of a thing, such as `gid://shopify/Order/1`."""
    return f"gid://shopify/{kind}/{number}"


def number_of(global_id: str, kind: str) -> str | None:
    """Return the number in a global id (text), or None if it is not one of `kind`. Query parameters are cut off."""
    head, _, tail = global_id.rpartition("/")
    return tail.partition("?")[0] if head == f"gid://shopify/{kind}" else None
