"""Which lanes of fields are due, drafts and the catalog's side as pure functions, and asynchronous writes that drag on."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.channels.contract import Capability, RequestRejected
from entrepot.database.pool import Database
from entrepot.jobs.lanes import LaneKey
from entrepot.kernel.ids import new_id
from entrepot.sync.engine import find_due
from entrepot.sync.fields.drafts import Listed, listing_draft, price_change
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.fields.ours import can_take, columns_of
from entrepot.sync.fields.reads import read_step
from entrepot.sync.fields.store import Row
from entrepot.sync.fields.troubles import troubles_step
from entrepot.sync.fields.writing import write_step
from entrepot.sync.merge import values
from entrepot.sync.merge.rules import FieldState

OFFER: dict[str, Any] = {
    "product_id": new_id(), "variant_id": new_id(), "sku": "A", "currency": "EUR", "option_names": ["Size"],
    "images": [{"url": "u", "alt": "x"}], "handle": "h",
}  # fmt: skip


def euros(minor: int) -> Any:
    return values.minor(minor, "EUR")


def listed(rest: dict[str, Any] | None = None, offer: Any = OFFER, **fields: Any) -> Listed:
    listing = new_id()
    rows = {
        n: Row(listing, n, new_id(), FieldState(theirs=theirs), ours, None, s)
        for n, (s, ours, theirs) in fields.items()
    }
    return Listed(listing, "X", {}, "P", "7", True, rest or {}, rows, offer)


def test_a_draft_sends_what_goes_out_and_else_what_is_there() -> None:
    each = listed(
        {"sku": "A", "product_title": "Old", "vendor": "V", "tags": ["t"], "options": [["Size", "L"]], "key": "k",
         "published": False},
        title=("out", "New", "Old"), vendor=("conflict", "Ours", "Theirs"), price=("agreed", euros(500), euros(500)),
        compare_at=("held", euros(900), euros(800)), images=("agreed", ["u"], ["u"]),
    )  # fmt: skip
    draft = listing_draft([each], version_compared=True)
    assert draft is not None
    assert (draft.key, draft.title, draft.vendor, draft.tags, draft.images) == ("k", "New", "Theirs", ("t",), None)
    assert (draft.published, draft.expected_version, draft.option_names) == (False, "7", ("Size",))
    [variant] = draft.variants
    assert (variant.price, variant.compare_at, variant.options) == (Decimal("5.00"), Decimal("8.00"), ("L",))


def test_a_variant_without_a_match_is_sent_as_it_is_there() -> None:
    first = listed({"sku": "A"}, price=("out", euros(500), euros(400)), images=("out", ["u", "w"], ["u"]))
    other = listed({"sku": "B", "price": "7.00", "currency": "EUR", "compare_at": "9.00"}, offer=None)
    draft = listing_draft([first, other], version_compared=False)
    assert draft is not None
    assert [(v.sku, v.price, v.compare_at) for v in draft.variants] == [
        ("A", Decimal("5.00"), None), ("B", Decimal("7.00"), Decimal("9.00"))
    ]  # fmt: skip
    assert [(i.url, i.alt_text) for i in draft.images or ()] == [("u", "x"), ("w", "")]
    assert draft.expected_version == ""


def test_without_a_price_there_is_nothing_to_send() -> None:
    assert listing_draft([listed({"sku": "A"})], version_compared=False) is None
    assert price_change(listed(price=("out", None, None))) is None


def test_a_price_is_compared_in_its_own_currency_only() -> None:
    change = price_change(listed({"sku": "A"}, price=("out", euros(500), values.minor(400, "USD"))))
    assert change is not None
    assert (change.price, change.from_price, change.compare_at) == (Decimal("5.00"), None, None)
    known = price_change(listed(price=("out", euros(500), euros(400)), compare_at=("out", euros(900), "")))
    assert known is not None
    assert (known.from_price, known.compare_at) == (Decimal("4.00"), Decimal("9.00"))


@pytest.mark.parametrize(
    ("name", "value", "takes", "columns"),
    [
        ("title", "", False, None),
        ("title", "T", True, {"title": "T"}),
        ("price", euros(5), True, {"price_minor": 5}),
        ("price", values.minor(5, "USD"), False, None),
        ("compare_at", "", True, {"compare_at_minor": None}),
        ("compare_at", euros(7), True, {"compare_at_minor": 7}),
        ("options", {"Size": "L"}, True, {"option_values": ["L"]}),
        ("options", {"Colour": "red"}, False, None),
        ("tags", "", True, {"tags": []}),
        ("images", ["u?v=2", "w"], True, {"images": [{"url": "u?v=2", "alt": ""}, {"url": "w", "alt": ""}]}),
        ("vendor", "", True, {"vendor": ""}),
    ],
)
def test_what_the_catalog_can_take(name: str, value: Any, takes: bool, columns: Any) -> None:
    assert can_take(OFFER, name, value) is takes
    if takes:
        assert columns_of(OFFER, name, value) == columns


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha")).set_up()


async def due(hub: FieldHub) -> set[str]:
    found = {key.kind for key in await find_due(hub.context, hub.id)}
    return found & {"merge", "read", "fields", "troubles"}


async def test_lanes_are_due_while_there_is_something_to_do(hub: FieldHub) -> None:
    assert await due(hub) == {"troubles"}
    await troubles_step(hub.context, LaneKey("troubles", hub.id, hub.id))
    assert await due(hub) == set()
    await hub.change(title="Blue mug")
    await hub.react()
    assert await due(hub) == {"merge"}
    await merge_step(hub.context, hub.lane("merge", "alpha"))
    assert await due(hub) == {"fields"}
    await write_step(hub.context, hub.lane("fields", "alpha"))
    await hub.notify("alpha")
    assert await due(hub) == {"merge", "read"}
    await hub.settle()
    assert await due(hub) <= {"read"}


async def test_a_paused_connection_is_left_alone(hub: FieldHub) -> None:
    await hub.change(title="Blue mug")
    await hub.react()
    async with hub.database.transaction(hub.id) as tx:
        await tx.execute("update connection set state = 'paused' where organisation_id = $1", hub.id)
    assert await due(hub) <= {"troubles"}
    for step in (merge_step, read_step, write_step):
        assert await step(hub.context, hub.lane("merge", "alpha")) is None


async def test_a_write_that_drags_on_is_asked_for_until_it_ends(hub: FieldHub) -> None:
    shop = hub.shops["alpha"]
    shop.faults = ["later"]
    await hub.price("A", 1100)
    await hub.step("alpha")
    [handle] = shop.handles
    end, shop.handles[handle] = shop.handles[handle], None
    for _ in range(3):
        await hub.pass_time()
        assert await write_step(hub.context, hub.lane("fields", "alpha")) is not None
        assert (await hub.row("alpha", "price"))["state"] == "sending"
    shop.handles[handle] = end
    await hub.settle()
    assert (await hub.row("alpha", "price"))["state"] == "agreed"
    assert len(shop.prices) == 1


@pytest.mark.parametrize("how", ["forgotten", "unable"])
async def test_a_write_whose_end_nobody_can_tell_is_read(hub: FieldHub, how: str) -> None:
    shop = hub.shops["alpha"]
    shop.faults = ["later"]

    async def forgotten(api: Any, handle: str) -> Any:
        raise RequestRejected("no such feed")

    await hub.change(title="Blue mug")
    await hub.step("alpha")
    if how == "unable":
        shop.able = shop.able - {Capability.FOLLOW_LISTINGS}
    else:
        shop.follow_listings = forgotten  # type: ignore[method-assign, assignment]
    await hub.settle()
    assert (await hub.row("alpha", "title"))["state"] == "agreed"
    assert len(shop.drafts) == 1


async def test_where_single_products_cannot_be_read_all_listings_are(database: Database, organisation_id: UUID) -> None:
    able = frozenset({Capability.PULL_LISTINGS, Capability.PUSH_LISTINGS})
    hub = await FieldHub(database, organisation_id, Shop("alpha", able=able)).set_up()
    hub.shops["alpha"].edit("A", product_title="Green mug")
    await hub.notify("alpha")
    assert await read_step(hub.context, hub.lane("read", "alpha")) is None
    async with database.transaction(organisation_id) as tx:
        wanted = await tx.fetch_value(
            "select listings_wanted_at from connection_progress where organisation_id = $1", organisation_id
        )
    assert wanted is not None
    assert wanted <= datetime.now(UTC)
    await hub.pull("alpha")
    await merge_step(hub.context, hub.lane("merge", "alpha"))
    assert (await hub.detail()).row.title == "Green mug"
