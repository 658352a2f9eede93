"""Faults, seen from outside: what a hub meets, and what the journal says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from tests.sandbox.helpers import Ear, product, sale, until

from entrepot_sandbox.books import World
from entrepot_sandbox.faults import PROFILES, Faults, Level, Profile
from entrepot_sandbox.hooks import Deliverer
from entrepot_sandbox.journal import (
    HookAnswered,
    HookFault,
    NotAnswering,
    OrderTold,
    QuantityWritten,
    Requested,
    ToldBy,
)
from entrepot_sandbox.marketplace import Hook
from entrepot_sandbox.server import Config, Running, running


@asynccontextmanager
async def square(profile: Profile) -> AsyncIterator[tuple[Running, httpx.AsyncClient, str]]:
    """Serve a Square on which exactly this goes wrong."""
    async with running(Config(products=2, channels=("square",), time_scale=1000)) as serving:
        serving.sandbox.faults.level, serving.sandbox.faults.profile = Level.HARSH, profile
        (account,) = serving.sandbox.markets["square"].accounts()
        headers = {"authorization": f"Bearer {account.credentials['access_token']}"}
        async with httpx.AsyncClient(base_url=f"{serving.url}/square", headers=headers, trust_env=False) as http:
            yield serving, http, account.settings["location_id"]


def raise_of(serving: Running, location_id: str, units: int = 5) -> dict[str, Any]:
    listing = next(iter(serving.sandbox.world.shops["square"].listings.values()))
    told = {
        "from_state": "NONE",
        "to_state": "IN_STOCK",
        "location_id": location_id,
        "catalog_object_id": listing.id,
        "quantity": str(units),
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    return {"idempotency_key": "k", "changes": [{"type": "ADJUSTMENT", "adjustment": told}]}


CHANGE = "/v2/inventory/changes/batch-create"


@pytest.mark.parametrize(
    ("profile", "statuses", "fault"),
    [
        (Profile(too_many=1, retry_after_s=1.5), {429}, "too_many"),
        (Profile(server_error=1), {500, 503}, "server_error"),
        (Profile(outage_every_s=0.000001, outage_s=100), {503}, "outage"),
    ],
)
async def test_refusals_in_the_channels_words_and_nothing_is_done(
    profile: Profile, statuses: set[int], fault: str
) -> None:
    async with square(profile) as (serving, http, location_id):
        await http.get("/v2/locations")
        reply = await http.post(CHANGE, json=raise_of(serving, location_id))
        journal = serving.sandbox.world.journal
        assert reply.status_code in statuses
        assert reply.json()["errors"][0]["code"]
        assert not list(journal.of(QuantityWritten))
        blamed = list(journal.of(NotAnswering))[-1]
        assert (blamed.channel, blamed.fault, blamed.operation) == ("square", fault, "BatchChangeInventory")
        assert blamed.until - blamed.at >= (1.5 if fault == "too_many" else 0)


async def test_a_connection_dropped_before_anything_was_done() -> None:
    async with square(Profile(dropped=1)) as (serving, http, location_id):
        with pytest.raises(httpx.HTTPError):
            await http.post(CHANGE, json=raise_of(serving, location_id))
        journal = serving.sandbox.world.journal
        assert not list(journal.of(QuantityWritten))
        await until(lambda: [event.status for event in journal.of(Requested)] == [0])


async def test_an_answer_lost_after_it_was_done() -> None:
    async with square(Profile(answer_lost=1, answer_lost_after_s=0.01)) as (serving, http, location_id):
        with pytest.raises(httpx.HTTPError):
            await http.post(CHANGE, json=raise_of(serving, location_id))
        journal = serving.sandbox.world.journal
        assert [event.after for event in journal.of(QuantityWritten)] == [5]
        await until(lambda: [event.fault for event in journal.of(NotAnswering)] == ["answer_lost"])


async def test_a_lost_answer_tells_the_hub_nothing() -> None:
    async with square(Profile()) as (serving, http, location_id):
        await http.post(CHANGE, json=raise_of(serving, location_id))
        market = serving.sandbox.markets["square"]
        sku = next(iter(serving.sandbox.world.products))
        order = market.place_order(sale(**{sku: 1}))
        assert order is not None
        serving.sandbox.faults.profile = Profile(answer_lost=1, answer_lost_after_s=0.01)
        with pytest.raises(httpx.HTTPError):
            await http.get(f"/v2/orders/{order.id}")
        assert not list(serving.sandbox.world.journal.of(OrderTold))
        serving.sandbox.faults.profile = Profile()
        await http.get(f"/v2/orders/{order.id}")
        await until(lambda: any(serving.sandbox.world.journal.of(OrderTold)))


async def test_latency_is_journaled_as_time_in_which_the_channel_did_not_answer() -> None:
    async with square(Profile(latency=1, latency_s=0.02)) as (serving, http, _):
        assert (await http.get("/v2/locations")).status_code == 200
        (blamed,) = serving.sandbox.world.journal.of(NotAnswering)
        assert blamed.fault == "latency"
        assert blamed.until > blamed.at


async def test_a_skewed_clock_shows_in_dates_and_order_times() -> None:
    async with square(Profile()) as (serving, http, location_id):
        serving.sandbox.world.clock.skew("square", 7200)
        reply = await http.post(CHANGE, json=raise_of(serving, location_id))
        ahead = parsedate_to_datetime(reply.headers["date"]) - datetime.now(UTC)
        assert 7100 < ahead.total_seconds() < 7300
        sku = next(iter(serving.sandbox.world.products))
        order = serving.sandbox.markets["square"].place_order(sale(**{sku: 1}))
        assert order is not None
        assert (order.placed_at - datetime.now(UTC)).total_seconds() > 7000


def test_levels_are_seeded_and_harsh_is_worse_than_mild() -> None:
    def met(level: Level, seed: int) -> list[tuple[str, bool]]:
        faults = Faults(World([product("A")], seed=seed), ("x",))
        faults.use(level)
        return [(plan.fault, plan.delay_s > 0) for plan in (faults.plan("x") for _ in range(2000))]

    assert met(Level.HARSH, 1) == met(Level.HARSH, 1) != met(Level.HARSH, 2)
    assert {fault for fault, _ in met(Level.NONE, 1)} == {""}
    mild, harsh = (sum(1 for fault, _ in met(level, 1) if fault) for level in (Level.MILD, Level.HARSH))
    assert 0 < mild < harsh
    assert {"too_many", "server_error", "dropped", "answer_lost"} <= {fault for fault, _ in met(Level.HARSH, 1)}
    assert 0 < PROFILES[Level.HARSH].skew_s <= 5


# -- webhooks --


def hook(url: str, number: int = 0, **more: Any) -> Hook:
    def headers(attempt: int) -> dict[str, str]:
        return {"x-attempt": str(attempt)}

    body = f'{{"n": {number}}}'.encode()
    return Hook("s", url, "order.created", f"e{number}", body, headers, tells=((f"o{number}", 1),), **more)


@asynccontextmanager
async def deliverer(profile: Profile, seed: int = 0) -> AsyncIterator[tuple[World, Deliverer]]:
    world = World([product("A")], seed=seed, time_scale=1000)
    faults = Faults(world, ("x",))
    faults.profile = profile
    made = Deliverer(world, faults)
    yield world, made
    await made.close()


async def test_an_acknowledged_webhook_tells_the_hub(ear: Ear) -> None:
    async with deliverer(Profile()) as (world, made):
        made.publish("x", hook(ear.url))
        made.publish("x", hook(ear.url, 1, whole=False))
        await until(lambda: made.pending == 0)
        told = sorted((event.order_id, event.by) for event in world.journal.of(OrderTold))
    assert told == [("o0", ToldBy.WEBHOOK), ("o1", ToldBy.NOTICE)]


async def test_a_refused_webhook_tells_nothing_until_a_retry_is_acknowledged(ear: Ear) -> None:
    ear.answers = [500, 404]
    async with deliverer(Profile()) as (world, made):
        made.publish("x", hook(ear.url, retry_after_s=(1, 1, 1)))
        await until(lambda: made.pending == 0)
        assert [event.status for event in world.journal.of(HookAnswered)] == [500, 404, 200]
        assert len(list(world.journal.of(OrderTold))) == 1
    assert [headers["x-attempt"] for headers, _ in ear.heard] == ["1", "2", "3"]
    assert len({body for _, body in ear.heard}) == 1


async def test_a_webhook_is_given_up_after_the_last_retry(ear: Ear) -> None:
    ear.answers = [500] * 9
    async with deliverer(Profile()) as (world, made):
        made.publish("x", hook(ear.url, retry_after_s=(1, 1)))
        await until(lambda: made.pending == 0)
        assert not list(world.journal.of(OrderTold))
    assert len(ear.heard) == 3


async def test_nobody_listening_counts_as_no_answer() -> None:
    async with deliverer(Profile()) as (world, made):
        made.publish("x", hook("http://127.0.0.1:9/nothing", retry_after_s=()))
        await until(lambda: made.pending == 0)
        assert [event.status for event in world.journal.of(HookAnswered)] == [0]


async def test_lost_and_doubled_webhooks(ear: Ear) -> None:
    async with deliverer(Profile(hook_lost=0.3, hook_doubled=0.3)) as (world, made):
        for number in range(60):
            made.publish("x", hook(ear.url, number))
        await until(lambda: made.pending == 0)
        faults = Counter(event.fault for event in world.journal.of(HookFault))
    assert min(faults["lost"], faults["doubled"]) > 5
    assert len(ear.heard) == 60 - faults["lost"] + faults["doubled"]
    assert max(Counter(event["n"] for event in ear.events).values()) == 2


async def test_late_and_reordered_webhooks_come_in_another_order(ear: Ear) -> None:
    async with deliverer(Profile(hook_late=0.3, hook_late_s=0.2, hook_reordered=0.3)) as (_, made):
        for number in range(20):
            made.publish("x", hook(ear.url, number))
        await until(lambda: made.pending == 0)
    numbers = [event["n"] for event in ear.events]
    assert sorted(numbers) == list(range(20))
    assert numbers != sorted(numbers)
