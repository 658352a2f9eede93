"""A shop's own product file: imported and published to three channels; what cannot go says why."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, PublishHub, publish_hub

from entrepot.connectors.amazon.manifest import EXEMPTION
from entrepot.database.pool import Database
from entrepot.sync.importing import ImportOptions, Stage, take_in
from entrepot.sync.publishing import reading
from entrepot.sync.publishing.contracts import IntentView, Wanted

DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "shopify_product_csv"


def part_of_file(products: int | None) -> str:
    """Return the file with so many products (None: all)."""
    files = sorted(DATA.glob("*.csv"))
    if not files:
        pytest.skip(f"The product file is not at {DATA}.")
    text = next(each for each in files if each.name == "2017_fashion.csv").read_text(encoding="utf-8-sig")
    if products is None:
        return text
    rows = list(csv.reader(io.StringIO(text)))
    handles = list(dict.fromkeys(row[0] for row in rows[1:]))[:products]
    kept = io.StringIO()
    csv.writer(kept).writerows([rows[0], *(row for row in rows[1:] if row[0] in handles)])
    return kept.getvalue()


async def publish_file(hub: PublishHub, products: int | None) -> dict[str, Counter[str]]:
    """Import the file and publish it everywhere; return by channel in which states the products are."""
    taken = await take_in(
        hub.database, hub.actor, part_of_file(products), ImportOptions("EUR"), name="shop.csv", here=True
    )
    assert taken.stage is Stage.APPLIED, taken
    await hub.ask(Wanted.PUBLISH, attributes={})
    await hub.settle()
    own = await hub.rows(
        "select distinct product_id from variant where organisation_id = $1 and barcode <> ''"
        " and barcode !~ '^([0-9]{8}|[0-9]{12,14})$'"
    )
    kept_back = await problems(hub, "amazon")
    assert own
    assert {row[0] for row in own} == {product for product, fields in kept_back.items() if "barcode" in fields}
    # Amazon has exempted this shop from barcodes, says somebody.
    await hub.ask(Wanted.PUBLISH, "amazon", attributes={EXEMPTION: "yes"})
    await hub.settle()
    assert not any("barcode" in fields for fields in (await problems(hub, "amazon")).values())
    return await all_accounted_for(hub)


async def problems(hub: PublishHub, channel: str) -> dict[UUID, set[str]]:
    """Return what keeps products from a channel: fields by product."""
    rows = await hub.rows(
        "select i.product_id, i.problems from listing_intent i join connection c on c.organisation_id = $1"
        f" and c.id = i.connection_id where i.organisation_id = $1 and c.channel = '{channel}' and i.state <> 'live'"
    )
    return {row[0]: {each["field"] for each in row[1]} for row in rows}


async def all_accounted_for(hub: PublishHub) -> dict[str, Counter[str]]:
    """Every product is live, with all of its variants, or says in words what keeps it from being so."""
    count = len(await hub.products())
    states: dict[str, Counter[str]] = {}
    for channel in CHANNELS:
        found = await all_intents(hub, channel)
        assert len(found) == count
        states[channel] = Counter(each.state for each in found)
        assert set(states[channel]) <= {"live", "draft", "error"}, states
        for each in found:
            assert each.completeness is not None
            assert (each.state == "live") is (each.text == ""), (each.state, each.text)
        wanted = await hub.rows(
            "select v.sku from variant v join listing_intent i on i.organisation_id = $1 and i.product_id = v.product_id"
            " join connection c on c.organisation_id = $1 and c.id = i.connection_id"
            f" where v.organisation_id = $1 and v.state = 'active' and i.state = 'live' and c.channel = '{channel}'"
        )
        assert wanted, Counter(each.text[:200] for each in found)
        assert set(await hub.there(channel)) == {row["sku"] for row in wanted}
        print(channel, Counter(f"{each.state}: {each.text[:160]}" for each in found).most_common(12))
    print({channel: dict(each) for channel, each in states.items()})
    return states


async def all_intents(hub: PublishHub, channel: str) -> list[IntentView]:
    found: list[IntentView] = []
    cursor: str | None = None
    while True:
        async with hub.database.transaction(hub.id) as tx:
            chosen = reading.IntentFilter(connection_id=hub.connections[channel])
            page = await reading.list_intents(tx, chosen, cursor, 250)
        found += page
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_part_of_the_file(database: Database, organisation_id: UUID) -> None:
    async with publish_hub(database, organisation_id, time_scale=2000) as hub:
        states = await publish_file(hub, 30)
        assert states == {channel: {"live": 30} for channel in CHANNELS}


@pytest.mark.slow
async def test_the_whole_file(database: Database, organisation_id: UUID) -> None:
    async with publish_hub(database, organisation_id, time_scale=2000) as hub:
        states = await publish_file(hub, None)
        # Two products differ in more than colour and size (names of jewels; a material): Amazon wants to be told by what.
        assert states == {"shopify": {"live": 997}, "amazon": {"live": 995, "error": 2}, "square": {"live": 997}}
        refused = [each.text for each in await all_intents(hub, "amazon") if each.state == "error"]
        assert all("variation theme" in text and "say by what they differ" in text for text in refused)
