"""Simulations over HTTP."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from tests.api.support import check_problem
from tests.orders.support import make_connection, make_variants

from entrepot.allocation import facade as allocation
from entrepot.allocation.facade import SIMULATION
from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders

FORECASTER = partial(allocation.forecast, count_sales=orders.count_sales)
FILE = "time,sku,quantity,channel,price\n" + "".join(
    f"2026-03-{day:02}T10:00:00Z,A,{day % 3 + 1},{'ab'[day % 2]},10\n" for day in range(1, 29)
)


async def start(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    body = {"policies": ["equal", "pool", "now"], "lagsS": [60, 900], **more}
    answer = await client.post("/v1/simulations", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()["simulation"]
    return found


async def test_a_simulation_is_started_followed_compared_and_deleted(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    kept = await client.post("/v1/order-files", json={"name": "march.csv", "data": FILE})
    assert kept.status_code == 201
    file_id = kept.json()["orderFiles"][0]["id"]
    made = await start(client, source="file", fileId=file_id, title="March", coverDays=7, everyDays=7)
    assert (made["state"], made["title"], made["fileName"], made["outcomes"]) == ("queued", "March", "march.csv", [])
    assert made["settings"]["policies"][2]["strategy"] == "fixed_shares"
    check_problem(await client.delete(f"/v1/simulations/{made['id']}"), 409, "still-running")
    handler = allocation.simulator(orders.past_lines)
    await jobs.perform(database, SIMULATION, handler, organisation_id, UUID(made["job"]["id"]))
    done = (await client.get(f"/v1/simulations/{made['id']}")).json()["simulation"]
    assert (done["state"], done["found"]["lines"], len(done["outcomes"])) == ("done", 28, 6)
    best = [each for each in done["outcomes"] if each["best"]]
    assert {each["lagS"] for each in best} == {60, 900}
    assert all(each["lost"] == each["clairvoyantSold"] - each["sold"] for each in done["outcomes"])
    table = await client.get(f"/v1/simulations/{made['id']}/results")
    assert table.headers["content-type"].startswith("text/csv")
    assert [row["policy"] for row in csv.DictReader(io.StringIO(table.text))] == ["equal", "pool", "now"] * 2
    listed = (await client.get("/v1/simulations")).json()["simulations"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert (await client.delete(f"/v1/simulations/{made['id']}")).status_code == 204
    assert (await client.get("/v1/order-files")).json()["orderFiles"] == []
    check_problem(await client.get(f"/v1/simulations/{made['id']}"), 404, "simulation-not-found")
    actions = [entry["action"] for entry in (await client.get("/v1/audit")).json()["entries"]]
    assert actions[:3] == ["simulation.delete", "simulation.start", "order-file.keep"]


async def test_one_is_stopped_and_sent_twice_is_started_once(client: httpx.AsyncClient) -> None:
    body = {"policies": [{"name": "mine", "strategy": "pool_minus_buffer", "parameters": {"buffer": 2}}], "lagsS": [5]}
    twice = [
        await client.post("/v1/simulations", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]  # fmt: skip
    assert twice[0].json() == twice[1].json()
    id = twice[0].json()["simulation"]["id"]
    stopped = (await client.post(f"/v1/simulations/{id}/cancel")).json()["simulation"]
    assert stopped["state"] == "cancelled"
    check_problem(await client.post(f"/v1/simulations/{id}/cancel"), 409, "job-has-ended")


async def test_locations_are_tried_side_by_side(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    await make_variants(database, organisation_id, {"A": 4})
    made = (await client.post("/v1/locations", json={"name": "South"})).json()["location"]
    first = next(each for each in (await client.get("/v1/locations")).json()["locations"] if each["id"] != made["id"])
    data = FILE.replace("price", "price,country").replace(",10\n", ",10,PT\n")
    kept = (await client.post("/v1/order-files", json={"name": "m.csv", "data": data})).json()["orderFiles"][0]["id"]
    tried = [
        {"name": "as it is"},
        {"name": "moved", "moves": [{"source": first["id"], "target": made["id"]}], "send": "nearest"},
        {"name": "nothing", "leftOut": [first["id"], made["id"]]},
    ]
    where = [{"locationId": first["id"], "country": "DE"}, {"locationId": made["id"], "country": "PT"}]
    begun = await start(
        client, source="file", fileId=kept, policies=["pool"], lagsS=[60], locations=tried, whereabouts=where
    )
    handler = allocation.simulator(orders.past_lines)
    await jobs.perform(database, SIMULATION, handler, organisation_id, UUID(begun["job"]["id"]))
    done = (await client.get(f"/v1/simulations/{begun['id']}")).json()["simulation"]
    stays, moved, nothing = done["outcomes"]
    assert [each["locations"] for each in done["outcomes"]] == ["as it is", "moved", "nothing"]
    assert stays["parcels"] == stays["parcelsAbroad"] == stays["parcelsTold"] == moved["parcels"] > 0
    assert (moved["parcelsAbroad"], nothing["sold"], nothing["clairvoyantSold"], nothing["parcels"]) == (0, 0, 0, 0)
    assert done["conclusions"][0].startswith("At 60s pool with “moved” earns most")
    for body in (
        {"locations": [{"name": "x", "leftOut": [str(new_id())]}]},
        {"locations": [{"name": "x"}, {"name": "x"}]},
    ):
        answer = await client.post("/v1/simulations", json={"policies": ["pool"], "lagsS": [60], **body})
        check_problem(answer, 422, "invalid-location-choice")


async def test_what_makes_no_sense_is_said(client: httpx.AsyncClient) -> None:
    async def refused(**body: Any) -> str:
        answer = await client.post("/v1/simulations", json={"policies": ["equal"], "lagsS": [60], **body})
        assert answer.status_code == 422, answer.text
        return str(answer.json()["detail"])

    assert "no policy 'guess'" in await refused(policies=["guess"])
    odd = {"name": "a", "strategy": "rules", "parameters": {"rules": [{"if": {}}]}}
    assert "does nothing" in await refused(policies=[odd])
    assert "There is no strategy" in await refused(policies=[{"name": "a", "strategy": "odd"}])
    assert "Send `fileId`" in await refused(source="file")
    assert "is not a date" in await refused(since="soon")
    missing = await client.post(
        "/v1/simulations", json={"source": "file", "fileId": str(new_id()), "policies": ["equal"], "lagsS": [60]}
    )
    check_problem(missing, 404, "order-file-not-found")
    wrong = await client.post("/v1/order-files", json={"name": "x.csv", "data": "a,b\n"})
    assert "lacks columns" in check_problem(wrong, 422, "unreadable-orders")["detail"]
    check_problem(await client.get(f"/v1/simulations/{new_id()}/results"), 404, "simulation-not-found")


async def test_a_large_stock_file_is_a_job(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    from entrepot.stock.files import SMALL, STOCK_FILE, take_file_in

    data = "sku,on_hand\nNO,1\n" + ",\n" * SMALL
    taken = await client.post("/v1/stock-files", json={"kind": "stock", "data": data, "name": "big.csv"})
    assert taken.status_code == 202
    id = taken.json()["job"]["id"]
    await jobs.perform(database, STOCK_FILE, take_file_in, organisation_id, UUID(id))
    done = (await client.get(f"/v1/stock-files/{id}")).json()
    assert (done["rows"], done["done"], done["problemCount"], done["job"]["state"]) == (1, 0, 1, "done")
    faults = (await client.get(f"/v1/stock-files/{id}/problems")).text.splitlines()
    assert faults == ["row,sku,problem", "2,NO,There is no variant with this SKU."]
    again = (await client.post("/v1/stock-files", json={"kind": "stock", "data": data})).json()
    stopped = (await client.post(f"/v1/stock-files/{again['job']['id']}/cancel")).json()
    assert stopped["job"]["state"] == "cancelled"
    check_problem(await client.get(f"/v1/stock-files/{new_id()}"), 404, "job-not-found")


async def test_demand_is_forecast_on_request(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    skus = await make_variants(database, organisation_id, {"A": 5, "B": 5})
    shop = await make_connection(database, organisation_id)
    today = utc_now().date()
    async with database.transaction(organisation_id) as tx:
        await tx.execute_many(
            "insert into sales_day (organisation_id, variant_id, connection_id, day, units) values ($1, $2, $3, $4, 2)",
            [(organisation_id, skus["A"], shop, today - timedelta(days=n)) for n in range(1, 41)],
        )
    first, second = [(await client.post("/v1/forecasts")).json()["job"] for _ in range(2)]
    assert (first["kind"], second) == ("forecast", None)
    await jobs.perform(database, allocation.FORECAST, FORECASTER, organisation_id, UUID(first["id"]))
    found = (await client.get(f"/v1/stock/{skus['A']}/forecast")).json()["forecast"]
    assert (found["days"], found["meanADay"], found["madeOn"]) == (40, 2.0, today.isoformat())
    assert found["listings"] == [{"connectionId": str(shop), "unitsIn30Days": 60.0, "days": 40}]
    check_problem(await client.get(f"/v1/stock/{skus['B']}/forecast"), 404, "no-forecast")
