"""Pages of prices: a list that moves prices too far asks first, prices of listings' own are listed and taken off; the
choice whether what is archived ends on its channels."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.web.server import Site

from entrepot.kernel.clock import utc_now
from entrepot.sync.fields import own_store, store
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
        client.get(site.link())
        yield client


def post(client: httpx.Client, path: str, **form: object) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert token
    return client.post(path, data={"csrf_token": token[1], **form})


@dataclass(frozen=True)
class Listed:
    """Listings of a connection whose prices were agreed: (listing, SKU, price in minor units)."""

    connection_id: UUID
    rows: list[tuple[UUID, str, int]]


@pytest.fixture(scope="module")
def listed(site: Site) -> Listed:
    """Agree on the prices of four listings of a channel."""
    assert site.filled is not None
    filled = site.filled
    connection_id = filled.connections["Shopify EU"]
    rows = [
        (filled.listings[(id, connection_id)], sku, price)
        for id, sku, price in filled.variants
        if (id, connection_id) in filled.listings
    ][:4]

    async def agree() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            fields = [
                Row(id, "price", connection_id, FieldState(base=euros(p), theirs=euros(p)), euros(p), state="agreed")
                for id, _, p in rows
            ]
            await store.put_rows(tx, fields)

    site.run(agree())
    return Listed(connection_id, rows)


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


def test_a_list_that_moves_prices_too_far_asks_and_is_saved_when_that_is_confirmed(
    client: httpx.Client, listed: Listed
) -> None:
    rule = {"name": "Dear", "currency": "EUR", "markup": "200", "place": f"connection:{listed.connection_id}"}
    asked = post(client, "/products/prices", **rule)
    assert asked.status_code == 422
    assert "4 prices move by more than the limit" in asked.text
    assert all(sku in asked.text for _, sku, _ in listed.rows)
    form = asked.text[asked.text.index("asks-title") :]
    sent = {n: html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)}
    assert (sent["confirmed"], sent["markup"]) == ("4", "200")
    assert ">Dear</a>" not in client.get("/products/prices").text, "nothing was saved"
    saved = post(client, "/products/prices", **{n: v for n, v in sent.items() if n in {*rule, "confirmed"}})
    assert saved.status_code == 200
    assert ">200<" in saved.text or 'value="200"' in saved.text
    here = saved.url.path
    # The listings still show what they did: a second move is as far, and asked about anew.
    again = post(client, f"{here}/change", **{**rule, "markup": "300"})
    assert (again.status_code, "4 prices move" in again.text) == (422, True)
    by_hand = post(client, f"{here}/set", sku=listed.rows[0][1], price="0.01")
    assert (by_hand.status_code, "1 price moves" in by_hand.text) == (422, True)
    assert "Every price follows the rule" in client.get(here).text
    gone = post(client, f"{here}/delete")
    assert gone.status_code == 200, "back to what they show: nothing moves"


def test_prices_of_listings_own_are_listed_and_taken_off(site: Site, client: httpx.Client, listed: Listed) -> None:
    page = "/products/prices/own"
    assert "None: every price on a channel follows its list" in client.get(page).text

    async def own() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            rows = [(id, "price", euros(price + 7), "Shopify EU", utc_now()) for id, _, price in listed.rows]
            await own_store.put_overrides(tx, rows)

    site.run(own())
    here = f"{page}?connection={listed.connection_id}"
    shown = client.get(here).text
    assert "Take off all 4 of this channel" in shown
    assert all(sku in shown for _, sku, _ in listed.rows)
    assert "4 prices</a>" in client.get("/products/prices").text
    product = re.search(r'<a class="clip" href="(/products/[0-9a-f-]{36})"', shown)
    assert product
    assert "own price" in client.get(product[1]).text
    first = listed.rows[0]
    nothing = post(client, page, do="chosen", connection=str(listed.connection_id))
    assert (nothing.status_code, "tick them" in nothing.text) == (422, True)
    taken = post(client, page, do="chosen", connection=str(listed.connection_id), price=f"{first[0]}:price")
    assert taken.status_code == 200
    assert "Take off all 3" in taken.text
    until = re.search(r'name="until" value="([^"]+)"', client.get(here).text)
    assert until
    rest = post(client, page, do="all", connection=str(listed.connection_id), until=html.unescape(until[1]))
    assert "There are none of these." in rest.text
    assert "None: every price on a channel follows its list" in client.get(page).text
    assert (
        "look at the prices again"
        in post(client, page, do="all", connection=str(listed.connection_id), until="now").text.lower()
    )


def test_whether_what_is_archived_ends_is_a_choice_of_the_forms(client: httpx.Client) -> None:
    ids = re.findall(r'name="product" value="([^"]+)"', client.get("/products").text)
    box = '<input type="checkbox" name="end_listings" value="yes" checked>'
    assert box in post(client, "/products/bulk", scope="chosen", product=ids[:1]).text
    assert client.get("/products/import").text.count(box) == 3
    archive = {"products": ids[0], "field1": "status:set", "choice1": "archived"}
    looked = post(client, "/products/bulk/preview", **archive).text
    assert box.replace(" checked", "") in looked, "what was unticked stays so"
    assert box in post(client, "/products/bulk/preview", **archive, end_listings="yes").text
    kept = post(client, "/products/bulk/apply", **archive)
    assert "Channels still list what was archived" in kept.text
    done = post(client, "/products/bulk/apply", **{**archive, "products": ids[1]}, end_listings="yes")
    assert "Listings of archived products end on every channel" in done.text
    assert "Nothing is published by that" in done.text
    sku = re.search(r'<a href="/stock/[^"]+">([^<]+)</a>', client.get(f"/products/{ids[2]}").text)
    assert sku
    file = f"sku,status\n{sku[1]},archived\n"
    seen = post(client, "/products/import", source="paste", rows=file, do="look", end_listings="yes").text
    assert "1 product would be archived" in seen
    assert "Listings of archived products end on every channel" in seen
    assert "Channels still list them" in post(client, "/products/import", source="paste", rows=file, do="look").text
