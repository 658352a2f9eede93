"""A shop's own product file: imported, published to three channels, edited on both sides at once; all is accounted for."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, PublishHub, publish_hub

from entrepot.database.pool import Database
from entrepot.stock import facade as stock
from entrepot.sync.importing import ImportOptions, Stage, take_in
from entrepot.sync.publishing.contracts import Wanted

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


async def publish_and_edit(database: Database, organisation_id: UUID, products: int | None, edits: int) -> None:
    async with publish_hub(database, organisation_id, time_scale=2000) as hub:
        taken = await take_in(
            database, hub.actor, part_of_file(products), ImportOptions("EUR"), name="shop.csv", here=True
        )
        assert taken.stage is Stage.APPLIED, taken
        async with database.transaction(organisation_id) as tx:
            # The shop's own numbers are no barcodes, as the check says; somebody takes them out.
            await tx.execute(
                "update variant set barcode = '' where organisation_id = $1 and barcode !~ '^([0-9]{8}|[0-9]{12,14})$'",
                organisation_id,
            )
        await hub.ask(Wanted.PUBLISH)
        await hub.settle(200)
        await all_accounted_for(hub)
        await edit_both_sides(hub, edits)
        await hub.settle(200)
        await converged(hub, edits)


async def all_accounted_for(hub: PublishHub) -> None:
    """Every product is live, or says what keeps it from being so."""
    count = len(await hub.products())
    for channel in CHANNELS:
        rows = await hub.rows(
            "select i.state, i.detail, i.problems, i.completeness from listing_intent i"
            " join connection c on c.organisation_id = $1 and c.id = i.connection_id"
            f" where i.organisation_id = $1 and c.channel = '{channel}'"
        )
        assert len(rows) == count
        assert {row["state"] for row in rows} <= {"live", "draft", "error"}, Counter(row["state"] for row in rows)
        assert all(row["state"] == "live" or row["problems"] or row["detail"] for row in rows)
        assert all(row["completeness"] is not None for row in rows)
        live = await hub.rows(
            "select l.sku from listing l join connection c on c.organisation_id = $1 and c.id = l.connection_id"
            f" where l.organisation_id = $1 and c.channel = '{channel}' and l.active"
        )
        assert live, Counter(f"{row['state']} {row['detail']} {row['problems']}"[:300] for row in rows)
        assert set(await hub.there(channel)) == {row["sku"] for row in live}


async def edited(hub: PublishHub, count: int) -> list[Any]:
    """Return products that are live on every channel, with their first SKU."""
    return await hub.rows(
        "select p.id, p.title, (select v.sku from variant v where v.organisation_id = $1 and v.product_id = p.id"
        " and v.state = 'active' order by v.position, v.id limit 1) as sku from product p where p.organisation_id = $1"
        " and (select count(*) from listing_intent i where i.organisation_id = $1 and i.product_id = p.id"
        f" and i.state = 'live') = {len(CHANNELS)} order by p.id limit {count}"
    )


async def edit_both_sides(hub: PublishHub, count: int) -> None:
    """In turn: only ours, only theirs, both alike, both differently."""
    for number, row in enumerate(await edited(hub, count)):
        kind = number % 4
        if kind != 1:
            title = f"Both {number}" if kind == 2 else f"Ours {number}"
            async with hub.database.transaction(hub.id) as tx:
                await tx.execute(
                    "update product set title = $3, updated_at = clock_timestamp() where organisation_id = $1 and id = $2",
                    hub.id, row["id"], title,
                )  # fmt: skip
                await hub.tell_changed(tx, row["id"])
        if kind:
            await hub.edit("shopify", row["sku"], title=f"Both {number}" if kind == 2 else f"Theirs {number}")
            await hub.want_read("shopify", row["sku"])


async def converged(hub: PublishHub, count: int) -> None:
    """Titles are alike on every side, but for those in conflict, of which each is an open row of the queue."""
    rows = await hub.rows(
        "select c.subject_id, c.field, c.ours, c.theirs, v.product_id from conflict c join variant v"
        " on v.organisation_id = $1 and v.id = c.variant_id where c.organisation_id = $1 and c.state = 'open'"
    )
    contested = {row["product_id"] for row in rows if row["field"] == "title"}
    there = {channel: await hub.there(channel) for channel in CHANNELS}
    checked = 0
    for number, row in enumerate(await edited(hub, count)):
        if number % 4 == 3:
            assert row["id"] in contested, f"{row['title']} was changed on both sides and is no conflict"
            continue
        assert row["id"] not in contested
        wanted = {0: f"Ours {number}", 1: f"Theirs {number}", 2: f"Both {number}"}[number % 4]
        shown = {channel: there[channel][row["sku"]].product_title for channel in CHANNELS}
        assert {row["title"], *shown.values()} == {wanted}, (row["title"], shown, await hub.parked())
        checked += 1
    assert checked
    assert await hub.open_work() == 0
    async with hub.database.transaction(hub.id) as tx:
        assert await stock.verify(tx) == []


async def test_a_part_of_the_file(database: Database, organisation_id: UUID) -> None:
    await publish_and_edit(database, organisation_id, 24, 8)


@pytest.mark.slow
async def test_the_whole_file(database: Database, organisation_id: UUID) -> None:
    await publish_and_edit(database, organisation_id, None, 40)
