"""The pages of stock over HTTP, without scripts: what a person does there, and what they see when it is refused."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.web.server import Site

from entrepot.allocation import facade as allocation
from entrepot.allocation import simulations
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimLine, Hold, SaleClaim
from entrepot.stock.files import STOCK_FILE, take_file_in

PAGES = ("reorder", "reorder?show=low", "shortages", "shortages?state=closed", "holds", "holds?state=expired",
         "holds?state=released&sku=none", "counts", "transfers", "purchase-orders",
         "suppliers", "locations", "movements", "files", "simulations")  # fmt: skip


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
    return client.post(path, data={"csrf_token": token[1], **{key: str(value) for key, value in form.items()}})


def id_in(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.url).rpartition("/")[2]


def sku(site: Site, number: int) -> tuple[UUID, str]:
    assert site.filled
    return site.filled.variants[number][:2]


def other(client: httpx.Client, site: Site) -> tuple[str, str]:
    """Return the ids of Main and of another location, made if it is not there."""
    assert site.filled
    if "Corner" not in client.get("/stock/locations").text:
        post(client, "/stock/locations", name="Corner", kind="store")
    found = re.search(r'location=([0-9a-f-]{36})">Corner', client.get("/stock/locations").text)
    assert found
    return str(site.filled.location_id), found[1]


def supplier(client: httpx.Client, name: str) -> str:
    return id_in(post(client, "/stock/suppliers", name=name, currency="EUR", lead_time_days=3))


@pytest.mark.parametrize("name", PAGES)
def test_pages_show_and_carry_no_inline_script(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/stock/{name}")
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", answer.text)
    assert 'aria-current="page"' in answer.text


def test_empty_pages_say_what_to_do(database_url: str) -> None:
    site = Site(database_url).start(empty=True)
    try:
        with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as client:
            client.get(site.link())
            for name in PAGES:
                answer = client.get(f"/stock/{name}")
                assert answer.status_code == 200
                assert 'class="empty"' in answer.text or name == "files"
    finally:
        site.stop()


def test_locations_are_made_reordered_and_kept_while_in_use(site: Site, client: httpx.Client) -> None:
    main, corner = other(client, site)
    assert "There is a location called" in post(client, "/stock/locations", name="Corner", kind="store").text
    up = post(client, f"/stock/locations/{corner}/up").text
    assert up.index(">Corner<") < up.index(">Main<")
    post(client, f"/stock/locations/{main}/up")
    refused = post(client, f"/stock/locations/{main}/deactivate")
    assert (refused.status_code, "units on hand" in refused.text) == (409, True)
    assert "Out of use</span>" in post(client, f"/stock/locations/{corner}/deactivate").text
    post(client, f"/stock/locations/{corner}/activate")
    assert "Old corner" in post(client, f"/stock/locations/{corner}/change", name="Old corner", kind="store").text
    post(client, f"/stock/locations/{corner}/change", name="Corner", kind="store")


def test_a_transfer_is_drafted_sent_and_received(site: Site, client: httpx.Client) -> None:
    main, corner = other(client, site)
    variant_id, name = sku(site, 4)
    post(client, f"/stock/{variant_id}/on-hand", on_hand=20, reason="count")
    wrong = post(client, "/stock/transfers", **{"from": main, "to": corner, "lines": f"{name}"})
    assert "write the SKU and the units" in wrong.text
    assert name in wrong.text
    assert (
        "no variant with the SKU"
        in post(client, "/stock/transfers", **{"from": main, "to": corner, "lines": "X 1"}).text
    )
    id = id_in(post(client, "/stock/transfers", **{"from": main, "to": corner, "lines": f"{name} 999999"}))
    refused = post(client, f"/stock/transfers/{id}/ship")
    assert (refused.status_code, f"{name}: asked for 999,999, available" in refused.text) == (409, True)
    id = id_in(post(client, "/stock/transfers", **{"from": main, "to": corner, "lines": f"{name}; 3"}))
    assert "In transit" in post(client, f"/stock/transfers/{id}/ship").text
    nothing = post(client, f"/stock/transfers/{id}/receive", do="some")
    assert "Say what came in" in nothing.text
    form = {f"received_{variant_id}": "2", f"damaged_{variant_id}": "1", "do": "some"}
    assert "Partly in" in post(client, f"/stock/transfers/{id}/receive", **form).text
    assert "Received" in post(client, f"/stock/transfers/{id}/receive", do="all").text
    [line] = csv.DictReader(io.StringIO(client.get(f"/stock/transfers/{id}/lines.csv").text))
    assert (line["sku"], line["quantity"], line["damaged"], line["outstanding"]) == (name, "3", "1", "0")
    lines = client.get(f"/stock/movements?sku={name}&kind=transfer").text
    assert f'href="/stock/transfers/{id}"' in lines
    assert "No movement matches" in client.get(f"/stock/movements?sku={name}&to=2001-01-01").text
    assert client.get("/stock/movements?sku=NO").status_code == 422
    assert client.get("/stock/movements?from=soon").status_code == 422


def test_a_count_is_blind_until_its_differences_are_asked_for(site: Site, client: httpx.Client) -> None:
    main, _ = other(client, site)
    (a, first), (_, second) = sku(site, 6), sku(site, 7)
    post(client, f"/stock/{a}/on-hand", on_hand=41, reason="count")
    id = id_in(post(client, "/stock/counts", location=main, skus=f"{first}\n{second}"))
    page = client.get(f"/stock/counts/{id}").text
    assert f'name="counted_{a}"' in page
    assert ">41<" not in page
    assert client.get(f"/stock/counts/{id}/lines.csv").text.splitlines()[0] == "sku,title,counted"
    assert "Write at least one count" in post(client, f"/stock/counts/{id}/record").text
    post(client, f"/stock/counts/{id}/record", **{f"counted_{a}": "40", "lines": f"{second} 0"})
    differences = client.get(f"/stock/counts/{id}?only=differences").text
    assert ">41<" in differences
    assert "−1" in differences
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    upload = {"file": ("c.csv", f"sku,counted\n{first},39\nNO,1\n".encode(), "text/csv")}
    read = client.post(f"/stock/counts/{id}/file", data={"csrf_token": token[1]}, files=upload)
    assert "There is no variant with this SKU." in read.text
    assert "Taken over" in post(client, f"/stock/counts/{id}/confirm").text
    assert f'data-live="on_hand:{a}">39<' in client.get(f"/stock/{a}").text
    assert post(client, f"/stock/counts/{id}/cancel").status_code == 422


def test_goods_are_bought_and_come_in(site: Site, client: httpx.Client) -> None:
    main, _ = other(client, site)
    variant_id, name = sku(site, 8)
    seller = supplier(client, "Acme & Sons")
    assert "must be an amount" in post(client, f"/stock/suppliers/{seller}/item", sku=name, cost="x").text
    sold = post(client, f"/stock/suppliers/{seller}/item", sku=name, cost="2.50", pack_units=6, preferred=1)
    assert "2.50" in sold.text
    assert "Preferred" in sold.text
    order = {"supplier": seller, "location": main, "lines": f"{name} 12"}
    id = id_in(post(client, "/stock/purchase-orders", **order))
    assert "30.00" in client.get(f"/stock/purchase-orders/{id}").text
    changed = post(client, f"/stock/purchase-orders/{id}/lines", lines=f"{name}; 10; 3.00")
    assert f"{name}; 10; 3.00" in changed.text
    assert "Ordered" in post(client, f"/stock/purchase-orders/{id}/order", expected_on="2031-01-01").text
    file = list(csv.DictReader(io.StringIO(client.get(f"/stock/purchase-orders/{id}/lines.csv").text)))
    assert [(row["sku"], row["quantity"], row["cost"]) for row in file] == [(name, "10", "3.00")]
    form = {f"received_{variant_id}": "4", f"damaged_{variant_id}": "5", "do": "some"}
    assert post(client, f"/stock/purchase-orders/{id}/receive", **form).status_code == 409
    assert "Received" in post(client, f"/stock/purchase-orders/{id}/receive", do="all").text
    dropped = post(client, f"/stock/suppliers/{seller}/drop", variant_id=variant_id)
    assert "Say which SKUs it sells" in dropped.text
    rest = {"name": "Acme & Sons", "lead_time_days": 9}
    assert "Out of use" in post(client, f"/stock/suppliers/{seller}/change", **rest).text


def test_what_is_low_is_suggested_and_bought(site: Site, client: httpx.Client) -> None:
    main, _ = other(client, site)
    variant_id, name = sku(site, 9)
    seller = supplier(client, "Bolt")
    post(client, f"/stock/suppliers/{seller}/item", sku=name, pack_units=10)
    post(client, f"/stock/{variant_id}/on-hand", on_hand=2, reason="count")
    assert (
        post(client, f"/stock/{variant_id}/reorder-rule", location_id=main, point=99999999, max_level=5).status_code
        == 422
    )
    shown = post(client, f"/stock/{variant_id}/reorder-rule", location_id=main, point=900, max_level=1000).text
    assert "at 900, up to 1,000" in shown
    assert "999 units" in post(client, f"/stock/{variant_id}/low-at", low_at=999).text
    post(client, f"/stock/{variant_id}/low-at", low_at=998, **{"for": "product"})
    whole = post(client, f"/stock/{variant_id}/low-at", low_at="").text
    assert re.search(r"998 units <span[^>]*>\(as its product\)", whole)
    assert "(as the shop)" in post(client, f"/stock/{variant_id}/low-at", low_at="", **{"for": "product"}).text
    assert "999 units" in post(client, f"/stock/{variant_id}/low-at", low_at=999).text

    async def look() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            await stock.StockWatch().look(tx, [variant_id])

    site.run(look())
    low = client.get("/stock/reorder?show=low").text
    assert name in low
    seen = re.search(r"/stock/alerts/[0-9a-f-]{36}/seen", low)
    assert seen
    assert "Ana Costa" in post(client, seen[0]).text
    suggested = client.get("/stock/reorder").text
    assert "Bolt sells packs of 10" in suggested
    assert "Tick what to buy" in post(client, "/stock/reorder/buy").text
    found = re.search(r'name="suggestion" value="([0-9a-f-]{36})"', suggested)
    assert found
    bought = post(client, "/stock/reorder/buy", suggestion=found[1])
    assert "Purchase order P-" in bought.text
    assert post(client, f"/stock/reorder/{found[1]}/dismiss").status_code == 409


def test_a_shortage_is_remedied(site: Site, client: httpx.Client) -> None:
    variant_id, name = sku(site, 10)
    seller = supplier(client, "Crate")

    async def oversell() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            await stock.claim_sales(tx, [SaleClaim(new_id(), variant_id, 1_000_000)], actor="test")

    site.run(oversell())
    page = client.get("/stock/shortages").text
    assert "Give the sale up" in page
    row = re.search(rf">{name}<.*?action=\"(/stock/shortages/[0-9a-f-]+/remedy)\"", page, re.DOTALL)
    assert row
    assert "Choose what to do" in post(client, row[1], remedy="odd").text
    assert "Purchase order" in post(client, row[1], remedy=f"purchase:{seller}").text
    assert "was made already" in post(client, row[1], remedy=f"purchase:{seller}").text
    assert post(client, row[1], remedy="cancel", note="buyer agreed").status_code == 200
    assert "buyer agreed" in client.get("/stock/shortages?state=closed").text


def test_a_bundle_and_damaged_units(site: Site, client: httpx.Client) -> None:
    main, _ = other(client, site)
    variant_id, name = sku(site, 11)
    post(client, f"/stock/{variant_id}/on-hand", on_hand=5000, reason="count")
    post(client, f"/stock/{variant_id}/damaged", location_id=main, damaged=7, note="wet carton")
    assert "wet carton" in client.get(f"/stock/{variant_id}").text
    assert "(7 of 5,000)" in client.get(f"/stock/{variant_id}").text
    bundle, _ = sku(site, 12)
    refused = post(client, f"/stock/{bundle}/bundle", lines=f"{name} 2")
    if refused.status_code == 409:
        assert "stock, claims or shortages of its own" in refused.text
    assert post(client, f"/stock/{variant_id}/bundle", lines=f"{name} 2").status_code in (409, 422)


def test_a_file_is_looked_at_and_then_taken(site: Site, client: httpx.Client) -> None:
    variant_id, name = sku(site, 13)
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/stock/files").text)
    assert token
    form = {"csrf_token": token[1], "kind": "stock", "do": "look"}
    file = {"file": ("s.csv", f"sku,on_hand\n{name},777\nNO,1\n".encode(), "text/csv")}
    looked = client.post("/stock/files", data=form, files=file).text
    assert "This would take 1 of 2 rows" in looked
    assert ">777<" not in client.get(f"/stock/{variant_id}").text
    assert "Taken: 1 of 2 rows" in client.post("/stock/files", data={**form, "do": "import"}, files=file).text
    assert ">777<" in client.get(f"/stock/{variant_id}").text
    wrong = client.post("/stock/files", data=form, files={"file": ("s.csv", b"a,b\n1,2\n", "text/csv")})
    assert (wrong.status_code, "needs the columns sku" in wrong.text) == (422, True)


def test_every_list_is_a_file(client: httpx.Client) -> None:
    for name in ("stock", "locations", "movements", "shortages", "low-stock", "reorder-suggestions", "transfers",
                 "counts", "suppliers", "purchase-orders"):  # fmt: skip
        answer = client.get(f"/stock/export/{name}.csv")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert len(list(csv.reader(io.StringIO(answer.text)))) >= 1
    for path in ("", "/movements", "/locations", "/counts", "/transfers", "/suppliers", "/purchase-orders", "/shortages",
                 "/reorder", "/reorder?show=low", "/simulations"):  # fmt: skip
        assert re.search(r'class="btn" href="[^"]+\.csv', client.get(f"/stock{path}").text), path
    assert client.get("/stock/export/odd.csv").status_code == 404
    assert client.get("/stock/movements.csv?kind=count").text.count("\n") >= 2


ORDERS = "time,sku,quantity,channel,price\n" + "".join(
    f"2026-03-{day:02}T10:00:00Z,A,{day % 3 + 1},{'ab'[day % 2]},10\n" for day in range(1, 29)
)


def upload(client: httpx.Client, path: str, name: str, text: str, **form: object) -> httpx.Response:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert token
    return client.post(path, data={"csrf_token": token[1], **form}, files={"file": (name, text.encode(), "text/csv")})


def work(site: Site, kind: JobKind[Any], handler: Any, job_id: UUID) -> None:
    assert site.database
    assert site.organisation_id
    site.run(jobs.perform(site.database, kind, handler, site.organisation_id, job_id))


def test_a_large_stock_file_goes_on_in_the_background(site: Site, client: httpx.Client) -> None:
    _, name = sku(site, 14)
    text = f"sku,on_hand\n{name},55\n" + "NO,1\n" * 20_500
    page = upload(client, "/stock/files", "big.csv", text, kind="stock", do="look")
    assert "Waits for a worker" in page.text
    assert 'hx-trigger="every 1s"' in page.text
    path = page.url.path
    assert f'href="{path}"' in client.get("/jobs").text
    assert "Stock file" not in client.get(path, headers={"HX-Request": "true"}).text
    work(site, STOCK_FILE, take_file_in, UUID(id_in(page)))
    done = client.get(path).text
    assert "This would take 1 of 20,501 rows" in done
    assert "Rows with a fault: 20,500" in done
    assert done.count("There is no variant with this SKU.") == 100
    assert len(client.get(f"{path}/problems.csv").text.splitlines()) == 20_501
    assert "This would take" in post(client, f"{path}/cancel").text
    waiting = upload(client, "/stock/files", "big.csv", text, kind="stock", do="import")
    stopped = post(client, f"{waiting.url.path}/cancel")
    assert "It was stopped." in stopped.text
    assert client.get(f"/stock/files/{new_id()}").status_code == 404


def test_past_orders_are_simulated(site: Site, client: httpx.Client) -> None:
    form = {"source": "new", "lags": "60s, 15min", "cover": "7", "every": "7", "margin": "30", "oversell_cost": "10",
            "channels": "a=1", "policy": ["equal", "risk", "pool"], "title": "March <b>"}  # fmt: skip
    refused = upload(client, "/stock/simulations", "m.csv", ORDERS, **{**form, "lags": "soon"})
    assert (refused.status_code, "is not a time" in refused.text) == (422, True)
    # What was typed is still there.
    assert 'value="soon"' in refused.text
    assert 'value="risk" checked' in refused.text
    assert 'value="demand" checked' not in refused.text
    assert "lacks columns" in upload(client, "/stock/simulations", "m.csv", "a,b\n", **form).text
    none = post(client, "/stock/simulations", source="new", lags="60s")
    assert "Choose a file first." in none.text
    page = upload(client, "/stock/simulations", "m.csv", ORDERS, **form)
    assert "March &lt;b&gt;" in page.text
    assert "Waits for a worker" in page.text
    path = page.url.path
    assert site.organisation_id
    assert site.database

    async def job() -> UUID:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            view = await simulations.detail(tx, UUID(path.rpartition("/")[2]))
            assert view.job
            return view.job.id

    job_id = site.run(job())
    assert client.get(f"/stock/simulations/job/{job_id}").url.path == path
    work(site, allocation.SIMULATION, allocation.simulator(orders.past_lines), job_id)
    done = client.get(path).text
    for part in ("28 lines of 1 SKUs on a, b", "Comparison", "Clairvoyant", "15min", ">Best</span>", "100.00%"):
        assert part in done
    assert 'hx-trigger="every 1s"' not in done
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", done)
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}/results.csv").text)))
    assert [row["policy"] for row in table] == ["equal", "risk", "pool"] * 2
    again = client.get(f"/stock/simulations?again={path.rpartition('/')[2]}").text
    assert 'value="60s, 15min"' in again
    assert 'value="risk" checked' in again
    assert 'value="performance" checked' not in again
    assert "m.csv, of" in again
    # The hub's own orders, which these tests wrote.
    own = post(client, "/stock/simulations", **{**form, "source": "own", "policy": "equal", "title": ""})
    job_id_of_own = UUID(own.url.path.rpartition("/")[2])
    stopped = post(client, f"/stock/simulations/{job_id_of_own}/stop")
    assert "It was stopped." in stopped.text
    assert "Cancelled</span>" in client.get("/stock/simulations").text
    assert "Deleted" not in post(client, f"/stock/simulations/{job_id_of_own}/delete").text
    assert client.get(own.url.path).status_code == 404
    assert "March &lt;b&gt;" in client.get("/stock/simulations").text


def test_locations_are_tried_side_by_side(site: Site, client: httpx.Client) -> None:
    if "Far store" not in client.get("/stock/locations").text:
        post(client, "/stock/locations", name="Far store", kind="store")
    empty = client.get("/stock/simulations").text
    far = re.search(r'value="without:([0-9a-f-]{36})"> Without Far store', empty)
    other = re.search(r'value="only:([0-9a-f-]{36})"> Only (?!Far store)', empty)
    assert far
    assert other
    assert 'value="all" checked' in empty
    form = {"source": "new", "lags": "60s", "cover": "7", "every": "7", "margin": "30", "oversell_cost": "10", "channels": "a=1",
            "policy": ["pool"], "title": "Places", "choice": ["all", f"without:{far[1]}", "move"],
            "send": ["priority", "nearest"], "move_part": "50", "move_from": other[1], "move_to": far[1], "move_once": "1",
            f"country:{far[1]}": "PT", f"coordinates:{far[1]}": "38.7, -9.1", f"country:{other[1]}": "DE"}  # fmt: skip
    data = ORDERS.replace("channel", "channel,country", 1).replace(",a", ",a,PT").replace(",b", ",b,DE")
    for change, words in (
        ({f"coordinates:{far[1]}": "north"}, "are no coordinates"),
        ({"move_to": other[1]}, "not to the same"),
        ({"move_part": "half"}, "must be a number"),
        ({"choice": [f"only:{new_id()}"]}, "not in use any more"),
    ):
        refused = upload(client, "/stock/simulations", "m.csv", data, **{**form, **change})
        assert (refused.status_code, words in refused.text) == (422, True), words
    assert 'value="PT"' in refused.text
    page = upload(client, "/stock/simulations", "m.csv", data, **form)
    path = page.url.path
    assert site.database

    async def job() -> UUID:
        assert site.database
        assert site.organisation_id
        async with site.database.transaction(site.organisation_id) as tx:
            view = await simulations.detail(tx, UUID(path.rpartition("/")[2]))
            assert view.job
            return view.job.id

    work(site, allocation.SIMULATION, allocation.simulator(orders.past_lines), site.run(job()))
    done = client.get(path).text
    for part in (
        "Orders split",
        "Without Far store, sent from the nearest",
        "At 60s pool with “",
        "at first",
    ):
        assert part in done
    # A clairvoyant for each of the six choices: each has the same stock as its choice.
    assert done.count("Clairvoyant</td>") == 6
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", done)
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}/results.csv").text)))
    assert len({row["locations"] for row in table}) == 6
    assert sum(int(row["parcels_told"]) for row in table) == sum(int(row["parcels"]) for row in table) > 0
    again = client.get(f"/stock/simulations?again={path.rpartition('/')[2]}").text
    for part in ('value="all" checked', f'value="without:{far[1]}" checked', 'value="move" checked', 'value="nearest" checked',
                 'value="38.7, -9.1"', 'name="move_once" value="1" checked', f'value="{far[1]}" selected'):  # fmt: skip
        assert part in again
    assert f'value="only:{far[1]}" checked' not in again


def test_a_simulation_that_fails_says_why(site: Site, client: httpx.Client) -> None:
    form = {"source": "new", "lags": "60s", "cover": "7", "every": "7", "margin": "30", "oversell_cost": "10",
            "channels": "a=1", "policy": ["equal"]}  # fmt: skip
    page = upload(client, "/stock/simulations", "m.csv", "time,sku,quantity\n2026-01-01,A,two\n", **form)
    assert site.database

    async def run() -> None:
        assert site.database
        assert site.organisation_id
        async with site.database.transaction(site.organisation_id) as tx:
            view = await simulations.detail(tx, UUID(page.url.path.rpartition("/")[2]))
        assert view.job
        handler = allocation.simulator(orders.past_lines)
        await jobs.perform(site.database, allocation.SIMULATION, handler, site.organisation_id, view.job.id)

    site.run(run())
    held = client.get(page.url.path).text
    assert "m.csv, line 2: quantity &#39;two&#39; is not a whole number." in held
    assert "Run it again" in held


def test_demand_is_worked_out_on_request(client: httpx.Client) -> None:
    assert "worked out each night" in client.get("/stock/reorder").text
    assert post(client, "/stock/reorder/forecast").status_code == 200
    assert "Demand forecast" in client.get("/jobs").text


def test_holds_are_found_extended_and_released(client: httpx.Client, site: Site) -> None:
    variant, name = sku(site, 2)
    location, _ = other(client, site)
    holds = [
        Hold(new_id(), (ClaimLine(variant, units),), utc_now() + timedelta(minutes=9), "test") for units in (1, 2, 3)
    ]

    async def place() -> None:
        assert site.database
        async with site.database.transaction(site.organisation_id) as tx:
            change = stock.StockChange(variant, "test", on_hand=50, location_id=UUID(location))
            await stock.change_on_hand(tx, [change], kind="count", actor="test")
            for each in holds:
                assert await stock.place_holds(tx, [each]) == [None]

    site.run(place())
    held = client.get("/stock", params={"q": name}).text
    assert re.search(r'href="/stock/holds\?sku=[^"]+">held 6', held)
    page = client.get("/stock/holds", params={"sku": name}).text
    assert all(str(each.id) in page for each in holds)
    assert len(re.findall("<time data-left", page)) == 3
    assert str(holds[1].id) in client.get("/stock/holds", params={"reference": str(holds[1].id)}).text
    assert str(holds[0].id) not in client.get("/stock/holds", params={"reference": str(holds[1].id)}).text
    assert "No hold is like that" in client.get("/stock/holds", params={"sku": name, "by": "nobody"}).text
    assert str(holds[0].id) in client.get("/stock/holds", params={"sku": name, "by": "test"}).text
    wrong = client.get("/stock/holds", params={"reference": "odd"})
    assert wrong.status_code == 422
    assert "is not the id of a hold" in wrong.text
    rows = list(csv.DictReader(io.StringIO(client.get("/stock/holds.csv", params={"sku": name}).text)))
    assert [(row["sku"], row["quantity"], row["state"], row["made_by"]) for row in rows] == [
        (name, quantity, "open", "test") for quantity in "123"
    ]

    refused = post(client, "/stock/holds", do="extend", minutes=5)
    assert refused.status_code == 409
    assert "Tick the holds" in refused.text
    assert "from 1 to" in post(client, "/stock/holds", do=f"extend:{holds[0].id}", minutes=0).text
    assert post(client, "/stock/holds", do=f"extend:{holds[0].id}", minutes=60).status_code == 200
    first = list(csv.DictReader(io.StringIO(client.get("/stock/holds.csv", params={"sku": name}).text)))[-1]
    assert first["hold"] == str(holds[0].id)
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings").text)
    assert token
    many = {"csrf_token": token[1], "do": "release", "hold": [str(holds[1].id), str(holds[2].id)]}
    assert client.post("/stock/holds", data=many).status_code == 200
    assert post(client, "/stock/holds", do=f"release:{holds[1].id}").status_code == 200
    page = client.get("/stock/holds", params={"sku": name, "state": "released"}).text
    assert str(holds[1].id) in page
    assert str(holds[0].id) not in page
    assert str(holds[0].id) in client.get("/stock/holds", params={"sku": name}).text
    post(client, "/stock/holds", do=f"release:{holds[0].id}")
