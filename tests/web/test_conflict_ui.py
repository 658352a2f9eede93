"""The page of conflicts in a real browser: the keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web.fill_conflicts import add_conflicts
from tests.web.server import Site
from tests.web.test_ui import PATIENCE_MS, browser  # noqa: F401 (a fixture)

pytestmark = pytest.mark.ui


@pytest.fixture
def page(browser: Browser, database_url: str) -> Iterator[Page]:  # noqa: F811
    site = Site(database_url).start()
    assert site.database
    assert site.organisation_id
    assert site.filled
    site.run(add_conflicts(site.database, site.organisation_id, site.filled))
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(site.link(), wait_until="commit")
    page.goto(site.url + "/conflicts?kind=price&field=price", wait_until="load")
    yield page
    context.close()
    site.stop()


def test_a_conflict_is_decided_and_undone_by_keys(page: Page) -> None:
    title = page.locator("#shown-title")
    first = title.text_content()
    page.keyboard.press("j")
    expect(title).not_to_have_text(first or "")
    second = title.text_content()
    page.keyboard.press("k")
    expect(title).to_have_text(first or "")
    page.keyboard.press("j")
    expect(title).to_have_text(second or "")
    page.keyboard.press("1")
    expect(page.get_by_text("Decided. Z undoes it, for 10 seconds.")).to_be_visible()
    expect(title).not_to_have_text(second or "")
    page.keyboard.press("z")
    expect(page.get_by_text("Undone. It is looked at anew.")).to_be_visible()


def test_similar_ones_are_ticked_and_decided_by_keys(page: Page) -> None:
    page.keyboard.press("j")
    box = page.get_by_role("checkbox")
    expect(box).not_to_be_checked()
    page.keyboard.press("a")
    expect(box).to_be_checked()
    page.keyboard.press("2")
    expect(page.get_by_text("6 decided.")).to_be_visible()
    # Typing a number into a field decides nothing.
    page.goto(page.url.partition("/conflicts")[0] + "/conflicts?kind=content&field=title", wait_until="load")
    page.locator("#result").fill("")
    page.locator("#result").press("1")
    expect(page.locator("#result")).to_have_value("1")
