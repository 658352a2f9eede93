"""eBay on the pages: chosen, its form filled in, tested, connected."""

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
    """A simulated eBay on the server's loop."""
    serving = running(Config(seed=5, products=3, channels=("ebay",), time_scale=50))
    yield site.run(serving.__aenter__())
    site.run(serving.__aexit__(None, None, None))


def test_a_seller_is_tested_and_connected(client: httpx.Client, market: Running) -> None:
    assert 'href="/channels/connect/ebay"' in client.get("/channels/connect").text
    page = client.get("/channels/connect/ebay").text
    for word in ("Marketplace", "App ID", "Cert ID", "Consent code", "RuName", "Shipping policy", "EBAY_US"):
        assert word in page
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    (account,) = market.sandbox.markets["ebay"].accounts()
    form = {
        "csrf_token": found[1], **account.settings, **account.credentials, "simulator_url": market.url, "name": "Kiln on eBay",
        "environment": "simulated",
    }  # fmt: skip

    def sent(**changed: str) -> httpx.Response:
        return client.post("/channels/connect/ebay", data={**form, **changed})

    assert "refresh token or consent code" in sent(refresh_token="wrong", do="connect").text
    nothing = sent(refresh_token="", do="connect").text
    assert "Enter a refresh token" in nothing
    assert account.credentials["client_secret"] not in nothing
    elsewhere = sent(marketplace_id="EBAY_MARS", do="connect")
    assert elsewhere.status_code != 303
    tested = sent(do="test")
    assert (tested.status_code, "3 inventory items" in tested.text) == (200, True)
    made = sent(do="connect")
    assert made.status_code == 303, made.text
    shown = client.get(made.headers["location"]).text
    assert "Kiln on eBay" in shown
    assert account.credentials["refresh_token"] not in shown
