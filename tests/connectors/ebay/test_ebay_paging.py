"""However orders change while they are paged, none that stays is missed, and one that changes is found by the next search."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.connectors.ebay.given import scripted
from tests.connectors.scripted import reply

from entrepot.channels.contract import Call, Reply
from entrepot.connectors.ebay import CONNECTOR

TEMPLATE = msgspec.json.decode((Path(__file__).parent / "payloads" / "orders_1.json").read_bytes())["orders"][0]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Shop:
    """Orders that change between the pages of a search, which has few on a page. The newest change comes first or last."""

    def __init__(self, count: int, size: int, chance: Random, *, is_descending: bool) -> None:
        self.changed = {number: NOW - timedelta(minutes=60 + number) for number in range(1, count + 1)}
        self.size, self.chance, self.is_descending = size, chance, is_descending
        self.moved: set[int] = set()
        self.changes_left = 0

    def answer(self, call: Call) -> Reply:
        query = dict(call.query)
        span = re.fullmatch(r"lastmodifieddate:\[(.*?Z)\.\.(.*)\]", query["filter"])
        assert span is not None
        after = datetime.fromisoformat(span[1])
        before = datetime.fromisoformat(span[2]) if span[2] else NOW + timedelta(days=1)
        found = sorted(
            (number for number, at in self.changed.items() if after <= at <= before),
            key=lambda number: (self.changed[number], number),
            reverse=self.is_descending,
        )
        offset = int(query["offset"])
        orders = [
            {
                **TEMPLATE,
                "orderId": f"11-00000-{number:05d}",
                "lastModifiedDate": self.changed[number].isoformat().replace("+00:00", "Z"),
            }
            for number in found[offset : offset + self.size]
        ]
        if span[2] and self.changes_left and self.chance.random() < 0.6:
            self.changes_left -= 1
            number = self.chance.choice(list(self.changed))
            self.moved.add(number)
            self.changed[number] = NOW + timedelta(seconds=len(self.moved))
        return reply({"total": len(found), "limit": self.size, "offset": offset, "orders": orders})


@settings(deadline=None, max_examples=150)
@given(
    count=st.integers(0, 14),
    size=st.integers(1, 4),
    changes=st.integers(0, 6),
    seed=st.integers(0, 10_000),
    is_descending=st.booleans(),
)
def test_no_order_is_missed(count: int, size: int, changes: int, seed: int, is_descending: bool) -> None:
    asyncio.run(_no_order_is_missed(count, size, changes, seed, is_descending))


async def _no_order_is_missed(count: int, size: int, changes: int, seed: int, is_descending: bool) -> None:
    shop = Shop(count, size, Random(seed), is_descending=is_descending)
    shop.changes_left = changes
    start = NOW - timedelta(days=1)
    cursor = f'{{"by":"changed","created":"","changed":"{start.isoformat()}"}}'
    seen: set[int] = set()
    for _ in range(200):
        page = await CONNECTOR.pull_orders(scripted([shop.answer]), cursor)
        seen |= {int(order.external_id[-5:]) for order in page.items}
        assert page.cursor is not None
        cursor = page.cursor
        if not page.more:
            break
    else:
        raise AssertionError("the pages do not end")
    assert shop.changed.keys() - shop.moved <= seen, "an order that did not change was missed"
    following = msgspec.json.decode(cursor)["changed"]
    assert datetime.fromisoformat(following) <= NOW, "what changed meanwhile is found by the next search"
