"""The pages of listings: the grid, publishing with a check first, trying again, taking off; by HTTP as well."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from tests.web.server import Site


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
        assert client.get(site.link()).status_code == 200
        yield client


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert found
    return found[1]


def test_products_are_checked_published_and_shown(client: httpx.Client) -> None:
    token = {"csrf_token": csrf_of(client)}
    assert "Nothing was published through the hub yet" in client.get("/listings").text
    product = re.search(r'name="product" value="([^"]+)"', client.get("/products").text)
    assert product
    shown = client.post("/listings/publish", data={**token, "scope": "publish", "product": product[1]})
    assert "1 product: where to?" in shown.text
    channels = re.findall(r'name="(to_[^"]+)"', shown.text)
    assert channels
    form = {**token, "products": product[1]}
    nowhere = client.post("/listings/publish", data={**form, "do": "publish"})
    assert (nowhere.status_code, "Choose at least one channel" in nowhere.text) == (422, True)
    checked = client.post("/listings/publish", data={**form, "do": "check", **dict.fromkeys(channels, "on")})
    assert f"{len(channels)} looked at" in checked.text
    assert "Nothing was published through the hub yet" in client.get("/listings").text, "a check asks for nothing"
    wrong = client.post(
        "/listings/publish",
        data={**form, "do": "publish", channels[0]: "on", channels[0].replace("to_", "attributes_"): "nonsense"},
    )
    assert "name: value" in wrong.text
    done = client.post("/listings/publish", data={**form, "do": "publish", channels[0]: "on"})
    assert "Publishing" in done.text
    assert product[1] in done.text
    (line,) = re.findall(r'name="id" value="([^"]+)"', done.text)
    assert line in client.get(f"/products/{product[1]}").text
    assert "publishing" in client.get("/listings.csv").text
    assert client.get("/listings?state=live").text.count('name="id"') == 0
    assert client.get("/listings?state=nonsense").status_code == 422
    assert "Choose at least one line" in client.post("/listings/change", data={**token, "do": "retry"}).text
    ended = client.post("/listings/change", data={**token, "do": "unpublish", "id": line, "back": "/listings"})
    assert "Ending" in ended.text


def test_no_products_are_not_all_products(client: httpx.Client) -> None:
    token = {"csrf_token": csrf_of(client)}
    shown = client.post("/listings/publish", data={**token, "scope": "publish"})
    assert (shown.status_code, "Choose products" in shown.text) == (422, True)
