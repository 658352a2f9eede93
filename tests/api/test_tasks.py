"""Tasks over HTTP: the older paths exactly as they are named, wrong roles and rubbish among it, and /v1/tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import PASSWORD, check_problem

from entrepot.api.dependencies import Services
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id

OLDER = "/orchestration/tasks"
FIELDS = {
    "id", "marketplace", "createdBy", "title", "description", "category", "status", "priority", "estimatedHours",
    "actualHours", "createdAt", "submittedAt", "approvedAt", "approvedBy", "startedAt", "completedAt", "assignedTo",
    "tags", "metadata",
}  # fmt: skip
NEW = {
    "marketplace": "amazon", "title": "Better titles", "description": "Say what it is first", "category": "optimization",
    "priority": "high", "estimatedHours": 4, "createdBy": "amazon-agent", "tags": ["seo"], "metadata": {"asin": "B01"},
}  # fmt: skip


@dataclass
class People:
    """Clients of each role, and the ids of the people behind them."""

    url: str
    admin: httpx.AsyncClient
    member: httpx.AsyncClient
    viewer: httpx.AsyncClient
    agent: httpx.AsyncClient
    nobody: httpx.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)

    async def create(self, **fields: Any) -> dict[str, Any]:
        answer = await self.agent.post(OLDER, json={**NEW, **fields})
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()["task"]
        return task

    async def approved(self, **fields: Any) -> dict[str, Any]:
        task = await self.create(**fields)
        answer = await self.admin.patch(f"{OLDER}/approve", json={"taskIds": [task["id"]], "approved": True})
        assert answer.json()["succeeded"] == 1, answer.text
        return task


@pytest.fixture
async def people(address: str, database: Database, organisation_id: UUID, services: Services) -> Any:
    ids: dict[str, str] = {}

    async def client(role: identity.Role) -> httpx.AsyncClient:
        email = f"{new_id()}@example.com"
        person = await identity.create_person(database, email, role.value.capitalize(), PASSWORD)
        await identity.add_membership(database, organisation_id, person.id, role)
        ids[role.value], ids[f"{role.value}_email"] = str(person.id), email
        made = httpx.AsyncClient(base_url=f"{address}/api", timeout=30)
        signed = await made.post("/v1/sign-in", json={"email": email, "password": PASSWORD})
        assert signed.status_code == 201, signed.text
        made.headers["Authorization"] = f"Bearer {signed.json()['token']}"
        return made

    token = await identity.create_agent_token(database, identity.system_actor(organisation_id), "amazon")
    agent = httpx.AsyncClient(base_url=f"{address}/api", timeout=30)
    agent.headers["Authorization"] = f"Bearer {token.secret}"
    made = People(
        address, await client(identity.Role.ADMIN), await client(identity.Role.MEMBER), await client(identity.Role.VIEWER),
        agent, httpx.AsyncClient(base_url=f"{address}/api", timeout=30), ids,
    )  # fmt: skip
    yield made
    for each in (made.admin, made.member, made.viewer, made.agent, made.nobody):
        await each.aclose()


async def test_an_agent_creates_a_task(people: People) -> None:
    task = await people.create()
    assert task.keys() >= FIELDS
    assert {name: task[name] for name in NEW} == NEW
    assert (task["status"], task["approvedAt"], task["assignedTo"]) == ("awaiting_approval", None, None)
    assert task["submittedAt"]
    assert isinstance(task["estimatedHours"], float)


async def test_a_task_from_start_to_end(people: People) -> None:
    task = await people.create()
    decided = await people.admin.patch(f"{OLDER}/approve", json={"taskIds": [task["id"]], "approved": True})
    assert decided.status_code == 200
    (result,) = decided.json()["results"]
    assert (result["taskId"], result["success"], result["status"]) == (task["id"], True, "approved")
    assigned = await people.admin.patch(
        f"{OLDER}/assign", json={"taskId": task["id"], "assignedTo": people.ids["member_email"]}
    )
    body = assigned.json()["task"]
    assert (body["status"], body["assignedTo"]) == ("in_progress", people.ids["member_email"])
    assert body["startedAt"]
    assert body["approvedBy"] == people.ids["admin"]
    done = await people.member.patch(
        f"{OLDER}/complete", json={"taskId": task["id"], "actualHours": 5, "notes": "Took a while"}
    )
    assert done.status_code == 200, done.text
    body = done.json()["task"]
    assert (body["status"], body["actualHours"], body["timeAccuracy"]) == ("completed", 5.0, 80.0)
    assert body["completedAt"]


ROLES: tuple[tuple[str, str, Callable[[str], Any], dict[str, int]], ...] = (
    ("POST", "", lambda id: NEW, {"nobody": 401, "viewer": 403, "member": 403, "admin": 403, "agent": 201}),
    ("GET", "", lambda id: None, {"nobody": 401, "viewer": 200, "member": 200, "admin": 200}),
    ("PATCH", "/approve", lambda id: {"taskIds": [id], "approved": True},
     {"nobody": 401, "viewer": 403, "member": 403, "agent": 403, "admin": 200}),
    ("PATCH", "/approve", lambda id: {"taskIds": [id], "approved": False, "reason": "No"},
     {"nobody": 401, "viewer": 403, "member": 403, "agent": 403, "admin": 200}),
    ("PATCH", "/assign", lambda id: {"taskId": id, "assignedTo": "x@example.com"},
     {"nobody": 401, "viewer": 403, "member": 403, "agent": 403, "admin": 409}),
    ("PATCH", "/complete", lambda id: {"taskId": id, "actualHours": 1},
     {"nobody": 401, "viewer": 403, "member": 403, "agent": 403, "admin": 409}),
)  # fmt: skip


async def test_each_role_may_what_it_may_and_no_more(people: People) -> None:
    for method, path, body, expected in ROLES:
        for role, status in expected.items():
            task = await people.create()
            client: httpx.AsyncClient = getattr(people, role)
            answer = await client.request(method, f"{OLDER}{path}", json=body(task["id"]))
            assert answer.status_code == status, (method, path, role, answer.text)
            if status in (401, 403):
                assert answer.headers["content-type"] == "application/problem+json"
                left = (await people.admin.get(f"/v1/tasks/{task['id']}")).json()["task"]
                assert (left["status"], left["version"]) == ("awaiting_approval", 2)


async def test_only_the_assignee_or_an_admin_completes(people: People) -> None:
    task = await people.approved()
    assignment = {"taskId": task["id"], "assignedTo": people.ids["admin"]}
    assert (await people.admin.patch(f"{OLDER}/assign", json=assignment)).status_code == 200
    completion = {"taskId": task["id"], "actualHours": 2}
    check_problem(await people.member.patch(f"{OLDER}/complete", json=completion), 403, "not-your-move")
    other = await people.admin.patch(f"{OLDER}/assign", json={**assignment, "assignedTo": people.ids["member"]})
    assert other.json()["task"]["status"] == "in_progress"
    assert (await people.admin.patch(f"{OLDER}/complete", json=completion)).json()["task"]["timeAccuracy"] == 50.0
    check_problem(await people.member.patch(f"{OLDER}/complete", json=completion), 409, "wrong-move")


async def test_a_viewer_is_not_assigned(people: People) -> None:
    task = await people.approved()
    answer = await people.admin.patch(
        f"{OLDER}/assign", json={"taskId": task["id"], "assignedTo": people.ids["viewer"]}
    )
    assert "may only look" in check_problem(answer, 422, "no-such-member")["detail"]


async def test_a_batch_has_a_result_for_each(people: People) -> None:
    one, two = await people.create(), await people.approved()
    ids = [one["id"], two["id"], str(new_id()), "rubbish"]
    answer = await people.admin.patch(f"{OLDER}/approve", json={"taskIds": ids, "approved": True})
    body = answer.json()
    assert (answer.status_code, body["succeeded"], body["failed"]) == (200, 1, 3)
    assert [(r["taskId"], r["success"], r["code"]) for r in body["results"]] == [
        (ids[0], True, None), (ids[1], False, "wrong-move"), (ids[2], False, "task-not-found"),
        (ids[3], False, "task-not-found"),
    ]  # fmt: skip
    assert (
        body["results"][1]["error"] == "This task is approved; it can be approved only while it is awaiting approval."
    )


async def test_rejecting_is_final_and_keeps_the_reason(people: People) -> None:
    task = await people.create()
    await people.admin.patch(
        f"{OLDER}/approve", json={"taskIds": [task["id"]], "approved": False, "reason": "Too dear"}
    )
    (found,) = (await people.viewer.get(OLDER, params={"status": "rejected"})).json()["tasks"]
    assert (found["id"], found["reason"], found["approvedAt"]) == (task["id"], "Too dear", None)
    again = await people.admin.patch(f"{OLDER}/approve", json={"taskIds": [task["id"]], "approved": True})
    assert again.json()["results"][0]["code"] == "wrong-move"
    other = await people.create()
    plain = await people.admin.patch(f"{OLDER}/approve", json={"taskIds": [other["id"]], "approved": False})
    assert plain.json()["results"][0]["status"] == "rejected"


RUBBISH: tuple[tuple[str, str, Any], ...] = (
    *(("POST", "", {k: v for k, v in NEW.items() if k != name}) for name in
      ("marketplace", "title", "description", "category", "priority", "estimatedHours", "createdBy")),
    ("POST", "", {**NEW, "category": "fun"}), ("POST", "", {**NEW, "priority": "urgent"}),
    ("POST", "", {**NEW, "estimatedHours": -1}), ("POST", "", {**NEW, "estimatedHours": "many"}),
    ("POST", "", {**NEW, "title": ""}), ("POST", "", {**NEW, "title": "x" * 1000}), ("POST", "", {**NEW, "tags": "seo"}),
    ("POST", "", {**NEW, "metadata": []}), ("POST", "", {**NEW, "status": "approved"}), ("POST", "", []),
    ("POST", "", {**NEW, "metadata": {"n": "\x00"}}),
    ("PATCH", "/approve", {}), ("PATCH", "/approve", {"taskIds": [], "approved": True}),
    ("PATCH", "/approve", {"taskIds": "all", "approved": True}), ("PATCH", "/approve", {"taskIds": ["x"]}),
    ("PATCH", "/approve", {"taskIds": ["x"], "approved": True, "reason": 5}),
    ("PATCH", "/assign", {"taskId": "x", "assignedTo": "y"}), ("PATCH", "/assign", {"taskId": str(new_id())}),
    ("PATCH", "/complete", {"taskId": str(new_id())}),
    ("PATCH", "/complete", {"taskId": str(new_id()), "actualHours": 0}),
    ("PATCH", "/complete", {"taskId": str(new_id()), "actualHours": "NaN"}),
)  # fmt: skip


async def test_rubbish_is_refused_with_what_is_wrong(people: People) -> None:
    for method, path, body in RUBBISH:
        client = people.agent if method == "POST" else people.admin
        answer = await client.request(method, f"{OLDER}{path}", json=body)
        assert answer.status_code == 422, (path, body, answer.text)
        assert answer.json()["detail"]
    assert (await people.admin.get(OLDER)).json()["count"] == 0
    for parameters in ({"status": "lost"}, {"priority": "7"}, {"category": "x"}, {"page": "0"}, {"limit": "a"}):
        assert (await people.admin.get(OLDER, params=parameters)).status_code == 422
    missing = {"taskId": str(new_id()), "actualHours": 1}
    check_problem(await people.admin.patch(f"{OLDER}/complete", json=missing), 404, "task-not-found")


async def test_the_list_is_filtered_and_paged(people: People) -> None:
    for number in range(5):
        await people.create(title=f"Idea {number}", marketplace="shopee" if number == 4 else "amazon", priority="low")
    await people.create(title="Sponsored products", category="scaling")
    whole = (await people.viewer.get(OLDER)).json()
    assert (whole["count"], len(whole["tasks"])) == (6, 6)

    async def count(**parameters: str) -> int:
        answer = (await people.viewer.get(OLDER, params=parameters)).json()
        assert len(answer["tasks"]) == min(answer["count"], int(parameters.get("limit", 50)))
        return int(answer["count"])

    assert await count(marketplace="shopee") == await count(category="scaling") == await count(search="spons") == 1
    assert await count(priority="low") == await count(search="IDEA") == 5
    assert await count(status="completed") == await count(assignedTo="nobody@example.com") == 0
    assert await count(status="awaiting_approval", limit="2") == 6
    second = (await people.viewer.get(OLDER, params={"page": 2, "limit": 4})).json()
    assert [task["title"] for task in second["tasks"]] == ["Idea 1", "Idea 0"]
    task = await people.approved(title="Mine")
    await people.admin.patch(f"{OLDER}/assign", json={"taskId": task["id"], "assignedTo": people.ids["member"]})
    assert await count(assignedTo=people.ids["member_email"]) == 1


async def test_the_hub_s_own_paths(people: People) -> None:
    made = await people.member.post("/v1/tasks", json={"marketplace": "amazon", "title": "Photos", "draft": True})
    task = made.json()["task"]
    assert (made.status_code, task["status"], task["moves"]) == (201, "pending", ["edit", "submit"])
    path = f"/v1/tasks/{task['id']}"
    edited = await people.member.patch(path, json={"title": "Better photos", "version": task["version"]})
    assert edited.json()["task"]["title"] == "Better photos"
    stale = await people.member.patch(path, json={"title": "Other", "version": task["version"]})
    assert check_problem(stale, 409, "task-changed")["version"] == task["version"] + 1
    assert (await people.member.post(f"{path}/submit")).json()["task"]["status"] == "awaiting_approval"
    assert (await people.member.post(f"{path}/comments", json={"text": "Ready"})).status_code == 201
    decided = await people.admin.post("/v1/tasks/decide", json={"taskIds": [task["id"]], "approved": True})
    assert decided.json()["succeeded"] == 1
    assert (await people.admin.get(path)).json()["task"]["moves"] == ["assign"]
    await people.admin.post(f"{path}/assign", json={"assignedTo": people.ids["member"]})
    assert (await people.member.get(path)).json()["task"]["moves"] == ["complete"]
    done = await people.member.post(f"{path}/complete", json={"actualHours": "1.25"})
    assert done.json()["task"]["actualHours"] == 1.25
    told = (await people.viewer.get(f"{path}/history")).json()["history"]
    assert [event["move"] for event in told] == ["create", "edit", "submit", "comment", "approve", "assign", "complete"]
    assert (await people.viewer.get("/v1/actions")).json() == {"actions": []}
    check_problem(await people.viewer.post("/v1/tasks", json={"marketplace": "a", "title": "b"}), 403, "missing-scope")
    unknown = {"marketplace": "amazon", "title": "x", "action": {"name": "world.rule", "input": {}}}
    check_problem(await people.member.post("/v1/tasks", json=unknown), 422, "unknown-action")


async def test_policies_teams_and_the_switch(people: People) -> None:
    body = {"name": "Ask for prices", "decision": "ask", "action": None, "enabled": True}
    check_problem(await people.member.post("/v1/approval-policies", json=body), 403, "missing-scope")
    made = await people.admin.post("/v1/approval-policies", json=body)
    assert made.status_code == 201, made.text
    policy = made.json()["approvalPolicy"]
    assert (policy["position"], policy["tasksToday"], policy["moneyToday"]) == (1, 0, "0.00")
    path = f"/v1/approval-policies/{policy['id']}"
    off = await people.admin.put(f"{path}/enabled", json={"enabled": False})
    assert off.json()["approvalPolicy"]["enabled"] is False
    wrong = {**body, "unitsMost": 3}
    check_problem(await people.admin.put(path, json=wrong), 422, "invalid-policy")
    check_problem(await people.admin.put(path, json={**body, "action": "world.rule"}), 422, "unknown-action")
    trial = (await people.viewer.post("/v1/approval-policies/try", json=body)).json()
    assert (trial["about"], trial["run"]) == (0, 0)
    assert len((await people.viewer.get("/v1/approval-policies")).json()["approvalPolicies"]) == 1
    assert (await people.admin.delete(path)).status_code == 204
    check_problem(await people.admin.delete(path), 404, "policy-not-found")
    assert (await people.admin.put("/v1/stop-all", json={"stopped": True})).json()["stopped"] is True
    check_problem(await people.member.put("/v1/stop-all", json={"stopped": False}), 403, "missing-scope")
    assert (await people.viewer.get("/v1/stop-all")).json()["setBy"] == "Admin"
    team = await people.admin.post("/v1/teams", json={"name": "Listings", "members": [people.ids["member_email"]]})
    assert team.json()["team"]["members"] == [people.ids["member"]]
    check_problem(await people.admin.post("/v1/teams", json={"name": "Listings"}), 409, "team-name-taken")
    rule = {"marketplace": "amazon", "teamId": team.json()["team"]["id"]}
    assert (await people.admin.put("/v1/task-routes", json={"taskRoutes": [rule]})).status_code == 200
    task = await people.approved()
    assert (await people.viewer.get(f"/v1/tasks/{task['id']}")).json()["task"]["assignedName"] == "Member"
    check_problem(await people.admin.put("/v1/task-routes", json={"taskRoutes": [{"tag": "x"}]}), 422, "invalid-task")
    assert (await people.admin.delete(f"/v1/teams/{rule['teamId']}")).status_code == 204
    assert (await people.viewer.get("/v1/task-routes")).json() == {"taskRoutes": []}


async def test_templates_figures_and_estimates(people: People) -> None:
    task = {"marketplace": "amazon", "title": "Look at the listings", "estimatedHours": "0.5"}
    body = {"name": "Weekly look", "task": task, "rhythm": "weekly", "day": 1, "hour": 8, "dueDays": 2}
    check_problem(await people.member.post("/v1/task-templates", json=body), 403, "missing-scope")
    made = await people.admin.post("/v1/task-templates", json=body)
    assert made.status_code == 201, made.text
    template = made.json()["taskTemplate"]
    assert (template["rhythm"], template["lastAt"]) == ("weekly", None)
    path = f"/v1/task-templates/{template['id']}"
    check_problem(await people.admin.put(path, json={**body, "day": 8}), 422, "invalid-task")
    changed = await people.admin.put(path, json={**body, "active": False})
    assert changed.json()["taskTemplate"]["active"] is False
    assert len((await people.viewer.get("/v1/task-templates")).json()["taskTemplates"]) == 1
    assert (await people.admin.delete(path)).status_code == 204
    check_problem(await people.admin.put(path, json=body), 404, "template-not-found")

    asked = {"marketplace": "amazon", "category": "optimization"}
    assert (await people.viewer.get("/v1/task-estimate", params=asked)).json()["medianHours"] is None
    for hours in (1, 2, 3, 4, 10):
        done = await people.approved()
        await people.admin.post(f"/v1/tasks/{done['id']}/assign", json={"assignedTo": people.ids["member"]})
        await people.member.post(f"/v1/tasks/{done['id']}/complete", json={"actualHours": hours})
    rejected = await people.create()
    await people.admin.patch(
        f"{OLDER}/approve", json={"taskIds": [rejected["id"]], "approved": False, "reason": "Too dear"}
    )
    told = (await people.viewer.get("/v1/task-estimate", params=asked)).json()
    assert told == {"medianHours": 3.0, "mostHours": 4.0, "tasks": 5, "like": "optimization tasks for amazon"}
    assert (await people.viewer.get("/v1/task-estimate", params={**asked, "marketplace": "ebay"})).json()["tasks"] == 5
    found = (await people.viewer.get("/v1/task-metrics", params={"days": 7})).json()
    assert (found["created"], found["approved"], found["rejected"], found["completed"]) == (6, 5, 1, 5)
    assert (found["approvalRate"], found["timeAccuracy"]) == (0.8333, 50.0)
    assert found["rejectionReasons"] == [{"reason": "Too dear", "count": 1}]
    assert [(a["agent"], a["created"], a["quality"], a["complexity"]) for a in found["agents"]] == [
        ("amazon", 6, 0.8333, 4.0)
    ]
    assert sum(each["created"] for each in found["createdByDay"]) == 6
    assert (await people.viewer.get("/v1/task-metrics", params={"days": 0})).status_code == 422
