"""Tasks by keyboard in a real browser: looked through, approved, carried out, undone, rejected; on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.web.server import Site
from tests.web.test_task_pages import carry_out, price_of, propose, raise_price, state
from tests.web.test_ui import PATIENCE_MS, _launch

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


def test_a_price_is_approved_and_undone_by_keyboard(site: Site) -> None:
    task, name, before = raise_price(site, "Raise the price")
    other = propose(site, "Write better titles")
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        page = browser.new_page()
        page.goto(site.link(), wait_until="commit", timeout=PATIENCE_MS)
        page.goto(f"{site.url}/tasks", timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name="Raise the price")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("x")
        expect(page.locator("[data-selected-count]")).to_have_text("1", timeout=PATIENCE_MS)
        page.keyboard.press("j")
        expect(page.get_by_role("heading", name="Write better titles")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("k")
        expect(page.get_by_role("heading", name="Raise the price")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("Shift+A")
        expect(page.get_by_text("Approved. The hub carries it out.")).to_be_visible(timeout=PATIENCE_MS)
        carry_out(site)
        assert price_of(site, name) == before * 110 // 100
        page.goto(f"{site.url}/tasks/{task.id}", timeout=PATIENCE_MS)
        expect(page.get_by_text("Done; being read back.")).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("z")
        expect(page.get_by_text("Undone. Channels follow.")).to_be_visible(timeout=PATIENCE_MS)
        assert price_of(site, name) == before
        page.goto(f"{site.url}/tasks?at={other.id}", timeout=PATIENCE_MS)
        page.keyboard.press("r")
        page.get_by_label("Why", exact=True).last.fill("Not this season")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Rejected.")).to_be_visible(timeout=PATIENCE_MS)
        browser.close()
    assert state(site, other).reason == "Not this season"


def test_it_fits_on_a_phone_and_in_the_dark(site: Site) -> None:
    task, _, _ = raise_price(site, "Raise the price of a thing with quite a long name for one line of a list")
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        for scheme, width in (("light", 1360), ("dark", 1360), ("light", 390)):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(site.link(), wait_until="commit", timeout=PATIENCE_MS)
            for place in ("/tasks", f"/tasks?at={task.id}", f"/tasks/{task.id}", "/tasks/new", "/tasks/policies"):
                page.goto(f"{site.url}{place}", wait_until="domcontentloaded", timeout=PATIENCE_MS)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (place, scheme, width)
            page.close()
        browser.close()
