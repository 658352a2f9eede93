"""The pages over HTTP, without a browser: who may see what, forgery, errors, the live data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
import websockets.sync.client
from tests.orders.support import ingest, line, order
from tests.web.fill import change_stock
from tests.web.server import Site
from websockets.exceptions import InvalidStatus

from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.importing import PRODUCT_IMPORT, SMALL, import_products
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


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert found
    return found[1]


def test_without_a_session_every_page_leads_to_sign_in(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=60) as stranger:
        answer = stranger.get("/orders?status=open")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/orders%3Fstatus%3Dopen")
        assert stranger.get("/events").status_code == 204
        assert stranger.get("/sign-in").status_code == 200


def test_pages_allow_no_inline_script_and_carry_none(client: httpx.Client) -> None:
    answer = client.get("/stock")
    policy = answer.headers["content-security-policy"]
    assert "'unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text)


def test_a_form_without_its_token_changes_nothing(site: Site, client: httpx.Client) -> None:
    assert site.filled
    variant_id = site.filled.variants[0][0]
    answer = client.post(f"/stock/{variant_id}/on-hand", data={"on_hand": "1"})
    assert answer.status_code == 403
    assert "out of date" in answer.text
    part = client.post(f"/stock/{variant_id}/on-hand", data={"on_hand": "1"}, headers={"HX-Request": "true"})
    assert part.status_code == 204
    assert json.loads(part.headers["hx-trigger"])["said"]["tone"] == "bad"


def test_stock_is_set_without_scripts_and_not_over_somebody_else(site: Site, client: httpx.Client) -> None:
    assert site.filled
    variant_id = site.filled.variants[2][0]
    token = csrf_of(client)
    form = {"csrf_token": token, "on_hand": "123", "reason": "count"}
    assert client.post(f"/stock/{variant_id}/on-hand", data=form).status_code == 303
    assert f'data-live="on_hand:{variant_id}">123<' in client.get(f"/stock/{variant_id}").text
    location = str(site.filled.location_id)
    stale = {**form, "on_hand": "5", "location_id": location, f"seen_{location}": "99"}
    answer = client.post(f"/stock/{variant_id}/on-hand", data=stale)
    assert (answer.status_code, "Meanwhile it became 123" in answer.text) == (422, True)


def test_a_viewer_sees_but_does_not_change(site: Site) -> None:
    assert site.filled

    async def viewer() -> str:
        assert site.database
        assert site.organisation_id
        person = await identity.create_person(site.database, f"viewer-{site.port}@example.com", "Vera")
        role = identity.Role.VIEWER
        await identity.add_membership(site.database, site.organisation_id, person.id, role)
        return await identity.create_sign_in_link(site.database, site.organisation_id, person.id)

    with httpx.Client(base_url=site.url, timeout=60) as client:
        client.get(f"/sign-in/{site.run(viewer())}")
        assert "On hand of" not in client.get("/stock").text
        assert client.get("/channels/connect").status_code == 403
        assert client.get("/settings/keys").status_code == 403
        form = {"csrf_token": csrf_of(client), "on_hand": "1"}
        assert client.post(f"/stock/{site.filled.variants[0][0]}/on-hand", data=form).status_code == 403


def test_unknown_ids_and_filters_get_a_plain_sentence(client: httpx.Client) -> None:
    assert client.get("/orders/none").status_code == 404
    assert client.get("/orders?cursor=abc").status_code == 422
    assert client.get("/stock?state=odd").status_code == 422


def test_sign_in_goes_nowhere_else(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=60) as stranger:
        for wanted in ("//evil.example", "https://evil.example", "/\\evil.example"):
            assert "evil" not in stranger.get("/sign-in", params={"next": wanted}).text
        form = {"email": "a@example.com", "password": "x"}
        answer = stranger.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


def test_the_stream_tells_changes_and_ends_with_the_hub(site: Site, client: httpx.Client) -> None:
    assert site.filled
    variant_id = site.filled.variants[5][0]

    async def change() -> None:
        assert site.database
        assert site.filled
        async with site.database.transaction(site.organisation_id) as tx:
            await change_stock(tx, site.filled, variant_id, 31337)

    seen: dict[str, object] = {}
    with client.stream("GET", "/events") as answer:
        changed = False
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            seen |= json.loads(line[6:]).get("patch", {})
            if not changed:
                changed = True
                assert "total:orders_24h" in seen
                site.run(change())
            elif f"on_hand:{variant_id}" in seen:
                break
    assert seen[f"on_hand:{variant_id}"] == "31,337"


def test_the_metrics_socket(site: Site, client: httpx.Client) -> None:
    address = site.url.replace("http://", "ws://") + "/ws/dashboard"
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    with websockets.sync.client.connect(address, additional_headers={"Cookie": cookie}, open_timeout=60) as socket:
        message = json.loads(socket.recv(60))
    assert message["type"] == "metrics_update"
    assert {"orders24h", "attention", "channels"} <= set(message["data"])
    assert message["timestamp"].endswith("+00:00")
    elsewhere = {"Cookie": cookie, "Origin": "https://evil.example"}
    with (
        pytest.raises(InvalidStatus),
        websockets.sync.client.connect(address, additional_headers=elsewhere, open_timeout=60),
    ):
        pass


@pytest.fixture
def market(site: Site) -> Iterator[Running]:
    """A simulated Shopify on the server's loop."""
    serving = running(Config(seed=5, products=3, channels=("shopify",), time_scale=50))
    yield site.run(serving.__aenter__())
    site.run(serving.__aexit__(None, None, None))


def test_a_shop_is_tested_connected_paused_and_ended(client: httpx.Client, market: Running) -> None:
    (account,) = market.sandbox.markets["shopify"].accounts()
    token = {"csrf_token": csrf_of(client)}
    form = {
        **token, **account.settings, **account.credentials, "simulator_url": market.url, "name": "Corner shop",
        "environment": "simulated",
    }  # fmt: skip
    refused = client.post("/channels/connect/shopify", data={**form, "access_token": "wrong", "do": "connect"})
    assert "access token" in refused.text
    assert "Corner shop" in refused.text, "what was entered stays"
    assert account.credentials["client_secret"] not in refused.text, "but no secret"
    tested = client.post("/channels/connect/shopify", data={**form, "do": "test"})
    assert tested.status_code == 200
    assert "Corner shop" not in client.get("/channels").text, "a test saves nothing"
    made = client.post("/channels/connect/shopify", data={**form, "do": "connect"})
    assert made.status_code == 303, made.text
    page = made.headers["location"].partition("?")[0]
    assert "Corner shop" in client.get("/channels").text
    for tab in ("", "/timeline", "/settings"):
        shown = client.get(f"{page}{tab}")
        assert (shown.status_code, account.credentials["access_token"] in shown.text) == (200, False)
    again = client.post("/channels/connect/shopify", data={**form, "do": "connect"})
    assert "There is a connection named" in again.text
    for step, said in (("pause", "aused"), ("resume", ""), ("disconnect", "")):
        assert client.post(f"{page}/{step}", data=token).status_code == 303, step
        assert said in client.get(page).text
    assert "This connection was ended" in client.post(f"{page}/test", data=token, headers={"HX-Request": "true"}).text


def test_a_product_file_is_looked_at_and_then_taken_over(client: httpx.Client) -> None:
    form = {"csrf_token": csrf_of(client), "do": "look"}
    file = {"file": ("goods.csv", b"sku,title,price,stock\nNEW-1,Bread knife,12.50,7\n,No SKU,1,1\n", "text/csv")}
    page = client.post("/products/import", data=form, files=file).headers["location"]
    looked = client.get(page).text
    assert "This would make 1 new product" in looked
    assert "The SKU is missing." in looked
    assert "No product matches" in client.get("/products?q=NEW-1").text
    assert "SKU is missing" in client.get(f"{page}/files/problems.csv").text
    assert client.get(f"{page}/files/rows.csv").text.splitlines()[1].startswith(",No SKU,1,1,3,")
    assert "Bread knife,new" in client.get(f"{page}/files/changes.csv").text
    assert client.get(f"{page}/files/other.csv").status_code == 404
    assert client.post(f"{page}/apply", data=form).headers["location"] == page
    assert "It waits for a worker." in client.get(page).text
    assert client.post(f"{page}/apply", data=form).status_code == 409
    assert client.post(f"{page}/cancel", data=form).headers["location"] == page
    stopped = client.get(page).text
    assert "This would make 1 new product" in stopped
    page = client.post("/products/import", data={**form, "do": "import"}, files=file).headers["location"]
    assert "1 product made" in client.get(page).text
    assert "Bread knife" in client.get("/products?q=NEW-1").text
    page = client.post("/products/import", data={**form, "do": "import"}, files=file).headers["location"]
    assert "Nothing to change: all is as the file says." in client.get(page).text
    assert 'href="' + page in client.get("/products/import").text
    wrong = client.post("/products/import", data=form, files={"file": ("x.csv", b"a,b\n1,2\n", "text/csv")})
    assert wrong.status_code == 422
    assert "Nothing was changed." in wrong.text


def test_rows_are_pasted_and_what_is_not_chosen_is_said(client: httpx.Client) -> None:
    form = {"csrf_token": csrf_of(client), "do": "look", "source": "paste"}
    answer = client.post(
        "/products/import", data={**form, "rows": "sku\ttitle\tprice\nP-1\tBowl\t3,50", "decimal": ","}
    )
    assert "Bowl" in client.get(answer.headers["location"]).text
    for more, said in (
        ({}, "Paste some rows first"),
        ({"rows": "sku\nA", "decimal": "x"}, "point or a comma"),
        ({"rows": "sku\nA", "stock": "x"}, "Stock is taken"),
        ({"source": "channel"}, "Choose a connection first."),
        ({"source": "supplier"}, "Choose a supplier first."),
        ({"source": "x"}, "nothing to import from"),
        ({"source": "file"}, "Choose a file first."),
    ):
        wrong = client.post("/products/import", data={**form, **more})
        assert (wrong.status_code, said in wrong.text) == (422, True), said


def test_products_are_exported_as_chosen(client: httpx.Client) -> None:
    answer = client.get("/products/export?format=simple")
    assert answer.headers["content-disposition"] == 'attachment; filename="products-simple.csv"'
    assert answer.text.startswith("\ufeffsku,price,")
    assert client.get("/products/export?format=excel").content.startswith(b"PK")
    assert client.get("/products/export?format=pdf").status_code == 422
    assert client.get("/products/export?status=pdf").status_code == 422


def test_a_large_product_file_goes_on_in_the_background(site: Site, client: httpx.Client) -> None:
    form = {"csrf_token": csrf_of(client), "do": "import"}
    text = b"sku,title,price\nBIG-1,Ladle,3\n" + b",,\n" * (SMALL // 3)
    answer = client.post("/products/import", data=form, files={"file": ("big.csv", text, "text/csv")})
    assert answer.status_code == 303
    page = answer.headers["location"]
    assert "It waits for a worker." in client.get(page).text
    listed = re.search(r'href="/products/import/([0-9a-f-]{36})">Product import, big.csv<', client.get("/jobs").text)
    assert listed is not None
    job_id = UUID(listed[1])
    assert "It waits for a worker." in client.get(f"/products/import/{job_id}").text

    async def fail(run: object) -> dict[str, object]:
        raise InvalidInput("The file was cut off.")

    database, organisation_id = site.database, site.organisation_id
    assert database is not None
    assert organisation_id is not None
    site.run(jobs.perform(database, PRODUCT_IMPORT, fail, organisation_id, job_id))
    assert "The file was cut off." in client.get("/jobs?state=held").text
    assert "The file was cut off." in client.get(page).text
    assert "1 failed" in client.get("/").text
    token = {"csrf_token": form["csrf_token"]}
    assert client.post(f"/jobs/{job_id}/retry", data=token).headers["location"] == "/jobs"
    assert client.post(f"/jobs/{job_id}/retry", data=token).status_code == 409
    site.run(jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, job_id))
    assert "1 product made" in client.get(page).text
    assert "Ladle" in client.get("/products?q=BIG-1").text
    assert client.post(f"/jobs/{job_id}/cancel", data=token).status_code == 409


def test_the_ledger_names_the_order_and_the_audit_log_what_it_is_about(site: Site, client: httpx.Client) -> None:
    assert site.filled is not None
    assert site.database is not None
    assert site.organisation_id is not None
    variant_id, sku, _ = site.filled.variants[8]
    shop = site.filled.connections["Shopify EU"]
    site.run(ingest(site.database, site.organisation_id, shop, order("told", 1, [line(sku, 1)])))
    for path in (f"/stock/{variant_id}", f"/stock/movements?sku={sku}"):
        row = re.search(r"<td>Reserved</td>(?:(?!</tr>).)*</tr>", client.get(path).text, re.DOTALL)
        assert row is not None
        assert re.search(r'href="/orders/[0-9a-f-]{36}" title="Order ', row[0])
        assert "Shopify EU" in row[0]
    assert f'href="/channels/{shop}"' in client.get("/settings/audit?kind=connection").text
    assert f'href="/channels/{shop}"' in client.get(f"/settings/audit?about={shop}").text
    assert "Nothing is like that." in client.get("/settings/audit?kind=transfer").text


def test_listings_that_the_hub_did_not_publish_are_counted(site: Site, client: httpx.Client) -> None:
    assert site.filled
    shop = site.filled.connections["Shopify EU"]
    there = sum(connection == shop for _, connection in site.filled.listings)
    assert f'<a href="/products?channel={shop}">{there}</a>' in client.get("/listings").text
