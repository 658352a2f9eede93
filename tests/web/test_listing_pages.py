"""The pages of listings: the grid, publishing with a check first, trying again, taking off; by HTTP as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from tests.web.server import Site

from entrepot.sync.fields import first_contact, store
from entrepot.sync.fields.store import Row
from entrepot.sync.merge.rules import FieldState


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


def test_a_product_is_archived_with_its_listings(client: httpx.Client) -> None:
    token = {"csrf_token": csrf_of(client)}
    products = re.findall(r'name="product" value="([^"]+)"', client.get("/products?status=active").text)
    pages = {product: client.get(f"/products/{product}").text for product in products}
    product = next(each for each, text in pages.items() if "/unmatch" in text and "/archive" in text)
    assert "End its listings on every channel too" in pages[product]
    assert "When archived, end its listings" in client.get(f"/products/{product}/edit").text
    done = client.post(f"/products/{product}/archive", data={**token, "end_listings": "yes"})
    assert "Ending" in done.text
    assert f'action="/products/{product}/archive"' not in done.text
    again = client.get(f"/listings?state=ending&q={re.search('<h1[^>]*>([^<]+)', done.text)[1].strip()}")  # type: ignore[index]
    assert product in again.text


def test_listings_of_a_channel_are_unmatched_and_matched_by_sku(client: httpx.Client) -> None:
    token = {"csrf_token": csrf_of(client)}
    channel = next(
        each for each in re.findall(r'href="/channels/([0-9a-f-]{36})"', client.get("/channels").text)
        if "/unmatch" in client.get(f"/channels/{each}/listings?matched=yes").text
    )  # fmt: skip
    path = f"/channels/{channel}/listings"
    page = client.get(f"{path}?matched=yes").text
    line = re.search(r'name="listing" value="([^"]+)"', page)
    row = re.search(r'href="/products/([^"]+)">([^<]+)</a></td>\s*<td class="right"><form[^>]+/unmatch', page)
    assert line
    assert row
    listing, product, sku = line[1], row[1], row[2]
    assert listing in client.get(f"/products/{product}").text
    undone = client.post(f"{path}/unmatch", data={**token, "listing": listing})
    assert undone.status_code == 200
    waiting = client.get(f"{path}?matched=no").text
    assert listing in waiting
    assert "No listing is like that" in client.get(f"{path}?q=nothing-like-it").text
    wrong = client.post(f"{path}/match", data={**token, "listing": listing, "sku": "no such"})
    assert (wrong.status_code, "There is no variant with the SKU" in wrong.text) == (409, True)
    assert client.post(f"{path}/match", data={**token, "listing": listing, "sku": sku}).status_code == 200
    assert listing not in client.get(f"{path}?matched=no").text
    # From the product's page likewise.
    client.post(f"/products/{product}/unmatch", data={**token, "listing": listing})
    assert listing not in client.get(f"/products/{product}").text
    variant = re.search(r'<option value="([^"]+)">' + re.escape(sku) + "<", client.get(f"/products/{product}").text)
    assert variant
    client.post(f"/products/{product}/match", data={**token, "listing": "nothing", "variant": variant[1]})
    assert listing not in client.get(f"/products/{product}").text
    ids = re.findall(r'class="clip short" title="([^"]+)"', client.get(f"{path}?matched=no").text)
    for each in ids:
        client.post(f"/products/{product}/match", data={**token, "listing": each, "variant": variant[1]})
    assert listing in client.get(f"/products/{product}").text


def test_a_new_channel_shows_how_it_compares(client: httpx.Client, site: Site) -> None:
    token = {"csrf_token": csrf_of(client)}
    [channel, *_] = re.findall(r'href="/channels/([0-9a-f-]{36})"', client.get("/channels").text)
    assert "First comparison" not in client.get(f"/channels/{channel}").text

    async def begin() -> None:
        assert site.database is not None
        assert site.organisation_id is not None
        async with site.database.transaction(site.organisation_id) as tx:
            await first_contact.begin(tx, UUID(channel))
            listing = await tx.fetch_value(
                "select id from listing where organisation_id = $1 and connection_id = $2 limit 1",
                site.organisation_id, UUID(channel),
            )  # fmt: skip
            row = Row(listing, "title", UUID(channel), FieldState(theirs="Theirs"), "Ours", state="first")
            await store.put_rows(tx, [row])

    site.run(begin())
    page = client.get(f"/channels/{channel}").text
    assert "do not say the same" in page
    assert 'name="field_title"' in page
    assert "New channels that differ from the catalog" in client.get("/").text
    done = client.post(f"/channels/{channel}/first", data={**token, "field_title": "ours"})
    assert "Chosen by" in done.text
    assert '<option value="ours" selected>' in done.text
