"""The pages of the catalog over HTTP, without scripts: what a person does there, and what they see when it is refused."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx
import pytest
from tests.web.server import Site

PAGES = ("", "/new", "/categories", "/collections", "/prices", "/bulk", "?q=mug&sort=updated&status=active")


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


def id_in(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    found = re.search(r"[0-9a-f-]{36}", str(answer.url))
    assert found
    return found[0]


def fields_of(client: httpx.Client, product_id: str) -> dict[str, str]:
    """Return the fields of the editor as a browser would send them."""
    page = client.get(f"/products/{product_id}/edit").text
    form = page[page.index(f'action="/products/{product_id}/edit"') :]
    form = form[: form.index("</form>")]
    fields = {n: html.unescape(v) for n, v in re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form)}
    areas = re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL)
    fields |= {name: html.unescape(value) for name, value in areas}
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        assert chosen
        fields[name] = chosen[1]
    fields.pop("collections", None)
    return fields


def new_product(client: httpx.Client, title: str, sku: str) -> str:
    return id_in(post(client, "/products/new", title=title, sku=sku, price="10.00"))


@pytest.mark.parametrize("name", PAGES)
def test_pages_show_and_carry_no_inline_script(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/products{name}")
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text)


def test_empty_pages_say_what_to_do(database_url: str) -> None:
    site = Site(database_url).start(empty=True)
    try:
        with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
            client.get(site.link())
            for name in PAGES:
                assert client.get(f"/products{name}").status_code == 200
            assert "There are no products yet" in client.get("/products").text
            assert "There are no categories yet" in client.get("/products/categories").text
    finally:
        site.stop()


def test_a_filter_that_is_none_is_refused_in_words(client: httpx.Client) -> None:
    answer = client.get("/products?status=gone")
    assert answer.status_code == 422
    assert "is not a status of products" in answer.text


def test_a_product_is_made_and_filled_in(client: httpx.Client) -> None:
    id = new_product(client, "Olive bowl", "BOWL-1")
    fields = fields_of(client, id)
    variant = next(name for name in fields if re.fullmatch(r"v-[0-9a-f-]{36}-sku", name)).removesuffix("sku")
    answer = post(
        client, f"/products/{id}/edit", **{
            **fields, "status": "active", "tags": "wood, olive", "attributes": "Material: Olive wood",
            "images": "https://img.test/b.png | A bowl", "option1": "Size", f"{variant}o1": "S", f"{variant}weight_g": "250",
            "v-new1-sku": "BOWL-2", "v-new1-o1": "L", "v-new1-price": "14.50",
        },
    )  # fmt: skip
    assert answer.status_code == 200
    assert "Saved." in httpx.QueryParams(answer.history[0].headers["set-cookie"].replace("; ", "&"))["said"]
    for text in ("BOWL-2", "Olive wood", "wood, olive", "A bowl", "14.50"):
        assert text in answer.text
    assert "Nothing was changed." in post_said(client, f"/products/{id}/edit", fields_of(client, id))


def post_said(client: httpx.Client, path: str, fields: dict[str, str]) -> str:
    answer = post(client, path, **fields)
    assert answer.history, answer.text
    return httpx.QueryParams(answer.history[0].headers["set-cookie"].replace("; ", "&"))["said"]


def test_faults_stand_beside_their_fields_and_what_was_typed_stays(client: httpx.Client) -> None:
    id = new_product(client, "Fork", "FORK-1")
    fields = fields_of(client, id)
    price = next(name for name in fields if name.endswith("-price") and "new" not in name)
    answer = post(
        client, f"/products/{id}/edit", **{**fields, "title": "Fork of silver", price: "cheap", "images": "nowhere"}
    )
    assert answer.status_code == 422
    assert "must be an amount" in answer.text
    assert 'value="Fork of silver"' in answer.text
    assert 'value="cheap"' in answer.text
    answer = post(client, f"/products/{id}/edit", **{**fields, "images": "nowhere"})
    assert "an image needs an address" in html.unescape(answer.text)


def test_two_who_edit_at_once(client: httpx.Client) -> None:
    id = new_product(client, "Spoon", "SPOON-1")
    mine, theirs = fields_of(client, id), fields_of(client, id)
    assert "Saved." in post_said(client, f"/products/{id}/edit", {**theirs, "vendor": "Acme"})
    said = post_said(client, f"/products/{id}/edit", {**mine, "title": "Spoon of steel"})
    assert "Meanwhile somebody else changed: Vendor" in said
    late = post(client, f"/products/{id}/edit", **{**mine, "title": "Spoon of gold"})
    assert late.status_code == 409
    assert "Spoon of steel" in late.text
    assert 'value="Spoon of gold"' in late.text
    assert 'value="Acme"' in late.text
    base = re.search(r'name="base" value="([^"]*)"', late.text)
    assert base
    again = {**mine, "vendor": "Acme", "title": "Spoon of gold", "base": html.unescape(base[1])}
    assert post_said(client, f"/products/{id}/edit", again).startswith("Saved.")
    page = client.get(f"/products/{id}").text
    assert "Spoon of gold" in page
    assert "Acme" in page


def test_categories_are_made_moved_and_merged(client: httpx.Client) -> None:
    for name in ("Garden", "Indoors"):
        assert post(client, "/products/categories", name=name).status_code == 200
    page = client.get("/products/categories").text
    garden, indoors = (re.search(rf'category=([0-9a-f-]{{36}})">{name}', page) for name in ("Garden", "Indoors"))
    assert garden
    assert indoors
    assert "There is a category" in post(client, "/products/categories", name="Garden").text
    post(client, f"/products/categories/{garden[1]}/change", name="Garden", parent_id=indoors[1])
    refused = post(client, f"/products/categories/{indoors[1]}/change", name="Indoors", parent_id=garden[1])
    assert "cannot be moved" in refused.text
    assert client.get(f"/products/categories?edit={garden[1]}").status_code == 200
    post(client, f"/products/categories/{garden[1]}/merge", into_id=indoors[1])
    assert ">Garden<" not in client.get("/products/categories").text
    assert post(client, f"/products/categories/{indoors[1]}/delete").status_code == 200


def test_collections_have_products_in_an_order(client: httpx.Client) -> None:
    first, second = new_product(client, "Knife", "KNIFE-1"), new_product(client, "Ladle", "LADLE-1")
    here = f"/products/collections/{id_in(post(client, '/products/collections', title='Cutlery'))}"
    page = post(client, f"{here}/add", skus="KNIFE-1\nLADLE-1").text
    assert page.index("Knife") < page.index("Ladle")
    page = post(client, f"{here}/order", **{f"place_{first}": "2", f"place_{second}": "1"}).text
    assert page.index("Ladle") < page.index("Knife")
    assert "Knife" not in post(client, f"{here}/order", **{f"place_{first}": ""}).text
    assert "There is no product with a SKU" in post(client, f"{here}/add", skus="NONE").text
    assert post(client, f"{here}/delete").status_code == 200


def test_price_lists_tell_prices_and_why(client: httpx.Client) -> None:
    new_product(client, "Jug", "JUG-1")
    saved = post(client, "/products/prices/rates", base="EUR", quote="USD", rate="1.08", day="2026-11-20", source="ECB")
    assert "1.08" in saved.text
    rule = {"name": "US", "currency": "USD", "markup": "10", "step": "1.00", "end": "0.99", "rounding": "nearest"}
    here = f"/products/prices/{id_in(post(client, '/products/prices', **rule))}"
    page = html.unescape(client.get(f"{here}?try=JUG").text)
    assert (
        "base 10.00 EUR x 1.08 (ECB, 2026-11-20) + 10% rounded to the nearest price ending in .99 = 11.99 USD" in page
    )
    assert "9.50" in post(client, f"{here}/set", sku="JUG-1", price="9.50").text
    assert "set by hand: 9.50 USD" in client.get(f"{here}?try=JUG").text
    post(client, f"{here}/set", sku="JUG-1", do="take off")
    assert "set by hand: 9.50" not in client.get(f"{here}?try=JUG").text
    assert "Another price list has this name" in post(client, "/products/prices", **rule).text
    assert "is not a day" in post(client, "/products/prices/rates", base="EUR", quote="USD", rate="1", day="x").text
    assert post(client, f"{here}/delete").status_code == 200


def test_a_bulk_edit_is_looked_at_done_and_undone(client: httpx.Client) -> None:
    ids = [new_product(client, f"Bulky {n}", f"BULKY-{n}") for n in range(3)]
    page = post(client, "/products/bulk", scope="chosen", product=ids[:2]).text
    assert "2 products" in page
    change = {
        "products": ",".join(ids[:2]),
        "field1": "price:percent",
        "value1": "-10",
        "field2": "tags:add",
        "value2": "deal",
    }
    looked = post(client, "/products/bulk/preview", **change).text
    assert "2 would change" in looked
    assert "Price of BULKY-0" in looked
    assert "9.00" in looked
    assert "deal" not in client.get(f"/products/{ids[0]}").text
    done = post(client, "/products/bulk/apply", **change)
    assert "2 changed, 0 were so already" in done.text
    fields = fields_of(client, ids[1])
    post(client, f"/products/{ids[1]}/edit", **{**fields, "tags": "deal, mine"})
    undone = post(client, f"/products/bulk/{id_in(done)}/undo").text
    assert "1 set back, 1 left alone" in undone
    assert "Tags" in undone
    assert "deal" not in client.get(f"/products/{ids[0]}").text
    assert "deal, mine" in client.get(f"/products/{ids[1]}").text
    matching = post(client, "/products/bulk", scope="matching", q="bulky").text
    assert "3 products that match" in matching
    assert "Choose 1 to 20 changes" in post(client, "/products/bulk/preview", matching="1", q="bulky").text
    assert "Choose products first" in post(client, "/products/bulk", scope="chosen").text


def test_views_are_saved(client: httpx.Client) -> None:
    page = post(client, "/products/views", name="Drafts", status="draft", shared="1").text
    assert 'aria-current="true">Drafts' in page
    found = re.search(r"/products/views/([0-9a-f-]{36})/delete", page)
    assert found
    assert "Drafts</a>" not in post(client, f"/products/views/{found[1]}/delete").text


def test_a_bundle_is_put_together(client: httpx.Client) -> None:
    new_product(client, "Part", "PART-1")
    id = new_product(client, "Set", "SET-1")
    link = re.search(r"/products/bundles/[0-9a-f-]{36}", client.get(f"/products/{id}").text)
    assert link
    assert "it is no bundle" in client.get(link[0]).text.lower()
    page = post(client, link[0], lines="PART-1; 2").text
    assert "PART-1" in page
    assert "There is no variant" in html.unescape(post(client, link[0], lines="NONE; 2").text)
