"""Connecting Stripe by its page: what the form asks, what the test says, what the connection then is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from tests.web.server import Site

from entrepot_sandbox.server import Config, Running, running


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=60) as client:
        assert client.get(site.link()).status_code == 303
        yield client


@pytest.fixture
def market(site: Site) -> Iterator[Running]:
    serving = running(Config(seed=5, products=3, channels=("stripe",), time_scale=50))
    yield site.run(serving.__aenter__())
    site.run(serving.__aexit__(None, None, None))


def test_stripe_is_found_tested_and_connected_and_never_gets_stock(client: httpx.Client, market: Running) -> None:
    assert "payments and refunds · settlements · webhooks" in client.get("/channels/connect").text
    page = client.get("/channels/connect/stripe").text
    for words in ("Secret or restricted key", "Metadata with the order", "charges and refunds"):
        assert words in page
    (account,) = market.sandbox.markets["stripe"].accounts()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert token
    form = {
        "csrf_token": token[1], "name": "Card payments", "environment": "simulated", "simulator_url": market.url,
        **account.settings, **account.credentials,
    }  # fmt: skip

    def said(do: str, **changes: str) -> httpx.Response:
        return client.post("/channels/connect/stripe", data={**form, "do": do, **changes})

    assert "does not look right" in said("test", api_key="pk_test_publishable1").text
    assert "does not accept the key" in said("test", api_key="sk_test_wrongwrongwrong").text
    assert "test mode" in said("test", mode="live").text
    assert "Connected to Stripe in test mode" in said("test").text
    made = said("connect")
    assert made.status_code == 303, made.text
    connection = made.headers["location"].partition("?")[0]
    for tab in ("", "/timeline", "/settings"):
        shown = client.get(f"{connection}{tab}")
        assert shown.status_code == 200
        assert account.credentials["api_key"] not in shown.text
    settings = {
        "csrf_token": token[1], "name": "Card payments", "priority": "50", "buffer": "0", "sync_interval_s": "60",
    }  # fmt: skip
    assert client.post(f"{connection}/settings", data=settings).status_code == 303
    assert re.search(r'name="fulfilment_only" value="1" checked', client.get(f"{connection}/settings").text)
