"""Background jobs and imports over HTTP."""

from __future__ import annotations

from uuid import UUID

import httpx
from tests.api.support import check_problem
from tests.jobs.worker_process import COUNT, Count

from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.sync.importing import PRODUCT_IMPORT, SMALL, import_products


async def test_a_large_file_becomes_a_job_that_is_seen_and_stopped(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    text = "sku,title,price\nA,Cup,1\n,No SKU,1\n" + ",,\n" * (SMALL // 3)
    answers = [await client.post("/v1/products/import", json={"source": "csv", "data": text}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    first, second = (answer.json()["job"] for answer in answers)
    assert (first["state"], first["kind"], answers[0].json()["import"]["created"]) == ("queued", "product-import", 0)
    stats = (await client.get("/multi-channel/queue/stats")).json()["queues"]
    assert stats["product-import"] == {"waiting": 2, "active": 0, "parked": 0}
    stopped = (await client.post(f"/v1/imports/{second['id']}/cancel")).json()["job"]  # A job's id will do.
    assert stopped["state"] == "cancelled"
    check_problem(await client.post(f"/v1/imports/{second['id']}/cancel"), 409, "job-has-ended")
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, UUID(first["id"]))
    done = (await client.get(f"/v1/imports/{first['id']}")).json()
    assert (done["job"]["state"], done["import"]["created"], done["import"]["problemCount"]) == ("done", 1, 1)
    assert done["import"]["problems"] == [
        {"row": 3, "sku": "", "problem": "The SKU is missing.", "column": "sku", "value": "",
         "remedy": "Write the SKU of the variant."}
    ]  # fmt: skip
    listed = (await client.get("/v1/jobs", params={"state": "cancelled"})).json()["jobs"]
    assert [job["id"] for job in listed] == [second["id"]]
    stats = (await client.get("/v1/queues")).json()["queues"]
    assert stats["product-import"] == {"waiting": 0, "active": 0, "parked": 0}


async def test_a_held_job_is_counted_retried_and_dismissed(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    async def bad(run: object) -> dict[str, object]:
        raise InvalidInput("Not so.")

    async with database.transaction(organisation_id) as tx:
        job_id = await jobs.enqueue(tx, COUNT, Count(), actor="Ann")
    path = f"/v1/jobs/{job_id}"
    check_problem(await client.post(f"{path}/retry"), 409, "job-not-held")
    for verb, state in (("retry", "queued"), ("dismiss", "dismissed")):
        assert await jobs.perform(database, COUNT, bad, organisation_id, job_id) is jobs.Outcome.HELD
        held = (await client.get(path)).json()["job"]
        assert (held["state"], held["error"], held["result"]) == ("held", "Not so.", None)
        assert (await client.get("/v1/queues")).json()["queues"][COUNT.name]["parked"] == 1
        assert (await client.get("/v1/status")).json()["needsAttention"]["jobs"] == 1
        assert (await client.post(f"{path}/{verb}")).json()["job"]["state"] == state
    actions = [entry["action"] for entry in (await client.get("/v1/audit")).json()["entries"]]
    assert actions[:2] == ["job.dismiss", "job.retry"]
    check_problem(await client.get(f"/v1/imports/{job_id}"), 404, "import-not-found")
    check_problem(await client.get(f"/v1/jobs/{new_id()}"), 404, "job-not-found")
