"""The page "Matching" over HTTP, without scripts: deciding, choosing, making, undoing; what is refused and what is empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import httpx
import pytest
from tests.catalog.match_support import Shop, listing, product
from tests.web.server import Site
from tests.web.test_stock_pages import post

from entrepot.channels.contract import ChannelListing

DRILL = ("Makita DHP453 cordless combi drill 18 V black", "Makita")


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


@pytest.fixture(scope="module")
def hub(site: Site) -> Shop:
    assert site.database
    assert site.organisation_id
    assert site.filled
    return Shop(site.database, site.organisation_id, site.filled.connections["Shopify EU"], {})


def there(external_id: str, title: str = "Makita DHP-453 18V combi drill, red") -> ChannelListing:
    return replace(listing(external_id, title, vendor="Makita"), sku=f"THEIRS-{external_id}")


def wait(site: Site, hub: Shop, sku: str, *listings: ChannelListing) -> dict[str, UUID]:
    """Make the drill under a SKU, let the channel show these and compare them."""
    site.run(hub.save(product(sku, *DRILL, 8900, "")))
    found = site.run(hub.show(*listings))
    site.run(hub.match())
    return found


def candidate(site: Site, hub: Shop, listing_id: UUID) -> str:
    return str(site.run(hub.candidates(listing_id))[0]["id"])


def test_both_records_stand_side_by_side_with_what_differs_marked(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-1", there("side"))
    text = client.get(f"/matching?at={candidate(site, hub, found['side'])}").text
    assert "<mark>red</mark>" in text
    assert "<mark>black</mark>" in text
    assert "<mark>Makita</mark>" not in text
    assert "Both name dhp453." in text
    assert "red there, black here." in text
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", text)


def test_accepting_goes_on_to_the_next_one(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-2", there("acc-1"), there("acc-2", "Makita DHP-453 18V combi drill"))
    first = candidate(site, hub, found["acc-1"])
    page = client.get(f"/matching?at={first}")
    form = re.search(rf'action="/matching/{first}/accept">.*?name="back" value="([^"]+)"', page.text)
    assert form
    answer = post(client, f"/matching/{first}/accept", back=form[1].replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "at=" in str(answer.url)
    assert site.run(hub.variant_of(found["acc-1"]))
    assert "Accepted by Ana Costa" in client.get("/matching?state=accepted").text
    again = post(client, f"/matching/{first}/accept")
    assert again.status_code == 409
    assert "Ana Costa accepted it already." in again.text
    undone = post(client, f"/matching/{found['acc-1']}/unmatch", back="/matching?state=rejected")
    assert "Rejected by Ana Costa" in undone.text
    assert site.run(hub.variant_of(found["acc-1"])) is None


def test_rejecting_and_taking_it_back(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-3", there("rej"))
    only = candidate(site, hub, found["rej"])
    assert post(client, f"/matching/{only}/reject").status_code == 200
    assert f"/matching/{only}/reopen" in client.get(f"/matching?state=rejected&at={only}").text
    assert post(client, f"/matching/{only}/reopen").status_code == 200
    assert f"/matching/{only}/accept" in client.get(f"/matching?at={only}").text


def test_another_product_is_found_and_chosen(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-4", there("other", "Unheard-of thing zzz"))
    shown = client.get(f"/matching?state=unlike&at={found['other']}").text
    assert "Like nothing in your catalog" in shown
    search = client.get("/matching/variants", params={"q": "p-4", "listing": str(found["other"]), "back": "/matching"})
    assert "P-4" in search.text
    nothing = client.get("/matching/variants", params={"q": "no such thing", "listing": str(found["other"])})
    assert "No product is called so." in nothing.text
    variant = re.search(r'name="variant" value="([^"]+)"', search.text)
    assert variant
    assert post(client, f"/matching/{found['other']}/assign", variant=variant[1]).status_code == 200
    assert str(site.run(hub.variant_of(found["other"]))) == variant[1]
    assert post(client, f"/matching/{found['other']}/assign", variant=variant[1]).status_code == 409


def test_a_product_is_made_of_a_listing(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-5", there("make", "Unheard-of thing yyy"))
    refused = post(client, f"/matching/{found['make']}/product", sku="P-5")
    assert refused.status_code == 409
    assert "exists already" in refused.text
    assert post(client, f"/matching/{found['make']}/product", sku="MADE-1").status_code == 200
    assert site.run(hub.variant_of(found["make"]))
    assert "MADE-1" in client.get("/products?q=MADE").text


def test_many_are_accepted_at_once_and_settings_are_kept(client: httpx.Client, site: Site, hub: Shop) -> None:
    found = wait(site, hub, "P-6", there("bulk", "Enamel cup blue tall Falcon"))
    site.run(hub.save(product("CUP-BLUE", "Enamel cup blue tall", "Falcon", 8900, "")))
    site.run(hub.match())
    assert post(client, "/matching/accept-above", score="many").status_code == 409
    assert post(client, "/matching/accept-above", score="20").status_code == 409
    assert post(client, "/matching/accept-above", score="50").status_code == 200
    assert site.run(hub.variant_of(found["bulk"]))
    text = post(client, "/matching/settings", by_itself="on").text
    assert re.search(r'name="by_itself" checked', text)
    assert not re.search(r'name="by_barcode" checked', text)
    assert "is not known yet" in text
    post(client, "/matching/settings", by_barcode="on")


def test_the_list_as_a_file(client: httpx.Client, site: Site, hub: Shop) -> None:
    wait(site, hub, "P-7", there("file"))
    answer = client.get("/matching/candidates.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "THEIRS-file" in answer.text
    assert client.get("/matching?state=odd").status_code == 422
    assert client.get("/matching?connection=odd").status_code == 404


def test_empty_it_says_what_to_do(database_url: str) -> None:
    site = Site(database_url).start(empty=True)
    try:
        with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
            client.get(site.link())
            assert "There are no products yet." in client.get("/matching").text
            for state in ("unlike", "accepted", "rejected"):
                assert 'class="empty"' in client.get(f"/matching?state={state}").text
    finally:
        site.stop()
