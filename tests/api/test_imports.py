"""Products in and out over HTTP: every source, what is changed, files of it, export."""

from __future__ import annotations

import base64
import io
from functools import partial
from uuid import UUID

import httpx
from openpyxl import Workbook
from tests.api.support import check_problem
from tests.catalog.test_import_sources import SHOP, Shop
from tests.orders.support import make_connection
from tests.sync.channel import Wire

from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id
from entrepot.sync.importing import PRODUCT_IMPORT, ChannelListings, import_products

TEXT = "sku,title,price\nA,Cup,4.50\nB,Mug,x\n"


async def bulk(client: httpx.AsyncClient, source: str, data: object, **more: object) -> httpx.Response:
    return await client.post("/products/bulk-import", json={"source": source, "data": data, **more})


async def test_an_excel_file_is_sent_in_base64(client: httpx.AsyncClient) -> None:
    book = Workbook()
    assert book.active is not None
    for row in (["sku", "title", "price"], ["A", "Cup", 4.5]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    answer = await bulk(client, "excel", base64.b64encode(out.getvalue()).decode())
    assert answer.status_code == 200, answer.text
    report = answer.json()["import"]
    assert (report["created"], report["format"], report["stage"]) == (1, "simple excel", "applied")
    assert report["columns"] == [{"head": name, "meaning": name} for name in ("sku", "title", "price")]
    check_problem(await bulk(client, "excel", "%%%"), 422, "invalid-input")


async def test_a_supplier_s_price_list_is_taken_by_id_or_by_name(client: httpx.AsyncClient) -> None:
    await bulk(client, "csv", "sku,title,price,cost\nA,Cup,4.50,1\n")
    made = await client.post("/v1/suppliers", json={"name": "Mill", "currency": "EUR"})
    supplier = made.json()["supplier"]["id"]
    first = await bulk(client, "supplier", "sku,cost\nA,2\n", supplierId=supplier)
    assert (first.status_code, first.json()["import"]["updated"]) == (200, 1), first.text
    second = (await bulk(client, "supplier", "supplier,sku,cost\nMill,A,3\nX,A2,1\n")).json()["import"]
    assert (second["changed"], [p["problem"] for p in second["problems"]]) == (1, ["There is no supplier called 'X'."])
    check_problem(await bulk(client, "supplier", "sku,cost\nA,1\n"), 422, "unknown-format")
    check_problem(
        await bulk(client, "supplier", "sku,cost\nA,1\n", supplierId=str(new_id())), 404, "supplier-not-found"
    )
    assert (await bulk(client, "csv", TEXT, supplierId=supplier)).status_code == 422


async def test_a_dry_run_is_looked_into_and_then_done(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    looked = (await bulk(client, "csv", TEXT, dryRun=True)).json()
    path = f"/v1/imports/{looked['import']['id']}"
    changes = (await client.get(f"{path}/changes")).json()
    assert [(c["outcome"], c["handle"], c["changes"]) for c in changes["changes"]] == [("new", "a", [])]
    assert changes["nextAfter"] is None
    assert "Cup,new" in (await client.get(f"{path}/files/changes")).text
    assert "is not an amount" in (await client.get(f"{path}/files/problems")).text
    assert "B,Mug,x,3," in (await client.get(f"{path}/files/rows")).text
    check_problem(await client.get(f"{path}/files/other"), 422, "invalid-input")
    going = await client.post(f"{path}/apply")
    assert (going.status_code, going.json()["job"]["state"]) == (202, "queued")
    check_problem(await client.post(f"{path}/apply"), 409, "import-is-busy")
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, UUID(going.json()["job"]["id"]))
    done = (await client.get(path)).json()["import"]
    assert (done["stage"], done["new"], done["dryRun"]) == ("applied", 1, False)
    check_problem(await client.post(f"{path}/apply"), 409, "import-is-over")
    [listed] = (await client.get("/v1/imports")).json()["imports"]
    assert (listed["id"], listed["problems"], listed["problemCount"]) == (done["id"], [], 1)
    check_problem(await client.get(f"/v1/imports/{new_id()}"), 404, "import-not-found")


async def test_a_channel_is_read_by_a_worker(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    connection = await make_connection(database, organisation_id)
    answer = await client.post("/v1/imports/channel", json={"connectionId": str(connection), "dryRun": False})
    assert answer.status_code == 202, answer.text
    pages = ChannelListings(database, Wire(), lambda name: Shop(*SHOP))
    handler = partial(import_products, pages=pages)
    await jobs.perform(database, PRODUCT_IMPORT, handler, organisation_id, UUID(answer.json()["job"]["id"]))
    done = (await client.get(f"/v1/imports/{answer.json()['import']['id']}")).json()["import"]
    assert (done["stage"], done["new"], done["problemCount"]) == ("applied", 3, 1)
    check_problem(await client.get(f"/v1/imports/{done['id']}/files/rows"), 409, "not-a-table")
    check_problem(
        await client.post("/v1/imports/channel", json={"connectionId": str(new_id())}), 404, "connection-not-found"
    )


async def test_products_are_exported(client: httpx.AsyncClient) -> None:
    await bulk(client, "csv", TEXT)
    answer = await client.get("/v1/products/export", params={"format": "jsonl", "search": "Cup"})
    assert answer.headers["content-disposition"] == 'attachment; filename="products-jsonl.jsonl"'
    assert '"sku":"A"' in answer.text
    shop = await client.get("/v1/products/export")
    assert shop.text.startswith("Handle,Title,")
    check_problem(await client.get("/v1/products/export?format=pdf"), 422, "unknown-export")
    check_problem(await client.get("/v1/products/export?status=x"), 422, "invalid-input")
