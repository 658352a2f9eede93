"""The control room and the command."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrepot_sandbox.__main__ import arguments, config_of, main
from entrepot_sandbox.journal import WriteKind
from entrepot_sandbox.server import Config, Running, bind, running


@pytest.fixture
async def serving() -> AsyncIterator[Running]:
    async with running(Config(seed=1, products=5, channels=("square",))) as made:
        yield made


async def control(
    client: httpx.AsyncClient, serving: Running, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    reply = await client.request(method, f"{serving.url}/_sandbox{path}", json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_accounts_and_catalogue(client: httpx.AsyncClient, serving: Running) -> None:
    (account,) = await control(client, serving, "GET", "/accounts")
    assert account["channel"] == "square"
    assert set(account["settings"]) == {"location_id"}
    assert set(account["credentials"]) == {"access_token"}
    text = (await client.get(f"{serving.url}/_sandbox/catalog.csv")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["sku", "title", "price", "currency", "barcode", "stock"]
    stocks = {each.sku: str(each.stock) for each in serving.sandbox.world.products.values()}
    assert {row["sku"]: row["stock"] for row in rows} == stocks


async def test_a_run_from_start_to_verdict(client: httpx.AsyncClient, serving: Running) -> None:
    shop = serving.sandbox.world.shops["square"]
    for listing in shop.listings.values():
        shop.write_quantity(listing, listing.product.stock, kind=WriteKind.ABSOLUTE, request_id="r")
    await control(client, serving, "POST", "/strategy", {"strategy": "equal"})
    body = {"orders": 10, "orders_per_s": 10_000, "cancel_share": 0}
    await control(client, serving, "POST", "/shoppers", body, status=202)
    await serving.sandbox.shoppers.wait()
    progress = await control(client, serving, "GET", "/progress")
    assert (progress["orders_placed"], progress["orders_target"], progress["shoppers_running"]) == (10, 10, False)
    verdict = await control(client, serving, "GET", "/judge")
    assert (verdict["orders_placed"], verdict["oversold_units"], verdict["stale_listings_at_end"]) == (10, 0, 0)
    assert "lost" not in verdict
    sold = next(iter(shop.orders.values())).lines[0].listing.sku
    journal = await control(client, serving, "GET", f"/journal?sku={sold}")
    assert {"Sold", "QuantityWritten"} <= {event["type"] for event in journal}
    assert all(event.get("sku", sold) == sold for event in journal)
    await control(client, serving, "GET", "/journal?sku=NO-SUCH", status=422)
    orders = [["square", order_id] for order_id in shop.orders]
    verdict = await control(client, serving, "POST", "/judge", {"orders": [*orders[1:], orders[-1]]})
    assert (verdict["orders_in_hub"], verdict["lost"], verdict["duplicated"]) == (10, 1, 1)


async def test_faults_can_be_switched(client: httpx.AsyncClient, serving: Running) -> None:
    assert await control(client, serving, "POST", "/faults", {"level": "harsh"}) == {"level": "harsh"}
    assert (await control(client, serving, "GET", "/progress"))["faults"] == "harsh"


async def test_shoppers_can_be_stopped(client: httpx.AsyncClient, serving: Running) -> None:
    await control(client, serving, "POST", "/shoppers", {"orders": 10, "orders_per_s": 0.001}, status=202)
    assert (await control(client, serving, "GET", "/progress"))["shoppers_running"]
    await control(client, serving, "DELETE", "/shoppers")
    assert not (await control(client, serving, "GET", "/progress"))["shoppers_running"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"level": "apocalyptic"}),
        ("/strategy", {"strategy": "magic"}),
        ("/shoppers", {"orders": 0, "orders_per_s": 1}),
        ("/shoppers", {"orders": 1, "orders_per_s": 1, "surprise": 1}),
        ("/judge", {"orders": "all"}),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    client: httpx.AsyncClient, serving: Running, path: str, body: Any
) -> None:
    assert (await control(client, serving, "POST", path, body, status=422))["error"]


async def test_only_this_machine_may_use_it(client: httpx.AsyncClient, serving: Running) -> None:
    reply = await client.get(f"{serving.url}/_sandbox/progress", headers={"host": "evil.example"})
    assert reply.status_code == 403


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = arguments(["--seed", "7", "--channels", "square, amazon", "--time-scale", "60", "--faults", "mild"])
    config = config_of(told)
    assert (config.seed, config.channels, config.time_scale, config.faults) == (7, ("square", "amazon"), 60.0, "mild")
    absent = config_of(arguments(["--replay", "uci", "--data", str(tmp_path)]))
    assert absent.replay is None
    assert "the demand model is used instead" in capsys.readouterr().err


def test_a_marketplace_that_does_not_exist_and_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--channels", "nosuch"]) == 2
    assert "no simulated marketplace named 'nosuch'" in capsys.readouterr().err
    taken = bind(0)
    taken.listen()
    assert main(["--channels", "square", "--port", str(taken.getsockname()[1])]) == 1
    taken.close()
    assert "cannot be used" in capsys.readouterr().err


async def test_the_command_says_when_it_is_ready_and_stops_cleanly() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "entrepot_sandbox",
        "--channels",
        "square",
        "--products",
        "3",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("entrepot_sandbox ready at http://127.0.0.1:")
    process.terminate()
    _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")


async def test_a_product_is_edited_on_the_channel(client: httpx.AsyncClient) -> None:
    async with running(Config(seed=1, products=3, channels=("square", "shopify", "amazon"))) as serving:
        sku = next(iter(serving.sandbox.world.products))
        for channel, shop in serving.sandbox.world.shops.items():
            shop.write_quantity(shop.by_sku[sku], 4, kind=WriteKind.ABSOLUTE, request_id="r")
            before = shop.by_sku[sku].updated_at
            edit = {"channel": channel, "sku": sku, "title": "Edited there", "price": "43.21"}
            assert await control(client, serving, "POST", "/edit", edit) == {"edited": True}
            listing = shop.by_sku[sku]
            assert listing.sheet is not None
            assert (listing.sheet.title, str(listing.product.price)) == ("Edited there", "43.21")
            assert listing.updated_at >= before
            assert shop.shown(sku) == 4
            await control(client, serving, "POST", "/edit", {"channel": channel, "sku": sku, "shown": False})
            assert shop.shown(sku) == 0, "what is not shown cannot be bought"
            await control(client, serving, "POST", "/edit", {"channel": channel, "sku": sku, "shown": True})
            assert shop.shown(sku) == 4
            await control(client, serving, "POST", "/edit", {"channel": channel, "sku": sku, "deleted": True})
            assert sku not in shop.by_sku
        for wrong in (
            {"channel": "square", "sku": sku},
            {"channel": "nowhere", "sku": sku},
            {"channel": "square", "sku": sku, "colour": "red"},
        ):
            assert "error" in await control(client, serving, "POST", "/edit", wrong, status=422)
