"""Conflicts over HTTP: the queue, deciding, undoing, policies, values of a listing's own; also under the older paths."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem
from tests.web.fill import Filled, fill
from tests.web.fill_conflicts import add_conflicts

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


@pytest.fixture
async def filled(database: Database, organisation_id: UUID) -> Filled:
    found = await fill(database, organisation_id, products=15, orders=1)
    await add_conflicts(database, organisation_id, found)
    return found


async def queue(client: httpx.AsyncClient, path: str = "/v1/conflicts", **parameters: Any) -> list[dict[str, Any]]:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conflicts"]
    return found


async def test_the_queue_is_the_riskiest_first_and_narrowed(client: httpx.AsyncClient, filled: Filled) -> None:
    whole = await client.get("/v1/conflicts")
    rows = whole.json()["conflicts"]
    assert [row["risk"] for row in rows] == sorted((row["risk"] for row in rows), reverse=True)
    assert whole.json()["count"] == len(rows) == 9
    assert whole.json()["groups"][0]["field"] == "price"
    assert {row["field"] for row in await queue(client, kind="content")} == {"title", "tags"}
    assert await queue(client, "/multi-channel/conflicts", field="title") == await queue(client, field="title")
    first = (await client.get("/v1/conflicts", params={"limit": 4})).json()
    rest = await queue(client, cursor=first["nextCursor"], limit=200)
    assert [row["id"] for row in first["conflicts"] + rest] == [row["id"] for row in rows]
    text = (await client.get("/v1/conflicts", params={"format": "csv"})).text
    assert len(text.splitlines()) == 10
    check_problem(await client.get(f"/v1/conflicts/{new_id()}"), 404, "conflict-not-found")


async def test_decided_once_whatever_is_sent_twice(client: httpx.AsyncClient, filled: Filled) -> None:
    [row] = await queue(client, field="tags")
    path = f"/multi-channel/conflicts/{row['id']}/resolve"
    moved = {"side": "ours", "seen": "2030-01-01T00:00:00Z"}
    check_problem(await client.post(path, json=moved), 409, "conflict-moved")
    check_problem(await client.post(path, json={"side": "left"}), 422, "invalid-request")
    decision = {"side": "value", "value": ["a", "b"], "seen": row["updatedAt"]}
    headers = {"Idempotency-Key": "once-and-for-all"}
    first = await client.post(path, json=decision, headers=headers)
    assert first.status_code == 200, first.text
    assert first.json()["conflict"]["resolution"]["value"] == ["a", "b"]
    again = await client.post(path, json=decision, headers=headers)
    assert again.json() == first.json()
    check_problem(await client.post(path, json=decision), 409, "conflict-over")
    undone = await client.post(f"/v1/conflicts/{row['id']}/undo")
    assert undone.json()["conflict"]["state"] == "gone"
    check_problem(await client.post(f"/v1/conflicts/{row['id']}/undo"), 409, "cannot-undo")


async def test_similar_ones_together(client: httpx.AsyncClient, filled: Filled) -> None:
    row = next(r for r in await queue(client, field="price") if r["why"] == "both_changed")
    answer = await client.post(f"/v1/conflicts/{row['id']}/resolve", json={"side": "theirs", "similar": True})
    assert [each["problem"] for each in answer.json()["results"]] == [""] * 6
    assert len(await queue(client, state="resolved")) == 6


async def test_policies(client: httpx.AsyncClient, filled: Filled) -> None:
    body = {"field": "price", "policy": "lowest", "swingPercent": "30"}
    set_ = await client.put("/v1/conflict-policies", json=body)
    assert set_.status_code == 200, set_.text
    [policy] = (await client.get("/v1/conflict-policies")).json()["policies"]
    assert (policy["field"], policy["policy"], policy["connectionId"]) == ("price", "lowest", None)
    wrong = {"field": "title", "policy": "lowest"}
    check_problem(await client.put("/v1/conflict-policies", json=wrong), 422, "policy-does-not-fit")
    check_problem(await client.put("/v1/conflict-policies", json={"field": "size"}), 422, "unknown-field")
    asked = {"field": "price", "policy": "mean"}
    preview = (await client.get("/v1/conflict-policies/preview", params=asked)).json()["preview"]
    assert (preview["openDecided"], preview["decided"], preview["weightOfOurs"]) == (6, 0, None)
    assert (await client.delete("/v1/conflict-policies", params={"field": "price"})).status_code == 204
    check_problem(await client.delete("/v1/conflict-policies", params={"field": "price"}), 404, "policy-not-found")


async def test_a_listing_may_have_a_value_of_its_own(client: httpx.AsyncClient, filled: Filled) -> None:
    [row] = await queue(client, field="title")
    path = f"/v1/listings/{row['subjectId']}/overrides/title"
    assert (await client.put(path, json={"value": "Only here"})).status_code == 204
    check_problem(await client.put(path, json={"value": ""}), 422, "invalid-input")
    assert (await client.delete(path)).status_code == 204
    check_problem(await client.put(f"/v1/listings/{new_id()}/overrides/title", json={"value": "x"}), 404, "not-found")
