"""The pages of fulfilment over HTTP, without scripts: work is done, rules are tried out, refusals are said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from tests.orders.support import line, order
from tests.web.server import Site

from entrepot.fulfilment import facade as fulfilment
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock


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
    return client.post(path, data={"csrf_token": token[1], **{key: str(value) for key, value in form.items()}})


def routed(site: Site) -> UUID:
    """Take in an order and route it as the lane does; return it."""

    async def work() -> UUID:
        assert site.database
        assert site.organisation_id
        assert site.filled
        name = new_id().hex
        [(variant, sku, _)] = site.filled.variants[:1]
        async with site.database.transaction(site.organisation_id) as tx:
            await stock.change_on_hand(tx, [stock.StockChange(variant, "x", delta=2)], kind="return", actor="test")
            told = order(name, 1, [line(sku, 1)])
            await orders.ingest(tx, next(iter(site.filled.connections.values())), [told], via="poll", now=utc_now())
            order_id: UUID = await tx.fetch_value("select id from sales_order where external_id = $1", name)
            await fulfilment.route_orders(tx, [order_id], utc_now())
        return order_id

    return site.run(work())


@pytest.mark.parametrize(
    "path",
    ["", "?state=ready", "/parked", "/rules", *(f"?state={each}" for each in ("in_progress", "shipped", "cancelled"))],
)
def test_every_list_is_there_with_and_without_work(client: httpx.Client, path: str) -> None:
    assert client.get(f"/fulfilment{path}").status_code == 200


def test_an_unknown_state_is_said(client: httpx.Client) -> None:
    assert client.get("/fulfilment?state=lost").status_code == 422


def test_work_is_begun_packed_and_sent_and_the_order_says_where_it_goes(site: Site, client: httpx.Client) -> None:
    order_id = routed(site)
    said = client.get(f"/orders/{order_id}").text
    assert "Where it goes" in said
    id = re.search(r'href="/fulfilment/([0-9a-f-]{36})"', said)
    assert id
    path = f"/fulfilment/{id[1]}"
    assert "Begin" in client.get(path).text
    assert "In progress" in post(client, f"{path}/begin").text
    assert post(client, f"{path}/begin").status_code == 409
    assert "Packed" in post(client, f"{path}/pack").text
    typed = re.search(r'name="(units_[0-9a-f-]{36})"', client.get(path).text)
    assert typed
    assert "not 999" in post(client, f"{path}/send", carrier="DHL", **{typed[1]: 999}).text
    sent = post(client, f"{path}/send", carrier="DHL", tracking_number="T-77")
    assert sent.status_code == 200
    assert "Shipped" in sent.text
    assert "T-77" in client.get(f"/orders/{order_id}").text
    assert post(client, f"/fulfilment/orders/{order_id}/again").status_code == 200


def test_rules_are_tried_kept_and_put_in_force(site: Site, client: httpx.Client) -> None:
    routed(site)
    rules = json.dumps({"rules": [{"name": "<b>all</b>", "then": {"sort": ["cost"]}}], "otherwise": None})
    for on in ("open", "past"):
        tried = post(client, "/fulfilment/rules", rules=rules, do="try", on=on).text
        assert f"{on} orders" in tried
        assert "<b>all</b>" not in tried
    assert "Version 1 is in force" not in client.get("/fulfilment/rules").text
    assert "In force" in post(client, "/fulfilment/rules", rules=rules, do="force", note="first").text
    assert post(client, "/fulfilment/rules", rules=rules, do="save").status_code == 200
    assert "version 2" in client.get("/fulfilment/rules?version=2").text
    assert post(client, "/fulfilment/rules/2/force").status_code == 200
    assert post(client, "/fulfilment/rules/9/force").status_code in (404, 422)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("{", "This is not JSON"),
        ("[]", "Rules are written as"),
        ('{"rules": [{"name": "x", "if": {"country": ["Spain"]}}]}', "two letters"),
    ],
)
def test_a_fault_in_rules_is_said_and_what_was_typed_stays(client: httpx.Client, rules: str, words: str) -> None:
    answer = post(client, "/fulfilment/rules", rules=rules, do="save")
    assert answer.status_code == 422
    assert words in answer.text
    assert "Nothing was changed" in answer.text


def test_what_a_location_is_like_is_kept(site: Site, client: httpx.Client) -> None:
    place = re.search(r'action="/fulfilment/places/([0-9a-f-]{36})"', client.get("/fulfilment/rules").text)
    assert place
    path = f"/fulfilment/places/{place[1]}"
    assert post(client, path, country="pt", cost="4.50", daily_capacity=9, groups="west, coast").status_code == 200
    shown = client.get("/fulfilment/rules").text
    assert 'value="PT"' in shown
    assert 'value="4.50"' in shown
    assert 'value="west, coast"' in shown
    assert post(client, path, country="Portugal").status_code == 422
