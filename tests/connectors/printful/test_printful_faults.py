"""Nothing is ordered twice at a Printful where everything goes wrong: calls are lost before and after they were done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.connectors.http_api import HttpApi
from tests.connectors.printful.given import draft, of_store, printed

from entrepot.channels.contract import (
    ConnectorError,
    ListingRef,
    MakingConfirmation,
    MakingDraft,
    MakingOutcome,
    MakingResult,
    MakingStatus,
    RequestRejected,
    ShipmentStatus,
)
from entrepot.connectors.printful import CONNECTOR
from entrepot_sandbox.faults import Level, Profile
from entrepot_sandbox.making import MakingSent, MakingSubmitted, figures
from entrepot_sandbox.server import Config, Running, running

BAD = Profile(
    latency=0.2,
    latency_s=0.02,
    too_many=0.08,
    server_error=0.08,
    dropped=0.08,
    answer_lost=0.15,
    answer_lost_after_s=0.005,
    retry_after_s=0.01,
)
ORDERS = 24


async def until_done(step: Callable[[], Awaitable[MakingResult]]) -> MakingResult:
    """Repeat a step as the hub does, until it is decided."""
    for _ in range(400):
        try:
            result = await step()
        except RequestRejected:
            raise
        except ConnectorError:
            await asyncio.sleep(0.01)
            continue
        if result.outcome not in (MakingOutcome.UNKNOWN, MakingOutcome.NOT_YET):
            return result
        await asyncio.sleep(0.01)
    raise AssertionError("it never ends")


def wanted(serving: Running, number: int) -> MakingDraft:
    catalog: Any = serving.sandbox.markets["printful"]
    own = list(catalog.catalog.store_variants.values())
    variant = own[number % len(own)]
    keys = {"catalog_variant_id": str(variant.variant.id), "sync_variant_id": str(variant.id)}
    ref = ListingRef("x", keys)
    make = of_store if number % 2 else printed
    lines = tuple(make(f"sale-{number}-{place}", 1 + place) for place in range(1 + number % 3))
    lines = tuple(type(each)(each.key, ref, each.quantity, each.title, None, each.placements) for each in lines)
    return draft(*lines, external_id=f"order-{number}")


async def one_order(api: HttpApi, serving: Running, number: int) -> None:
    """Have an order made, with every step asked for by two workers at once; every fourth is cancelled."""
    this = wanted(serving, number)
    id = this.external_id

    async def both(step: Callable[[], Awaitable[MakingResult]]) -> list[MakingResult]:
        return list(await asyncio.gather(until_done(step), until_done(step)))

    made = await both(lambda: CONNECTOR.make_draft(api, this))
    assert {each.outcome for each in made} == {MakingOutcome.DONE}, made
    done = await both(lambda: CONNECTOR.confirm_making(api, MakingConfirmation(id)))
    assert {each.outcome for each in done} == {MakingOutcome.DONE}, done
    if number % 4 == 0:
        gone = await both(lambda: CONNECTOR.cancel_making(api, id))
        assert {each.outcome for each in gone} <= {MakingOutcome.DONE, MakingOutcome.TOO_LATE}
    late = await until_done(lambda: CONNECTOR.make_draft(api, this))
    assert late.outcome is MakingOutcome.DONE or late.code == "cancelled"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_is_ordered_twice_whatever_fails(seed: int) -> None:
    config = Config(seed=seed, products=30, channels=("printful",), time_scale=400)
    async with running(config) as serving:
        (account,) = serving.sandbox.markets["printful"].accounts()
        settings = {**account.settings, "simulator_url": serving.url}
        serving.sandbox.faults.level, serving.sandbox.faults.profile = Level.HARSH, BAD
        async with HttpApi(CONNECTOR, settings=settings, credentials=account.credentials) as api:
            await asyncio.gather(*(one_order(api, serving, number) for number in range(ORDERS)))
            serving.sandbox.faults.use(Level.NONE)
            await all_shipped(api, serving)
        journal = serving.sandbox.world.journal
        submitted = [each.order_id for each in journal.of(MakingSubmitted)]
        assert len(submitted) == len(set(submitted)) == ORDERS
        judged = figures(journal, ["printful"])
        assert (judged["printful_orders"], judged["duplicate_printful_orders"]) == (ORDERS, 0)


async def all_shipped(api: HttpApi, serving: Running) -> None:
    """Wait until every order has ended; every unit of those that were not cancelled went out once."""
    ids = [f"order-{number}" for number in range(ORDERS)]
    ended = (MakingStatus.SHIPPED, MakingStatus.CANCELLED)
    for _ in range(200):
        found = await CONNECTOR.read_making(api, ids)
        if all(each.status in ended for each in found):
            break
        await asyncio.sleep(0.02)
    assert {each.status for each in found} <= set(ended)
    units = 0
    for each in found:
        parcels = await CONNECTOR.read_shipments(api, each.external_id)
        sent = [parcel for parcel in parcels if parcel.status is ShipmentStatus.SENT]
        if each.status is MakingStatus.SHIPPED:
            told: dict[str, int] = {}
            for line in (line for parcel in sent for line in parcel.lines):
                told[line.key] = told.get(line.key, 0) + line.quantity
            assert told == {line.key: line.quantity for line in each.lines}
            units += sum(told.values())
            assert all(parcel.tracking_number for parcel in sent)
    assert units == sum(each.units for each in serving.sandbox.world.journal.of(MakingSent))
