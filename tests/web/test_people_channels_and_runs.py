"""People, keys, connections and runs through the pages, over HTTP: what is done, what is refused, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.web.server import Site

from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot_sandbox.server import Config, Running, running

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=60) as client:
        assert client.get(site.link()).status_code == 303
        yield client


def post(client: httpx.Client, path: str, *, part: bool = False, **fields: Any) -> httpx.Response:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert found
    headers = {"HX-Request": "true"} if part else {}
    return client.post(path, data={"csrf_token": found[1], **fields}, headers=headers)


def rows(site: Site, statement: str, *values: Any) -> list[Any]:
    async def read() -> list[Any]:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            return list(await tx.fetch(statement, *values))

    return site.run(read())


# ---- people


def test_a_person_is_added_signs_in_by_link_and_password_and_is_taken_out(site: Site, client: httpx.Client) -> None:
    email = f"eva-{new_id()}@example.com"
    added = post(client, "/settings/members", email=email, name="Eva Lind", role="member")
    link = re.search(r"http://[^\s\"<]+/sign-in/[\w-]+", added.text)
    assert link
    assert "Eva Lind" in added.text
    again = post(client, "/settings/members", email="no address", name="X", role="member")
    assert again.status_code == 422
    [(person_id,)] = rows(site, "select id from person where email = $1", email)
    with httpx.Client(base_url=site.url, timeout=60) as eva:
        assert eva.get(link[0]).status_code == 303
        spent = httpx.get(link[0])
        assert spent.status_code != 303, "a link is good for once"
        assert "set-cookie" not in spent.headers
        assert eva.get("/settings/keys").status_code == 403
        assert post(eva, "/settings/password", password=PASSWORD, again="another").status_code == 422
        assert post(eva, "/settings/password", password="short", again="short").status_code == 422
        done = post(eva, "/settings/password", password=PASSWORD, again=PASSWORD)
        assert done.headers["location"].startswith("/sign-in")
        assert eva.get("/stock").headers["location"].startswith("/sign-in"), "all sessions ended"
        wrong = eva.post("/sign-in", data={"email": email, "password": "wrong", "next": "/orders"})
        assert (wrong.status_code, email in wrong.text, 'value="/orders"' in wrong.text) == (401, True, True)
        foreign = {"sec-fetch-site": "cross-site"}
        form = {"email": email, "password": PASSWORD, "next": "/orders"}
        assert eva.post("/sign-in", data=form, headers=foreign).status_code == 403
        assert eva.post("/sign-in", data=form, headers={"origin": "https://evil.example"}).status_code == 403
        into = eva.post("/sign-in", data={**form, "next": "//evil.example"}, headers={"origin": site.url})
        assert (into.status_code, into.headers["location"]) == (303, "/")
        assert eva.post("/sign-in", data=form).headers["location"] == "/orders"
        assert eva.get("/sign-in").headers["location"] == "/"
        changed = post(client, f"/settings/members/{person_id}/role", role="viewer")
        assert changed.status_code == 303
        assert "On hand of" not in eva.get("/stock").text, "it holds at once"
        assert post(client, f"/settings/members/{person_id}/role", role="king").status_code == 422
        fresh = post(client, f"/settings/members/{person_id}/link")
        assert re.search(r"/sign-in/[\w-]+", fresh.text)
        assert post(client, f"/settings/members/{new_id()}/link").status_code == 404
        removed = post(client, f"/settings/members/{person_id}/remove")
        assert removed.status_code == 303
        assert eva.get("/stock").status_code == 303
    assert "Eva Lind" not in client.get("/settings").text
    own = post(client, f"/settings/members/{site.person_id}/role", role="viewer")
    assert own.status_code == 422, "somebody must stay who may change this"
    assert post(client, f"/settings/members/{site.person_id}/remove").status_code == 422


def test_a_person_signs_out(site: Site, client: httpx.Client) -> None:
    out = post(client, "/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert client.get("/orders").headers["location"].startswith("/sign-in")
    token = site.link().rsplit("/", 1)[1]
    assert client.get(f"/sign-in?token={token}").status_code == 303
    assert client.get("/orders").status_code == 200


def test_a_key_is_shown_once_and_is_useless_when_revoked(site: Site, client: httpx.Client) -> None:
    for refused in (
        {"name": "Till", "scope": "stock:read", "life": "7"},
        {"name": "", "scope": "stock:read", "life": ""},
        {"name": "Till", "scope": "everything", "life": ""},
    ):
        assert post(client, "/settings/keys", **refused).status_code == 422
    made = post(client, "/settings/keys", name="Till", scope=["stock:read", "orders:read"], life="30")
    assert made.status_code == 200, made.text
    [(key_id, ends)] = rows(site, "select id, expires_at from access_key where name = 'Till'")
    assert timedelta(days=29) < ends - utc_now() < timedelta(days=30)
    secrets = re.findall(r'id="secret">([^<]+)<', made.text)
    assert secrets
    assert secrets[0] not in client.get("/settings/keys").text
    assert post(client, f"/settings/keys/{key_id}/revoke").status_code == 303
    [(revoked,)] = rows(site, "select revoked_at from access_key where id = $1", key_id)
    assert revoked is not None
    assert client.get("/settings/audit").text.count("key") >= 2
    assert client.get("/settings/audit", params={"cursor": str(key_id)}).status_code == 200


# ---- runs


def test_runs_are_started_listed_and_stopped(site: Site, client: httpx.Client) -> None:
    assert site.filled
    one = site.filled.connections["Shopify EU"]
    started = post(client, "/sync", kind="orders", channel=str(one))
    assert (started.status_code, "/sync" in started.headers["location"]) == (303, True)
    [(run_id,)] = rows(site, "select id from sync_run where connection_id = $1 and state = 'queued'", one)
    listed = client.get("/sync", params={"state": "queued", "channel": str(one)})
    assert str(run_id) in listed.text
    part = client.get("/sync", params={"state": "queued"}, headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert str(run_id) in part.text
    assert post(client, f"/sync/{run_id}/cancel").status_code in (200, 303)
    assert rows(site, "select state from sync_run where id = $1", run_id)[0][0] == "cancelled"
    assert post(client, f"/sync/{run_id}/cancel").status_code == 404
    before = rows(site, "select count(*) from sync_run where state = 'queued'")[0][0]
    post(client, "/sync", kind="drift")
    after = rows(site, "select count(*) from sync_run where state = 'queued'")[0][0]
    assert after - before > 1, "on all channels"
    assert post(client, "/sync", kind="magic").status_code == 422
    assert client.get("/sync?state=odd").status_code == 422
    assert client.get("/sync?channel=none").status_code in (404, 422)


# ---- connections


def entered(page: str) -> dict[str, str]:
    """Return what the settings form of a connection holds."""
    fields = re.findall(r'<input[^>]*\bname="([^"]+)"[^>]*?(?:\bvalue="([^"]*)")?[^>]*>', page)
    return {name: unescape(value) for name, value in fields if name != "csrf_token" and not name.startswith("secret-")}


def test_settings_of_a_connection_are_checked_and_kept(site: Site, client: httpx.Client) -> None:
    assert site.filled
    page = f"/channels/{site.filled.connections['Shopify EU']}"
    assert client.get(f"{page}/nonsense").status_code == 404
    assert client.get(f"/channels/{new_id()}").status_code == 404
    form = {
        "name": "Shopify EU", "share": "37,5", "priority": "3", "buffer": "2", "sync_interval_s": "120",
        "fulfilment_only": "1",
    }  # fmt: skip
    for wrong in ({"share": "many"}, {"priority": "x"}, {"buffer": "-1"}, {"sync_interval_s": ""}, {"name": ""}):
        refused = post(client, f"{page}/settings", **{**form, **wrong})
        assert refused.status_code == 422, wrong
    kept = post(client, f"{page}/settings", **form)
    assert kept.status_code == 303, kept.text
    [row] = rows(site, "select * from connection where id = $1", site.filled.connections["Shopify EU"])
    assert (str(row["share"]).rstrip("0"), row["priority"], row["buffer"], row["sync_interval_s"]) == (
        "0.375", 3, 2, 120,
    )  # fmt: skip
    assert row["fulfilment_only"] is True
    assert "Shopify EU" in client.get(f"{page}/timeline").text


@pytest.fixture
def market(site: Site) -> Iterator[Running]:
    """A simulated Shopify on the server's loop."""
    serving = running(Config(seed=5, products=3, channels=("shopify",), time_scale=50))
    yield site.run(serving.__aenter__())
    site.run(serving.__aexit__(None, None, None))


def test_a_shop_is_connected_and_gets_new_credentials(site: Site, client: httpx.Client, market: Running) -> None:
    (account,) = market.sandbox.markets["shopify"].accounts()
    assert client.get("/channels/connect").status_code == 200
    assert "access_token" in client.get("/channels/connect/shopify").text
    assert client.get("/channels/connect/nowhere").status_code == 404
    form = {
        **account.settings, **account.credentials, "simulator_url": market.url, "name": "Pop-up",
        "environment": "simulated", "do": "connect",
    }  # fmt: skip
    nameless = post(client, "/channels/connect/shopify", **{**form, "name": ""})
    assert (nameless.status_code, "Give the connection a name" in nameless.text) == (422, True)
    empty = post(client, "/channels/connect/shopify", **{**form, "access_token": "", "client_secret": ""})
    assert empty.status_code == 422
    made = post(client, "/channels/connect/shopify", **form)
    assert made.status_code == 303, made.text
    page = made.headers["location"].partition("?")[0]
    secrets = {f"secret-{name}": value for name, value in account.credentials.items()}
    bad = post(client, f"{page}/credentials", **{**secrets, "secret-access_token": ""})
    assert bad.status_code == 422
    wrong = post(client, f"{page}/credentials", **{**secrets, "secret-access_token": "wrong"})
    assert (wrong.status_code, "The old credentials are kept." in wrong.text) == (422, True)
    assert "access token" in wrong.text
    assert "access token" not in post(client, f"{page}/test", part=True).text, "the old ones still work"
    assert post(client, f"{page}/credentials", **secrets).status_code == 303
    assert post(client, f"{page}/test").status_code == 303


def test_listings_in_trouble_are_tried_again(site: Site, client: httpx.Client) -> None:
    assert site.filled
    listing_id: UUID = next(iter(site.filled.listings.values()))

    async def park() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            await tx.execute(
                "update listing_quantity set state = 'parked', detail = 'refused there' where listing_id = $1",
                listing_id,
            )

    state = "select state from listing_quantity where listing_id = $1"
    for fields in ({"listing": str(listing_id)}, {"all": "1"}):
        site.run(park())
        assert "refused there" in client.get("/channels/trouble").text
        assert post(client, "/channels/trouble/retry", **fields).status_code == 303
        assert rows(site, state, listing_id)[0][0] != "parked"
    none = post(client, "/channels/trouble/retry", listing=str(listing_id))
    assert none.status_code == 303


# ---- orders


def test_orders_are_found_by_day_and_channel_and_wrong_filters_said(site: Site, client: httpx.Client) -> None:
    assert site.filled
    today = utc_now().date()
    found = client.get("/orders", params={"from": str(today - timedelta(days=400)), "to": str(today)})
    assert f"/orders/{site.filled.orders[0]}" in found.text or "/orders/" in found.text
    none = client.get("/orders", params={"from": str(today + timedelta(days=400))})
    assert f"/orders/{site.filled.orders[0]}" not in none.text
    channel = str(site.filled.connections["Shopify EU"])
    assert client.get("/orders", params={"channel": channel, "trouble": "1"}).status_code == 200
    for wrong in ({"from": "yesterday"}, {"channel": "none"}, {"status": "odd"}):
        assert client.get("/orders", params=wrong).status_code == 422
