"""The pages in a real browser."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright
from tests.web.fill import Filled, add_order, change_stock
from tests.web.server import Site

from entrepot.kernel.clock import utc_now

pytestmark = pytest.mark.ui

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = _launch(playwright)
        yield chromium
        chromium.close()


def _launch(playwright: Playwright) -> Browser:
    try:
        return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    except Exception as error:
        pytest.skip(f"Chromium is not there: {error}")


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    site = Site(database_url).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> Any:
    """The cookies of a person who came by a sign-in link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.link(), wait_until="commit", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible(timeout=PATIENCE_MS)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(browser: Browser, signed_in: Any) -> Iterator[BrowserContext]:
    context = browser.new_context(storage_state=signed_in)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not write an error to its console."""
    problems: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    assert problems == []


@pytest.fixture
def filled(site: Site) -> Filled:
    assert site.filled
    return site.filled


def live(page: Page) -> None:
    """Wait until the stream is open."""
    expect(page.locator("#live")).to_have_text("Live", timeout=PATIENCE_MS)


def change(site: Site, filled: Filled, index: int, on_hand: int) -> None:
    """Change what is on hand of a variant, as another process would."""

    async def work() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            await change_stock(tx, filled, filled.variants[index][0], on_hand)

    site.run(work())


def test_a_used_sign_in_link_says_so(browser: Browser, site: Site, signed_in: Any) -> None:
    link = site.link()
    for expected in ("Now", "Sign in"):
        context = browser.new_context()
        page = context.new_page()
        page.goto(link, timeout=PATIENCE_MS)
        expect(page.get_by_role("heading", name=expected, level=1)).to_be_visible(timeout=PATIENCE_MS)
        if expected == "Sign in":
            expect(page.get_by_role("alert").first).to_contain_text("used already")
            page.get_by_label("Email").fill("admin@entrepot.local")
            page.get_by_label("Password").fill("not this one at all")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert").first).to_contain_text("wrong", timeout=PATIENCE_MS)
        context.close()


def test_a_cell_changes_in_place_and_keeps_focus(page: Page, site: Site, filled: Filled) -> None:
    variant_id, sku, _ = filled.variants[6]
    page.goto(f"{site.url}/stock")
    live(page)
    cell = page.get_by_role("button", name=f"On hand of {sku}: change")
    cell.focus()
    page.evaluate("document.body.dataset.same = 'page'")
    change(site, filled, 6, 4321)
    expect(page.locator(f'[data-live="on_hand:{variant_id}"]')).to_have_text("4,321")
    expect(cell).to_be_focused()
    assert page.evaluate("document.body.dataset.same") == "page"


def test_stock_is_edited_by_keyboard(page: Page, site: Site, filled: Filled) -> None:
    variant_id, sku, _ = filled.variants[0]
    page.goto(f"{site.url}/stock")
    cell = page.get_by_role("button", name=f"On hand of {sku}: change")
    cell.focus()
    page.keyboard.press("Enter")
    field = page.get_by_label("On hand", exact=True)
    expect(field).to_be_focused()
    field.fill("many")
    page.keyboard.press("Enter")
    expect(page.get_by_text("On hand must be a whole number.")).to_be_visible()
    expect(field).to_be_focused()
    field.fill("77")
    page.keyboard.press("Enter")
    expect(page.locator(f'[data-live="on_hand:{variant_id}"]')).to_have_text("77")
    expect(page.get_by_text(f"{sku}: 77 on hand.")).to_be_visible()
    expect(cell).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name=f"On hand of {filled.variants[1][1]}: change")).to_be_focused()


def test_a_dialog_may_be_sent_in_the_moment_it_opens(page: Page, site: Site, filled: Filled) -> None:
    """A scanner types and sends at once: the form must be the page's own by then, not one that leaves the page."""
    _, sku, _ = filled.variants[0]
    page.goto(f"{site.url}/stock")
    page.evaluate(
        """document.addEventListener("focusin", event => {
            if (event.target.id !== "edit-on-hand" || event.target.value === "many") return;
            event.target.value = "many";
            setTimeout(() => event.target.form.requestSubmit(), 0);
        })"""
    )
    page.get_by_role("button", name=f"On hand of {sku}: change").click()
    expect(page.get_by_text("On hand must be a whole number.")).to_be_visible()
    expect(page).to_have_url(f"{site.url}/stock")


def test_a_number_explains_itself(page: Page, site: Site, filled: Filled) -> None:
    page.goto(f"{site.url}/stock")
    page.get_by_role("button", name=f"{filled.variants[1][1]} on Shopify EU: why this number").click()
    layer = page.get_by_role("dialog", name="Details")
    expect(layer).to_contain_text("40% of the pool")
    expect(layer).to_contain_text("Wanted")
    page.keyboard.press("Escape")
    expect(layer).to_be_hidden()


def test_orders_arrive_on_the_first_page(page: Page, site: Site, filled: Filled) -> None:
    page.goto(site.url)
    live(page)

    async def work() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            await add_order(tx, filled, random.Random(1), number=9001, placed_at=utc_now())

    site.run(work())
    expect(page.locator('[data-live-list="orders"] tr').first).to_contain_text("#9001")


def test_the_palette_finds_pages_orders_and_skus(page: Page, site: Site) -> None:
    page.goto(site.url)
    live(page)
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Find a page, an order or a SKU")
    expect(field).to_be_focused()
    field.fill("1007")
    expect(page.get_by_role("option", name="#1007")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Order #1007", level=1)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Stock", level=1)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_orders_are_filtered_and_paged(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/orders")
    table = page.get_by_role("region", name="Orders, table")
    expect(table.locator("tbody tr")).to_have_count(50)
    first = table.locator("tbody a").first.inner_text()
    page.get_by_role("link", name="Next 50 orders").click()
    expect(table.locator("tbody a").first).not_to_have_text(first)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Filter orders")).to_be_focused()
    page.keyboard.type("#1011")
    page.keyboard.press("Enter")
    expect(table.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    page.goto(f"{site.url}/orders?trouble=1")
    expect(table.get_by_text("Exception").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Order #", level=1)).to_be_visible()
    page.goto(f"{site.url}/orders?q=nothing-like-it")
    expect(page.get_by_text("No order matches this filter.")).to_be_visible()


def test_the_theme_is_switched_and_kept(page: Page, site: Site) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{site.url}/settings")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(background) == "rgb(246, 247, 249)"
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(background) == "rgb(15, 19, 25)"
    page.reload()
    assert page.evaluate(background) == "rgb(15, 19, 25)"
    expect(page.get_by_role("button", name="Light theme")).to_be_visible()


def test_the_wizard_names_the_wrong_fields(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/channels/connect/shopify")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#error-name")).to_contain_text("name")
    page.get_by_label("Name").fill("Second shop")
    page.get_by_role("button", name="Test", exact=True).click()
    invalid = page.locator('.input[aria-invalid="true"]')
    expect(invalid.first).to_be_visible()
    expect(page.locator("#outcome")).to_contain_text("Look at the marked fields")
    expect(page.get_by_label("Name")).to_have_value("Second shop")


def test_an_empty_hub_says_what_to_do(browser: Browser, site: Site) -> None:
    link = site.link(site.run(site.new_organisation()))
    context = browser.new_context(viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("link", name="Connect a channel")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Orders").click()
    expect(page.get_by_text("Orders come in from your channels; none is connected yet.")).to_be_visible()
    page.goto(f"{site.url}/stock")
    expect(page.get_by_text("there are no products yet")).to_be_visible()
    context.close()


def test_every_page_has_names_for_its_controls(page: Page, site: Site, filled: Filled) -> None:
    connection = filled.connections["Amazon DE"]
    for path in (
        "/", "/orders", "/stock", "/products", "/channels", f"/channels/{connection}", f"/channels/{connection}/settings",
        "/channels/connect/shopify", "/sync", "/settings", "/settings/keys", "/settings/audit",
        f"/orders/{filled.orders[0]}", f"/stock/{filled.variants[0][0]}", f"/products/{filled.products[0]}",
    ):  # fmt: skip
        page.goto(site.url + path, wait_until="domcontentloaded")
        assert page.evaluate(NAMELESS) == [], path
        assert page.locator("h1").count() == 1, path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


NAMELESS = """() => Array.from(document.querySelectorAll('button, a[href], input:not([type=hidden]), select, table th'))
  .filter(node => {
    const labels = node.labels ? Array.from(node.labels).map(label => label.textContent).join('') : '';
    return !(node.textContent + labels + (node.getAttribute('aria-label') || '')).trim();
  }).map(node => node.outerHTML)"""


def test_a_lost_stream_says_so_and_keeps_the_data(page: Page, site: Site) -> None:
    page.goto(site.url)
    live(page)
    page.wait_for_load_state("load")
    site.stop()
    banner = page.locator("#lost")
    expect(banner).to_contain_text("Reconnecting, data from ")
    expect(page.locator('[data-live-list="orders"] tr').first).to_be_visible()
    site.start()
    expect(banner).to_be_hidden()
    live(page)


STOCK_PAGES = ("", "/reorder", "/reorder?show=low", "/shortages", "/counts", "/transfers", "/purchase-orders", "/suppliers",
               "/locations", "/movements", "/files", "/simulations")  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_of_stock_fit_the_screen(
    browser: Browser, signed_in: Any, site: Site, filled: Filled, width: int, scheme: Any
) -> None:
    context = browser.new_context(
        storage_state=signed_in, viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in (*STOCK_PAGES, f"/{filled.variants[0][0]}"):
        page.goto(f"{site.url}/stock{path}", wait_until="commit", timeout=PATIENCE_MS)
        expect(page.locator("#content")).to_be_visible(timeout=PATIENCE_MS)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path
    context.close()
    assert problems == []


def test_a_simulation_is_started_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/stock/simulations", wait_until="commit", timeout=PATIENCE_MS)
    page.get_by_label("Everything everywhere").press("Space")
    page.get_by_label("Lags").fill("30s")
    page.get_by_label("Lags").press("Enter")
    expect(page.get_by_role("heading", name="Fixed shares, equal, risk on own orders")).to_be_visible()
    expect(page.get_by_text("Waits for a worker")).to_be_visible()
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.get_by_text("It was stopped.")).to_be_visible()
    page.get_by_role("link", name="Run again with other settings").press("Enter")
    expect(page.get_by_label("Lags")).to_have_value("30s")
    expect(page.get_by_label("Everything everywhere")).not_to_be_checked()


def test_a_sheet_is_counted_by_keyboard(page: Page, site: Site, filled: Filled) -> None:
    page.goto(f"{site.url}/stock/counts", wait_until="commit", timeout=PATIENCE_MS)
    page.get_by_label("SKUs").fill(f"{filled.variants[15][1]}\n{filled.variants[16][1]}")
    page.get_by_role("button", name="Open sheet").press("Enter")
    first = page.get_by_label(f"Counted of {filled.variants[15][1]}")
    first.focus()
    page.keyboard.type("5")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("6")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 of 2 SKUs are counted.")).to_be_visible()
    page.get_by_role("button", name="Take the differences over").press("Enter")
    expect(page.get_by_role("heading", name="Count C-")).to_be_visible()
    expect(page.get_by_text("Taken over", exact=True).first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_allocation_fit_and_write_no_errors(
    browser: Browser, signed_in: Any, site: Site, width: int, scheme: Any
) -> None:
    context = browser.new_context(
        storage_state=signed_in, viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in ("", "/policy?scope=shop", "/policy?strategy=rules", "/limits", "/learned"):
        page.goto(f"{site.url}/allocation{path}", wait_until="commit", timeout=PATIENCE_MS)
        expect(page.locator("#content")).to_be_visible(timeout=PATIENCE_MS)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path
    context.close()
    assert problems == []


def test_a_rule_is_written_tried_and_mended_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/allocation/policy?scope=shop&strategy=rules", wait_until="commit", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Add a rule").press("Enter")
    page.get_by_label("At most").fill("few")
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.get_by_text("At most must be a number.")).to_be_visible()
    expect(page.get_by_label("At most")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("At most").fill("3")
    page.get_by_label("Amazon").press("Space")
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    expect(page.get_by_text("At most must be a number.")).to_have_count(0)
    expect(page.get_by_label("At most")).to_have_value("3")
    expect(page.get_by_label("Amazon")).to_be_checked()
    # Looking at it has saved nothing.
    page.goto(f"{site.url}/allocation", wait_until="commit", timeout=PATIENCE_MS)
    expect(page.get_by_text("Nothing is set")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Stock", level=1)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Allocation", level=1)).to_be_visible()


def test_products_are_chosen_by_keyboard_and_edited_in_bulk(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/products")
    live(page)
    expect(page.get_by_role("button", name="Edit selected")).to_be_disabled()
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("[data-selected-count]")).to_have_text("2")
    page.get_by_role("button", name="Edit selected").click()
    expect(page.get_by_role("heading", name="2 products")).to_be_visible()
    page.get_by_label("Change 1").select_option("tags:add")
    page.get_by_label("Value").first.fill("chosen")
    page.get_by_role("button", name="Look first").click()
    expect(page.get_by_text("2 would change")).to_be_visible()
    page.get_by_role("button", name="Change 2 products").click()
    expect(page.get_by_text("2 changed")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("2 set back")).to_be_visible()
    page.goto(f"{site.url}/products")
    page.get_by_label("Select all on this page").check()
    expect(page.locator("tbody input:checked")).to_have_count(page.locator("tbody input[type=checkbox]").count())


def test_who_leaves_an_unsaved_form_is_asked(page: Page, site: Site, filled: Filled) -> None:
    page.goto(f"{site.url}/products/{filled.products[0]}/edit")
    live(page)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_label("Vendor").fill("Somebody")
    page.evaluate("location.href = '/products'")
    expect(page.get_by_label("Vendor")).to_have_value("Somebody")
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody").first).to_be_visible()
    assert asked == ["beforeunload"]
