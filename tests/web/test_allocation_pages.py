"""The pages of allocation over HTTP, without scripts: what a person does there, and what they see when it is refused."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.server import Site
from tests.web.test_stock_pages import post

from entrepot.allocation import facade as allocation
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.web import policy_forms, rule_forms

PAGES = (
    "", "/limits", "/limits?q=SKU", "/learned", "/learned?q=SKU-00001",
    *(f"/policy?scope=shop&strategy={name}" for name in policy_forms.STRATEGIES), "/policy?strategy=rules&as=data",
)  # fmt: skip


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


@pytest.fixture(autouse=True)
def _nothing_set(site: Site) -> None:
    async def work() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            for table in ("allocation_policy", "allocation_limit", "outbox"):
                await tx.execute(f"delete from {table} where organisation_id = $1", site.organisation_id)

    site.run(work())


def in_force(site: Site, product_id: UUID | None = None) -> allocation.Policy:
    async def work() -> allocation.Policy:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            return await allocation.get_policy(tx, product_id)

    return site.run(work())


def product(site: Site) -> UUID:
    assert site.filled
    return site.filled.products[0]


@pytest.mark.parametrize("path", PAGES)
def test_pages_show_and_carry_no_inline_script(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/allocation{path}")
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text)
    assert 'aria-current="page"' in answer.text


def test_every_strategy_has_words_and_a_form() -> None:
    assert set(policy_forms.STRATEGIES) == set(allocation.STRATEGIES)


def test_empty_pages_say_what_to_do(database_url: str) -> None:
    site = Site(database_url).start(empty=True)
    try:
        with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
            client.get(site.link())
            for path in PAGES:
                assert client.get(f"/allocation{path}").status_code == 200, path
            assert "Nothing is set" in client.get("/allocation").text
            assert "No channel is connected" in client.get("/allocation/learned").text
            assert "No product or SKU has a limit" in client.get("/allocation/limits").text
            tried = post(client, "/allocation/policy", scope="shop", id="", strategy="equal", do="preview")
            assert "No SKU that it is for is on sale" in tried.text
    finally:
        site.stop()


def test_a_policy_is_tried_saved_changed_and_removed(client: httpx.Client, site: Site) -> None:
    typed = {"scope": "shop", "id": "", "strategy": "fixed_shares", "p-shares-shopify": "12.5", "p-reserve": "20"}
    tried = post(client, "/allocation/policy", do="preview", **typed)
    assert tried.status_code == 200
    assert "SKUs looked at would show something else" in tried.text
    # The button below the preview sends what was typed once more.
    part = tried.text.rpartition('action="/allocation/policy"')[2].partition("</form>")[0]
    again = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', part))
    file = client.post("/allocation/policy", data={**again, "do": "csv"})
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert file.headers["content-disposition"] == 'attachment; filename="allocation-preview.csv"'
    assert rows
    assert all(int(row["draft"]) - int(row["today"]) == int(row["change"]) for row in rows)
    assert any("12.5%" in row["why"] for row in rows)
    assert in_force(site).parameters == {}
    saved = post(client, "/allocation/policy", do="save", **typed)
    assert saved.url.path == "/allocation"
    assert "shopify 12.5%, reserve 20%" in saved.text
    assert in_force(site) == allocation.Policy("fixed_shares", {"shares": {"shopify": 0.125}, "reserve": 0.2})
    assert 'value="12.5"' in client.get("/allocation/policy").text
    removed = post(client, "/allocation/policy/remove", scope="shop", id="")
    assert "Nothing is set" in removed.text
    assert post(client, "/allocation/policy/remove", scope="shop", id="").status_code == 404


@pytest.mark.parametrize(
    ("strategy", "field", "text", "words"),
    [
        ("fixed_shares", "p-shares-shopify", "140", "must be between 0 and 1"),
        ("fixed_shares", "p-reserve", "much", "must be a number"),
        ("pool_minus_buffer", "p-buffer", "-2", "0 or more"),
        ("pool_minus_buffer", "p-buffer", "1.5", "whole number"),
        ("priority", "p-targets-amazon", "x", "must be a number"),
        ("risk", "p-risk", "90", "must be between"),
        ("risk", "p-lag_s", "inf", "out of bounds"),
        ("demand", "p-prior_units", "-1", "must be between"),
    ],
)
def test_an_error_stands_beside_its_field(
    client: httpx.Client, site: Site, strategy: str, field: str, text: str, words: str
) -> None:
    answer = post(client, "/allocation/policy", scope="shop", id="", strategy=strategy, do="save", **{field: text})
    assert answer.status_code == 422
    beside = re.search(rf'id="error-{field}" role="alert">([^<]*)<', answer.text)
    assert beside
    assert words in beside[1]
    assert f'value="{text}"' in answer.text
    assert in_force(site) == allocation.Policy("fixed_shares", {})


def test_a_product_gets_a_policy_by_its_sku_and_the_page_says_whose_counts(client: httpx.Client, site: Site) -> None:
    found = client.get("/allocation/for", params={"sku": "SKU-00000"})
    assert str(product(site)) in str(found.url)
    assert "The usual" in found.text
    post(client, "/allocation/policy", scope="product", id=product(site), strategy="equal", do="save")
    assert in_force(site, product(site)).strategy == "equal"
    assert in_force(site).strategy == "fixed_shares"
    assert "Own policy" in client.get(f"/allocation/policy?scope=product&id={product(site)}").text
    missing = client.get("/allocation/for", params={"sku": "NONE"}, follow_redirects=False)
    assert "There%20is%20no%20SKU" in missing.headers["set-cookie"]
    for path in (f"scope=product&id={new_id()}", "scope=product", "scope=moon", "scope=category&id=x"):
        assert client.get(f"/allocation/policy?{path}").status_code == 404


RULE = {
    "r0-name": "Saturday", "r0-channel-amazon": "1", "r0-day-sat": "1", "r0-time-from": "18:00", "r0-time-to": "02:00",
    "r0-stock-below": "50", "r0-cap": "3", "otherwise": "risk", "otherwise-parameters": '{"lag_s": 60}', "zone": "Europe/Lisbon",
}  # fmt: skip


def test_rules_are_written_tried_and_saved_as_a_form_and_as_data(client: httpx.Client, site: Site) -> None:
    base = {"scope": "shop", "id": "", "strategy": "rules"}
    added = post(client, "/allocation/policy", do="add", **base, **RULE)
    assert 'name="r1-name"' in added.text
    assert 'value="18:00"' in added.text
    moved = post(client, "/allocation/policy", do="up-1", **base, **RULE, **{"r1-name": "second", "r1-cap": "1"})
    assert moved.text.index('value="second"') < moved.text.index('value="Saturday"')
    gone = post(client, "/allocation/policy", do="remove-0", **base, **RULE)
    assert "There is no rule yet" in gone.text
    tried = post(client, "/allocation/policy", do="preview", **base, **RULE)
    assert "Saturday" in tried.text
    assert "Mostly not, because" in tried.text
    post(client, "/allocation/policy", do="save", **base, **RULE, **{"r1-product": "product-0", "r1-quantity": "4"})
    wanted = {
        "rules": [
            {"name": "Saturday", "then": {"cap": 3}, "if": {
                "channel": ["amazon"], "stock": {"below": 50}, "time": {"from": "18:00", "to": "02:00", "days": ["sat"]}}},
            {"if": {"product": [str(product(site))]}, "then": {"quantity": 4}},
        ],
        "otherwise": {"strategy": "risk", "parameters": {"lag_s": 60}}, "zone": "Europe/Lisbon",
    }  # fmt: skip
    assert in_force(site) == allocation.Policy("rules", wanted)
    shown = client.get("/allocation/policy?scope=shop").text
    assert 'value="product-0"' in shown
    assert "&#34;Saturday&#34;" in client.get("/allocation/policy?scope=shop&as=data").text
    wanted["rules"] = []
    answer = post(client, "/allocation/policy", do="save", **base, **{"as": "data", "data": json.dumps(wanted)})
    assert answer.url.path == "/allocation"
    assert in_force(site).parameters == wanted


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"r0-cap": "x"}, "r0-cap", "must be a number"),
        ({"r0-share": "140"}, "r0-share", "between 0 and 1"),
        ({"r0-name": "does nothing"}, "r0-then", "does nothing"),
        ({"r0-cap": "1", "r0-time-from": "25:00"}, "r0-time-from", "must be a time"),
        ({"r0-cap": "1", "r0-sold-below": "1"}, "r0-sold-days", "1 or more"),
        ({"r0-cap": "1", "r0-sold-days": "3"}, "r0-sold-below", "at_least, below"),
        ({"r0-cap": "1", "r0-product": "nothing"}, "r0-product", "no product"),
        ({"r0-channel-amazon": "1", "r0-strategy": "equal"}, "r0-strategy", "one channel"),
        ({"r0-strategy": "equal", "r0-parameters": "{"}, "r0-parameters", "Write settings"),
        ({"zone": "Moon"}, "zone", "not known"),
        ({"otherwise-parameters": '{"x": 1}'}, "otherwise-parameters", "no &#39;x&#39;"),
        ({"as": "data", "data": "{"}, "data", "not JSON"),
        ({"as": "data", "data": '{"rules": [{"then": {"cap": -1}}]}'}, "data", "Rule 1, cap"),
    ],
)
def test_an_error_in_a_rule_stands_beside_its_field(
    client: httpx.Client, site: Site, typed: dict[str, str], field: str, words: str
) -> None:
    answer = post(client, "/allocation/policy", scope="shop", id="", strategy="rules", do="save", **typed)
    assert answer.status_code == 422
    beside = re.search(rf'id="error-{field}" role="alert">([^<]*)<', answer.text)
    assert beside
    assert words in beside[1]
    assert in_force(site).strategy == "fixed_shares"


NAMES = st.sampled_from(["a", "b-1", "c d"])
UNITS = st.integers(0, 1000)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.lists(st.sampled_from(["amazon", "shopify"]), min_size=1, unique=True).map(sorted),
        "tag": st.lists(NAMES, min_size=1, unique=True),
        "sku": st.lists(NAMES, min_size=1, unique=True),
        "stock": st.fixed_dictionaries({"below": UNITS}, optional={"at_least": UNITS}),
        "sold": st.fixed_dictionaries({"days": st.integers(1, 30), "below": UNITS}),
        "time": st.fixed_dictionaries({"from": st.just("18:00")}, optional={"days": st.just(["mon", "sat"])}),
    },
)
EFFECTS = st.one_of(
    st.fixed_dictionaries({"cap": UNITS}, optional={"buffer": UNITS, "quantity": UNITS}),
    st.fixed_dictionaries({"share": st.sampled_from([0.25, 0.125, 1.0])}),
)
RULES = st.lists(st.fixed_dictionaries({"if": CONDITIONS, "then": EFFECTS}, optional={"name": NAMES}), max_size=4)


@given(RULES)
def test_rules_come_out_of_the_form_as_they_went_in(rules: list[dict[str, object]]) -> None:
    parameters = {"rules": rules, "otherwise": {"strategy": "equal"}, "zone": "Asia/Tokyo"}
    shown = rule_forms.form_of(parameters, {})
    form = {f"r{n}-{name}": value for n, rule in enumerate(shown.rules) for name, value in rule.items()}
    typed = rule_forms.typed({**form, "zone": shown.zone, "otherwise": shown.otherwise})
    assert rule_forms.data_of(typed, {}) == (parameters, {})


def test_limits_are_set_listed_and_removed(client: httpx.Client, site: Site) -> None:
    assert site.filled
    amazon = site.filled.connections["Amazon DE"]
    post(client, "/allocation/limits", sku="SKU-00000", of="product", connection_id="", buffer=2)
    saved = post(client, "/allocation/limits", sku="SKU-00000", of="variant", connection_id=amazon, cap=5, least=2)
    assert saved.url.path == "/allocation/limits"
    rows = list(csv.DictReader(io.StringIO(client.get("/allocation/export/allocation-limits.csv").text)))
    assert [(r["scope"], r["name"], r["connection"], r["buffer"], r["cap"], r["least"]) for r in rows] == [
        ("product", "Linen shirt, blue", "", "2", "", ""),
        ("variant", "SKU-00000", "Amazon DE", "", "5", "2"),
    ]
    variant = site.filled.variants[0][0]
    gone = post(client, "/allocation/limits", scope="variant", scope_id=variant, connection_id=amazon, do="remove")
    assert "SKU-00000" not in gone.text
    for typed, field, words in (
        ({"sku": "NONE", "cap": 1}, "sku", "There is no SKU"),
        ({"sku": "SKU-00000"}, "buffer", "Type a buffer"),
        ({"sku": "SKU-00000", "cap": "x"}, "cap", "whole number"),
        ({"sku": "SKU-00000", "cap": 1, "least": 2}, "least", "is above"),
    ):
        answer = post(client, "/allocation/limits", of="variant", connection_id="", **typed)
        assert answer.status_code == 422
        assert re.search(rf'id="error-{field}" role="alert">[^<]*{words}', answer.text), typed


def test_what_was_learned_is_shown_with_what_is_behind_it(client: httpx.Client, site: Site) -> None:
    async def work() -> None:
        assert site.database
        assert site.filled
        async with site.database.transaction(site.organisation_id) as tx:
            connection = site.filled.connections["Shopify EU"]
            await allocation.count_lags(tx, connection, allocation.HEARD, [1.5] * 40, utc_now())
            sold = [(site.filled.variants[0][0], 1)] * 30
            await allocation.count_sales(tx, connection, sold, utc_now(), allocation.Learning())

    site.run(work())
    text = client.get("/allocation/learned").text
    assert ">40<" in text
    assert "0 of 20" in text
    rows = list(csv.DictReader(io.StringIO(client.get("/allocation/export/sales-rates.csv?q=SKU-00000").text)))
    sold = {row["connection"]: row["sold_30_days"] for row in rows}
    assert sold["Shopify EU"] == "30"
    assert {row["sku"] for row in rows} == {"SKU-00000"}
    lags = list(csv.DictReader(io.StringIO(client.get("/allocation/export/channel-lags.csv").text)))
    assert len(lags) == 6
    assert "scope,name,strategy" in client.get("/allocation/export/allocation-policies.csv").text
    assert client.get("/allocation/export/simulations.csv").text.startswith("title,state,file_name")
    assert client.get("/allocation/export/nothing.csv").status_code == 422
    assert "No SKU on sale begins like that" in client.get("/allocation/learned?q=zzz").text


def test_a_location_keeps_back_what_the_form_says(client: httpx.Client, site: Site) -> None:
    assert site.filled
    path = f"/stock/locations/{site.filled.location_id}/change"
    post(client, path, name="Main", kind="warehouse", buffer=3)
    assert 'name="buffer" value="3"' in client.get("/stock/locations").text
    assert post(client, path, name="Main", kind="warehouse", buffer="-1").status_code == 409
    post(client, path, name="Main", kind="warehouse", buffer=0)


def test_a_viewer_may_look_and_try_but_not_save(client: httpx.Client, site: Site) -> None:
    from entrepot.identity import facade as identity

    async def viewer() -> tuple[UUID, UUID]:
        assert site.database
        assert site.organisation_id
        person = await identity.create_person(site.database, f"{new_id()}@example.com", "Vera")
        await identity.add_membership(site.database, site.organisation_id, person.id, identity.Role.VIEWER)
        return site.organisation_id, person.id

    with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as other:
        other.get(site.link(site.run(viewer())))
        typed = {"scope": "shop", "id": "", "strategy": "equal"}
        assert "What would change" in post(other, "/allocation/policy", do="preview", **typed).text
        assert 'value="save"' not in other.get("/allocation/policy").text
        assert post(other, "/allocation/policy", do="save", **typed).status_code == 403
        assert post(other, "/allocation/limits", sku="SKU-00000", cap=1).status_code == 403
