"""A shop's own file is published, then edited on both sides at once: it converges, and every conflict is accounted for.

What is true is read here from both sides themselves, the catalog's tables and the channels, never from what the hub believes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, WRITES, PublishHub, publish_hub
from tests.sync.test_publish_a_shop import publish_file

from entrepot.catalog import editing
from entrepot.channels.contract import ChannelListing
from entrepot.channels.html_text import plain_text
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.sync import conflicts
from entrepot.sync.conflicts import Choice, Side

FIELDS: Mapping[str, tuple[str, ...]] = {
    "shopify": ("title", "description", "tags", "price"),
    "amazon": ("title", "description", "price"),
    "square": ("title", "description", "price"),
}
"""What people edit, where the channel has it."""


@dataclass
class Bench:
    """A hub with published products that is edited on all sides, with faults, as a seed says."""

    hub: PublishHub
    chance: random.Random
    late: list[tuple[str, str]] = field(default_factory=list)
    lost: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    sides: dict[tuple[UUID, str], dict[str, Any]] = field(default_factory=dict)
    """What each side made of a field of a product, in the form that is compared."""

    # ---- editing

    async def edit_both_sides(self, products: int) -> None:
        """Edit so many products here, on a channel, or on several sides, of the same field or of others, alike or not."""
        rows = await self.live_everywhere()
        for row in self.chance.sample(rows, min(products, len(rows))):
            names = self.chance.choice([("hub",), CHANNELS[:1], CHANNELS[1:2], CHANNELS[2:], *[("hub", c) for c in CHANNELS],
                                        ("hub", *CHANNELS), CHANNELS[:2], CHANNELS])  # fmt: skip
            alike = self.chance.random() < 0.25
            name = self.chance.choice(("title", "description", "tags", "price"))
            value = self.value(name, row)
            for side in self.chance.sample(names, len(names)):
                if self.chance.random() < 0.3:
                    name = self.chance.choice(("title", "description", "tags", "price"))
                    value = self.value(name, row)
                await self.edit(side, row, name, value if alike else self.value(name, row))
            if self.chance.random() < 0.2:
                # The lanes work while people go on editing.
                await self.hub.settle(1)

    def value(self, name: str, row: Any) -> Any:
        number = self.chance.randrange(10**6)
        if name == "price":
            # One of twenty is a slip of the hand: so far from what it was that a person is asked.
            percent = 300 if self.chance.random() < 0.05 else self.chance.randint(85, 115)
            return Decimal(row["price_minor"] * percent // 10_000) + Decimal("0.49")
        if name == "tags":
            return sorted(self.chance.sample(["linen", "new", "sale", "summer", "gift", f"lot {number}"], 3))
        return f"Edited {name} {number}" if name == "title" else f"<p>Edited <em>text</em> {number}</p>"

    async def edit(self, side: str, row: Any, name: str, value: Any) -> None:
        if side == "hub":
            await self.edit_here(row, name, value)
        elif name in FIELDS[side]:
            sku = row["skus"][side]
            if name == "description":
                plain = side == "amazon"
                await self.hub.edit(side, sku, description_html=plain_text(value) if plain else value)
            else:
                await self.hub.edit(side, sku, **{name: str(value) if name == "price" else value})
            await self.tell(side, sku)
        else:
            return
        self.edits[f"{side} {name}"] += 1
        edited = int(value * 100) if name == "price" else told(name, value)
        self.sides.setdefault((row["id"], name), {})[side] = edited

    async def edit_here(self, row: Any, name: str, value: Any) -> None:
        async with self.hub.database.transaction(self.hub.id) as tx:
            variants: tuple[editing.VariantEdit, ...] = ()
            fields: dict[str, Any] = {}
            if name == "price":
                variants = (editing.VariantEdit(row["variant_id"], {"price_minor": int(value * 100)}),)
            else:
                fields[name] = value
            await editing.save(tx, row["id"], editing.ProductEdit(fields, variants))

    async def tell(self, channel: str, sku: str) -> None:
        """The channel's message of a change comes once, twice, late, or never."""
        fate = self.chance.choice(("once", "once", "twice", "late", "lost"))
        if fate in ("once", "twice"):
            for _ in range(1 if fate == "once" else 2):
                await self.hub.want_read(channel, sku)
        elif fate == "late":
            self.late.append((channel, sku))
        else:
            self.lost += 1

    def lose_answers(self, count: int) -> None:
        """So many of the next answers to writes are lost on each channel, though the channel did what was asked."""
        for channel in CHANNELS:
            self.hub.wire(channel).faults += ["lost"] * count

    async def converge(self) -> None:
        """Late messages come; what was never told is found by the check of whole catalogs."""
        await self.hub.settle()
        while self.late:
            await self.hub.want_read(*self.late.pop(self.chance.randrange(len(self.late))))
        await self.hub.settle()
        for channel in CHANNELS:
            await self.hub.compare_all(channel)
        await self.hub.settle()

    # ---- what is true

    async def live_everywhere(self) -> list[Any]:
        """Return products that are live on every channel, with the variant that each channel's product is edited by."""
        rows = await self.hub.rows(
            "select p.id, p.title, p.description, p.tags, l.variant_id, v.price_minor,"
            " jsonb_object_agg(c.channel, l.sku) as skus from product p"
            " join variant v on v.organisation_id = $1 and v.product_id = p.id and v.state = 'active'"
            " join listing l on l.organisation_id = $1 and l.variant_id = v.id and l.active"
            " join listing_reading r on r.organisation_id = $1 and r.listing_id = l.id and r.leads"
            " join connection c on c.organisation_id = $1 and c.id = l.connection_id"
            f" where p.organisation_id = $1 group by 1, 2, 3, 4, 5, 6 having count(*) = {len(CHANNELS)} order by p.id"
        )
        assert rows
        return rows

    async def differences(self) -> dict[tuple[UUID, str], tuple[Any, Any]]:
        """Return every field of every listing in which the catalog and the channel differ: ours, theirs."""
        catalog = await self.hub.rows(
            "select c.channel, l.id, l.sku, r.leads, p.title, p.description, p.tags, v.price_minor from listing l"
            " join listing_reading r on r.organisation_id = $1 and r.listing_id = l.id"
            " join connection c on c.organisation_id = $1 and c.id = l.connection_id"
            " join variant v on v.organisation_id = $1 and v.id = l.variant_id"
            " join product p on p.organisation_id = $1 and p.id = v.product_id where l.organisation_id = $1 and l.active"
        )
        own = {
            (row["listing_id"], row["field"]): row["value"]
            for row in await self.hub.rows(
                "select listing_id, field, value from listing_override where organisation_id = $1"
            )
        }
        there = {channel: await self.hub.there(channel) for channel in CHANNELS}
        found: dict[tuple[UUID, str], tuple[Any, Any]] = {}
        for row in catalog:
            theirs = shown(row["channel"], there[row["channel"]][row["sku"]])
            for name in FIELDS[row["channel"]]:
                if name != "price" and not row["leads"]:
                    continue
                ours = own.get((row["id"], name), row["price_minor"] if name == "price" else row[name])
                if told(name, ours) != theirs[name]:
                    found[row["id"], name] = told(name, ours), theirs[name]
        return found

    async def open(self) -> list[Any]:
        return await self.hub.rows(
            "select o.*, c.channel, v.product_id from conflict o"
            " join connection c on c.organisation_id = $1 and c.id = o.connection_id"
            " join variant v on v.organisation_id = $1 and v.id = o.variant_id"
            " where o.organisation_id = $1 and o.state = 'open' order by o.id"
        )

    async def accounted_for(self) -> int:
        """Both sides agree, or there is exactly one open conflict, which names both values; return how many there are."""
        differ, waiting = await self.differences(), await self.open()
        by_field = {(row["subject_id"], row["field"]): row for row in waiting}
        assert len(by_field) == len(waiting), "one conflict for each field"
        lost = {key: values for key, values in differ.items() if key not in by_field}
        assert not lost, (lost, await self.hub.parked())
        needless = {key: (row["ours"], row["theirs"], row["why"]) for key, row in by_field.items() if key not in differ}
        assert not needless, needless
        for key, row in by_field.items():
            assert (told(key[1], row["ours"]), told(key[1], row["theirs"])) == differ[key], row["field"]
        assert await self.hub.open_work() == 0
        return len(waiting)

    async def only_what_several_edited_waits(self) -> int:
        """Where one side edited, that has flown everywhere, but for prices that swing; return how many conflicts there are."""
        waiting = await self.open()
        for row in waiting:
            sides = self.sides[row["product_id"], row["field"]]
            assert len(sides) > 1 or row["why"].startswith("swing"), (
                sides,
                row["field"],
                row["why"],
                row["ours"],
                row["theirs"],
            )
        return len(waiting)

    async def no_edit_is_lost(self) -> None:
        """Until somebody decides, what anybody wrote is the catalog's value now, or waits in a conflict."""
        kept: dict[tuple[UUID, str], list[Any]] = {}
        for row in await self.open():
            kept.setdefault((row["product_id"], row["field"]), []).append(told(row["field"], row["theirs"]))
        for row in await self.live_everywhere():
            for name in ("title", "description", "tags", "price"):
                now = told(name, row["price_minor"] if name == "price" else row[name])
                for side, edited in self.sides.get((row["id"], name), {}).items():
                    assert edited in (now, *kept.get((row["id"], name), ())), (side, name, edited, now)

    # ---- deciding

    async def decide_all(self) -> Counter[str]:
        """Decide what is open, by every way there is, until nothing is; return how often each was taken."""
        ways: Counter[str] = Counter()
        for _ in range(12):
            waiting = await self.open()
            if not waiting:
                return ways
            by_similar = self.chance.choice(waiting)
            side = self.chance.choice((Side.OURS, Side.THEIRS))
            async with self.hub.database.transaction(self.hub.id) as tx:
                settled = await conflicts.resolve_similar(tx, self.hub.actor, by_similar["id"], Choice(side), utc_now())
            ways["all similar"] += sum(not each.problem for each in settled)
            for row in await self.open():
                choice = self.choice(row)
                async with self.hub.database.transaction(self.hub.id) as tx:
                    (one,) = await conflicts.resolve_many(tx, self.hub.actor, [row["id"]], choice, utc_now())
                if not one.problem:
                    ways[str(choice.side)] += 1
            await self.converge()
            await self.accounted_for()
        raise AssertionError(f"Deciding does not end: {[(r['field'], r['ours'], r['theirs']) for r in waiting]}")

    def choice(self, row: Any) -> Choice:
        side = self.chance.choice((Side.OURS, Side.THEIRS, Side.VALUE))
        if side is not Side.VALUE:
            return Choice(side)
        if row["field"] == "price":
            middle = (row["ours"]["minor"] + row["theirs"]["minor"]) // 2
            return Choice(side, {"minor": middle, "currency": row["ours"]["currency"]})
        if row["field"] == "tags":
            return Choice(side, sorted({*row["ours"], *row["theirs"]}))
        return Choice(side, f"Merged {row['field']} {self.chance.randrange(10**6)}")

    # ---- writes

    def writes(self) -> int:
        """Return how many calls changed products or prices on the channels so far."""
        return sum(call.operation in WRITES for channel in CHANNELS for call in self.hub.wire(channel).calls)

    async def is_at_rest(self) -> None:
        """Every channel tells of every product, twice, and all is compared: nothing is written, so no echo goes round."""
        before, waiting = self.writes(), await self.open()
        for _ in range(2):
            for row in await self.live_everywhere():
                for channel in CHANNELS:
                    await self.hub.want_read(channel, row["skus"][channel])
            await self.converge()
        assert self.writes() == before
        assert await self.open() == waiting


def told(name: str, value: Any) -> Any:
    """Return a value of ours, or of a conflict, in the one form that is compared here."""
    if name == "price":
        return value["minor"] if isinstance(value, dict) else value
    if name == "tags":
        return sorted({each.casefold() for each in value or ()})
    return " ".join(plain_text(value).split()) if name == "description" else " ".join(value.split())


def shown(channel: str, listing: ChannelListing) -> dict[str, Any]:
    """Return what a channel shows, in that form."""
    assert listing.price is not None
    return {
        "title": told("title", listing.product_title),
        "description": told("description", listing.description_html or listing.description),
        "tags": told("tags", listing.tags),
        "price": int(listing.price * 100),
    }


async def converge_a_shop(
    database: Database, organisation_id: UUID, *, seed: int, products: int | None, edited: int, lost: int
) -> None:
    async with publish_hub(database, organisation_id, time_scale=2000) as hub:
        await publish_file(hub, products)
        bench = Bench(hub, random.Random(seed))
        assert await bench.accounted_for() == 0
        before = bench.writes()
        bench.lose_answers(lost)
        await bench.edit_both_sides(edited)
        await bench.converge()
        await bench.accounted_for()
        await bench.no_edit_is_lost()
        waiting = await bench.only_what_several_edited_waits()
        print(f"edits {dict(bench.edits)}, lost messages {bench.lost}, conflicts {waiting}")
        assert waiting, "some were edited on both sides"
        bench.lose_answers(lost)
        ways = await bench.decide_all()
        print(f"decided {dict(ways)}, writes {bench.writes() - before}")
        assert await bench.accounted_for() == 0
        assert len(ways) > 1
        # An edit or a decision goes to three channels at most; a lost answer may have one repeated.
        asked = bench.edits.total() + ways.total()
        assert bench.writes() - before <= 3 * asked + 3 * 2 * lost
        await bench.is_at_rest()
        async with database.transaction(organisation_id) as tx:
            assert await stock.verify(tx) == []


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_both_sides_edited_at_once_converge(database: Database, organisation_id: UUID, seed: int) -> None:
    await converge_a_shop(database, organisation_id, seed=seed, products=24, edited=24, lost=3)


@pytest.mark.slow
async def test_the_whole_file_converges(database: Database, organisation_id: UUID) -> None:
    await converge_a_shop(database, organisation_id, seed=3, products=None, edited=300, lost=12)
