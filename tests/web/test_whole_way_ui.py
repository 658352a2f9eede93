"""The whole way in a real browser: a file is imported, published, edited on both sides, and decided by keyboard.

The hub runs as it does for people: its web server and its worker are processes, the channels are the simulated marketplaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web.test_ui import PATIENCE_MS, browser  # noqa: F401 (a fixture)
from tests.web.whole_hub import NAMES, WholeHub

pytestmark = pytest.mark.ui

HEAD = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Qty,Variant Price,Variant Barcode,Image Src"
)
ROWS = (
    'tee,Linen tee,"<p>Light <span>linen</span></p>",Casa,Tee,"linen, summer",true,Size,S,TEE-S,200,5,24.00,,https://i.example/t.jpg',
    "tee,,,,,,,,M,TEE-M,210,7,24.00,,",
    "mug,Tin mug,<p>Holds tea</p>,Casa,Mug,kitchen,true,Title,Default Title,MUG-1,300,9,9.50,4006381333931,",
    "bag,Jute bag,<p>Carries much</p>,Casa,Bag,,true,Title,Default Title,BAG-1,150,3,14.00,A-17,",
)
LOCK = "supplier_declared_has_product_identifier_exemption: yes"


@pytest.fixture
def hub(fresh_database_url: str) -> Iterator[WholeHub]:
    hub = WholeHub(fresh_database_url).start(time_scale=50)
    yield hub
    hub.stop()


@pytest.fixture
def page(browser: Browser, hub: WholeHub) -> Iterator[Page]:  # noqa: F811
    """A page that must not write an error to its console."""
    problems: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(hub.link, wait_until="commit")
    yield page
    context.close()
    assert problems == []


def test_a_file_goes_to_three_channels_and_what_both_sides_edit_is_decided(
    hub: WholeHub, page: Page, tmp_path: Path
) -> None:
    import_the_file(hub, page, tmp_path)
    publish(hub, page)
    edit_on_both_sides(hub, page)
    decide_by_keyboard(page)
    all_in_step(hub, page)


def import_the_file(hub: WholeHub, page: Page, folder: Path) -> None:
    """A look first, then the changes."""
    file = folder / "shop.csv"
    file.write_text("\n".join((HEAD, *ROWS)))
    page.goto(f"{hub.url}/products/import")
    page.get_by_label("CSV, Excel or JSON").set_input_files(file)
    page.get_by_role("button", name="See what it changes").first.click()
    expect(page.get_by_text("This would make 3 new products")).to_be_visible()
    expect(page.get_by_text("Nothing was changed yet.")).to_be_visible()
    assert hub.rows("select 1 from product where organisation_id = $1") == []
    page.get_by_role("button", name="Make these changes").click()
    expect(page.get_by_text("3 products made")).to_be_visible()


def publish(hub: WholeHub, page: Page) -> None:
    """What a channel does not take is named before; then all goes out, and the page shows it come to its end by itself."""
    page.goto(f"{hub.url}/listings")
    page.get_by_role("link", name="Publish products").click()
    for name in NAMES.values():
        page.get_by_role("checkbox", name=name).check()
    page.get_by_label("Category on Amazon").fill("HOME")
    page.get_by_role("button", name="Check first").click()
    expect(page.get_by_role("heading", name="9 looked at, 1 cannot go yet")).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Barcode 'A-17' is not a valid barcode (BAG-1).")
    page.get_by_label("Attributes on Amazon").fill(LOCK)
    page.get_by_role("button", name="Check first").click()
    expect(page.get_by_role("heading", name="9 looked at, 0 cannot go yet")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("3 products are being published")).to_be_visible()
    for name in NAMES.values():
        live = page.get_by_role("row", name=re.compile(f"^{name} ")).first.get_by_role("cell").nth(3)
        expect(live).to_have_text("3")
    expect(page.get_by_role("cell", name="In step", exact=True)).to_have_count(9)
    for channel in NAMES:
        assert {"TEE-S", "TEE-M", "MUG-1", "BAG-1"} <= set(hub.there(channel))
    assert "<span>" not in hub.there("square")["TEE-S"].description_html


def edit_on_both_sides(hub: WholeHub, page: Page) -> None:
    """The same title is changed on Amazon and in the editor; the price on Shopify, which flows."""
    [mug] = hub.rows("select id from product where organisation_id = $1 and handle = 'mug'")
    page.goto(f"{hub.url}/products/{mug['id']}/edit")
    page.get_by_label("Title", exact=True).fill("Tin mug for the garden")
    hub.edit("amazon", "MUG-1", title="Enamel tin mug")
    hub.edit("shopify", "TEE-S", price="26.00")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("heading", name="Tin mug for the garden", level=1)).to_be_visible()
    # The menu tells by itself that somebody is wanted.
    expect(page.locator('[data-live="needs:conflicts_nav"]')).to_have_text("1")


def decide_by_keyboard(page: Page) -> None:
    """By keys alone: to the conflicts, and theirs."""
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.get_by_role("heading", name="Title of MUG-1 on Amazon")).to_be_visible()
    expect(page.locator('[data-press="1"]')).to_contain_text("Tin mug for the garden")
    expect(page.locator('[data-press="2"]')).to_contain_text("Enamel tin mug")
    page.keyboard.press("2")
    expect(page.get_by_text("Decided. Z undoes it, for 10 seconds.")).to_be_visible()


def all_in_step(hub: WholeHub, page: Page) -> None:
    """The listings come into step by themselves, and so it is on the channels."""
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Listings", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Enamel tin mug")).to_have_count(3)
    expect(page.get_by_role("cell", name="In step", exact=True)).to_have_count(9)
    for channel in NAMES:
        there = hub.there(channel)
        assert there["MUG-1"].product_title == "Enamel tin mug"
        assert str(there["TEE-S"].price) == "26.00"
    assert hub.rows("select 1 from conflict where organisation_id = $1 and state = 'open'") == []
