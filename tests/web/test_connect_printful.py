"""Connecting Printful on the pages: found, explained, tested, connected."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.web.server import Site
from tests.web.test_pages import csrf_of

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
def printful(site: Site) -> Iterator[Running]:
    """A simulated Printful on the server's loop."""
    serving = running(Config(seed=5, products=3, channels=("printful",), time_scale=50))
    yield site.run(serving.__aenter__())
    site.run(serving.__aexit__(None, None, None))


def test_printful_is_found_explained_tested_and_connected(client: httpx.Client, printful: Running) -> None:
    choices = client.get("/channels/connect").text
    assert "/channels/connect/printful" in choices
    assert "makes and sends orders" in choices
    shown = client.get("/channels/connect/printful").text
    for words in ("Private token", "Store ID", "Catalog products", "Selling region", "worldwide"):
        assert words in shown
    (account,) = printful.sandbox.markets["printful"].accounts()
    form = {
        **account.settings,
        **account.credentials,
        "csrf_token": csrf_of(client),
        "simulator_url": printful.url,
        "name": "Poppy prints",
        "environment": "simulated",
    }
    for wrong, said in (
        ({"access_token": "wrong"}, "does not accept the token"),
        ({"store_id": "7"}, "The token has no store 7"),
        ({"catalog_products": "tee"}, "Catalog products does not look right"),
        ({"selling_region": "mars"}, "Selling region does not look right"),
    ):
        answer = client.post("/channels/connect/printful", data={**form, **wrong, "do": "connect"})
        assert said in answer.text, answer.text[-3000:]
        assert account.credentials["access_token"] not in answer.text
    tested = client.post("/channels/connect/printful", data={**form, "do": "test"})
    assert "Connected to Simulated Printful" in tested.text
    made = client.post("/channels/connect/printful", data={**form, "do": "connect"})
    assert made.status_code == 303, made.text
    page = made.headers["location"].partition("?")[0]
    for tab in ("", "/timeline", "/settings"):
        answer = client.get(f"{page}{tab}")
        assert (answer.status_code, account.credentials["access_token"] in answer.text) == (200, False)
    assert client.post(f"{page}/disconnect", data={"csrf_token": form["csrf_token"]}).status_code == 303
