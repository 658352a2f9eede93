"""Matching by keyboard in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.catalog.match_support import Shop
from tests.web.server import Site
from tests.web.test_matching_pages import DRILL, candidate, product, there
from tests.web.test_ui import PATIENCE_MS, _launch

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


def test_the_queue_is_gone_through_by_keyboard(site: Site) -> None:
    assert site.database
    assert site.organisation_id
    assert site.filled
    hub = Shop(site.database, site.organisation_id, site.filled.connections["Shopify EU"], {})
    site.run(
        hub.save(product("DRILL", *DRILL, 8900, ""), product("MUG-1", "Tin camping cup green", "Falcon", 8900, ""))
    )
    found = site.run(hub.show(there("1"), there("2", "Falcon tin camping cup, green")))
    site.run(hub.match())
    ids = {candidate(site, hub, found[key]) for key in ("1", "2")}
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        page = browser.new_page()
        page.goto(site.link(), wait_until="commit", timeout=PATIENCE_MS)
        page.goto(f"{site.url}/matching", timeout=PATIENCE_MS)
        expect(page.get_by_role("link", name="Next")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("j")
        expect(page).to_have_url(re.compile("at="), timeout=PATIENCE_MS)
        expect(page.get_by_role("link", name="Previous")).to_be_visible(timeout=PATIENCE_MS)
        # What is typed into a field is no command.
        page.get_by_label("Find by SKU, barcode or title").press_sequentially("ra")
        page.get_by_label("Find by SKU, barcode or title").fill("drill")
        expect(page.locator("#found")).to_contain_text("DRILL", timeout=PATIENCE_MS)
        page.get_by_role("heading", level=1).click()
        page.keyboard.press("a")
        expect(page.get_by_text("Matched. The hub keeps its stock in step")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("r")
        expect(page.get_by_text("Rejected. This pair is not proposed again.")).to_be_visible(timeout=PATIENCE_MS)
        browser.close()
    states = [
        row["state"] for key in ("1", "2") for row in site.run(hub.candidates(found[key])) if str(row["id"]) in ids
    ]
    assert sorted(states) == ["accepted", "rejected"]
