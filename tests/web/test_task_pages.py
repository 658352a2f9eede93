"""The pages of tasks over HTTP, without scripts: the queue and its evidence, deciding, undoing, policies; refused and empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.web.server import Site
from tests.web.test_stock_pages import post

from entrepot.actions import all_actions
from entrepot.agents import reading
from entrepot.agents.carrying import Carrier
from entrepot.agents.facade import CARRY_OUT, VERIFY, ActionCall, Proposal, Task, TaskDesk
from entrepot.connectors.registry import connector_of
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, ActorKind
from entrepot.identity.scopes import AGENT_SCOPES
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id

DESK = TaskDesk(all_actions(connector_of))


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


def agent(site: Site) -> Actor:
    assert site.organisation_id
    return Actor(ActorKind.AGENT, new_id(), "price-keeper", site.organisation_id, None, AGENT_SCOPES)


def propose(site: Site, title: str, **fields: Any) -> Task:
    assert site.database
    database, organisation = site.database, site.organisation_id

    async def work() -> Task:
        async with database.transaction(organisation) as tx:
            return await DESK.propose(tx, agent(site), Proposal("amazon", title, **fields))

    return site.run(work())


def sku(site: Site) -> tuple[str, int]:
    """Return a SKU that no task has priced yet, and its price."""
    assert site.database
    database, organisation = site.database, site.organisation_id

    async def work() -> tuple[str, int]:
        async with database.transaction(organisation) as tx:
            row = await tx.fetch_row(
                "select sku, price_minor from variant where organisation_id = $1 and price_minor > 0"
                " and state = 'active' order by updated_at, sku limit 1",
                organisation,
            )
        assert row
        return row["sku"], row["price_minor"]

    return site.run(work())


def raise_price(site: Site, title: str, percent: int = 10) -> tuple[Task, str, int]:
    name, price = sku(site)
    amount = f"{price * (100 + percent) // 100 / 100:.2f}"
    call = ActionCall("price.set", {"prices": [{"sku": name, "price": amount}]})
    return propose(site, title, action=call, why="Others ask more", expected="2% more margin"), name, price


def state(site: Site, task: Task | UUID) -> Task:
    assert site.database
    database, organisation = site.database, site.organisation_id
    id = task if isinstance(task, UUID) else task.id

    async def work() -> Task:
        async with database.transaction(organisation) as tx:
            return await reading.task(tx, id)

    return site.run(work())


def price_of(site: Site, name: str) -> int:
    assert site.database
    database, organisation = site.database, site.organisation_id

    async def work() -> int:
        async with database.transaction(organisation) as tx:
            found: int = await tx.fetch_value(
                "select price_minor from variant where organisation_id = $1 and sku = $2", organisation, name
            )
        return found

    return site.run(work())


def carry_out(site: Site) -> None:
    assert site.database
    assert site.organisation_id
    database: Database = site.database
    organisation: UUID = site.organisation_id

    async def work() -> None:
        async with database.transaction(organisation) as tx:
            waiting = [job for job in (await jobs.list_jobs(tx)).items if job.is_open]
        carrier = Carrier(DESK.actions)
        for job in waiting:
            if job.kind == CARRY_OUT.name:
                await jobs.perform(database, CARRY_OUT, carrier.carry_out, organisation, job.id)
            elif job.kind == VERIFY.name:
                await jobs.perform(database, VERIFY, carrier.verify, organisation, job.id)

    site.run(work())


def test_the_evidence_says_what_changes_and_why(client: httpx.Client, site: Site) -> None:
    task, name, _ = raise_price(site, "Raise the price of the mug")
    text = client.get(f"/tasks?at={task.id}").text
    for words in (f"{name}: price", "Others ask more", "2% more margin", "Yes, as long as nobody", "still so now",
                  "No policy is about it", "price-keeper", 'data-press="shift+a"', 'data-press="r"'):  # fmt: skip
        assert words in text, words
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", text)
    assert 'data-live="needs:tasks_nav"' in text
    assert "Tasks that wait for approval" in client.get("/").text


def test_approving_carrying_out_and_undoing(client: httpx.Client, site: Site) -> None:
    task, name, before = raise_price(site, "Approve me")
    answer = post(client, f"/tasks/{task.id}/approve", back=f"/tasks/{task.id}", version=str(task.version))
    assert answer.status_code == 200
    assert state(site, task).approved_by_name == "Ana Costa"
    carry_out(site)
    assert price_of(site, name) == before * 110 // 100
    page = client.get(f"/tasks/{task.id}").text
    assert "Carried out" in page
    assert 'data-press="z"' in page
    post(client, f"/tasks/{task.id}/undo", back=f"/tasks/{task.id}")
    assert price_of(site, name) == before
    assert "Undone by Ana Costa" in client.get(f"/tasks/{task.id}").text


def test_what_was_seen_is_what_is_approved(client: httpx.Client, site: Site) -> None:
    task, _, _ = raise_price(site, "Seen by two")
    again = post(client, f"/tasks/{task.id}/approve", version=str(task.version - 1))
    assert again.status_code == 409
    assert "The task changed since you looked" in again.text
    assert state(site, task).approved_at is None


def test_a_stale_one_is_looked_at_anew_before_it_can_be_approved(client: httpx.Client, site: Site) -> None:
    task, name, _ = raise_price(site, "Soon stale")
    assert site.database
    database, organisation = site.database, site.organisation_id

    async def change() -> None:
        async with database.transaction(organisation) as tx:
            await tx.execute(
                "update variant set price_minor = price_minor + 7 where organisation_id = $1 and sku = $2",
                organisation,
                name,
            )

    site.run(change())
    text = client.get(f"/tasks/{task.id}").text
    assert "It cannot be approved as it stands." in text
    assert f"/tasks/{task.id}/approve" not in text
    post(client, f"/tasks/{task.id}/look")
    assert f"/tasks/{task.id}/approve" in client.get(f"/tasks/{task.id}").text


def test_many_at_once(client: httpx.Client, site: Site) -> None:
    tasks = [propose(site, f"Bulk {n}") for n in range(3)]
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/tasks").text)
    assert token
    ids = [str(task.id) for task in tasks]
    none = client.post("/tasks/decide", data={"csrf_token": token[1], "do": "reject", "task": ids})
    assert none.status_code == 409
    assert "Say why" in none.text
    client.post("/tasks/decide", data={"csrf_token": token[1], "do": "approve", "task": ids[:2], "back": "/tasks"})
    client.post("/tasks/decide", data={"csrf_token": token[1], "do": "reject", "task": ids[2:], "reason": "Not now"})
    assert [str(state(site, task).state) for task in tasks] == ["approved", "approved", "rejected"]
    assert "Not now" in client.get(f"/tasks/{ids[2]}").text
    empty = client.post("/tasks/decide", data={"csrf_token": token[1], "do": "approve"})
    assert "Choose at least one task first." in empty.text


def test_work_is_made_assigned_and_completed(client: httpx.Client, site: Site) -> None:
    made = post(
        client,
        "/tasks/new",
        title="Write better texts",
        marketplace="Amazon",
        hours="2,5",
        due="2030-01-31",
        tags="a, b",
    )
    id = UUID(str(made.url).rsplit("/", 1)[1])
    assert "31 Jan 2030" in made.text or "Jan 2030" in made.text
    post(client, f"/tasks/{id}/approve")
    assert "Assign" in client.get(f"/tasks/{id}").text
    post(client, f"/tasks/{id}/assign", person=str(site.person_id))
    post(client, f"/tasks/{id}/comment", text="Halfway <b>there</b>")
    wrong = post(client, f"/tasks/{id}/complete", hours="long")
    assert "Hours are a number such as 1.5." in wrong.text
    post(client, f"/tasks/{id}/complete", hours="2")
    page = client.get(f"/tasks/{id}").text
    assert "80.0% right" in page
    assert "Halfway &lt;b&gt;there&lt;/b&gt;" in page
    refused = post(client, "/tasks/new", title="", marketplace="amazon")
    assert refused.status_code == 422
    assert "The title has 1 to 300 characters." in refused.text


def test_policies_are_made_tried_and_switched_on(client: httpx.Client, site: Site) -> None:
    task, _, _ = raise_price(site, "Tried on me", percent=5)
    post(client, f"/tasks/{task.id}/reject", reason="Not this one")
    made = post(
        client, "/tasks/policies", name="Small steps", decision="run", action="price.set", currency="EUR", percent="6"
    )
    assert "Small steps, tried on the last 90 days" in made.text
    assert "It would have done what people did not want." in made.text
    id = re.search(r"/tasks/policies/([0-9a-f-]+)/switch", made.text)
    assert id
    post(client, f"/tasks/policies/{id[1]}/switch", on="1")
    small, _, _ = raise_price(site, "By itself", percent=5)
    assert small.approved_by_name == "Approval policy: Small steps"
    stopped = post(client, "/tasks/policies/stop", stopped="1")
    assert "Everything is stopped, by Ana Costa" in stopped.text
    other, _, _ = raise_price(site, "Stopped", percent=5)
    assert other.approved_at is None
    post(client, "/tasks/policies/stop", stopped="0")
    post(client, f"/tasks/policies/{id[1]}/delete")
    assert "No policy is set" in client.get("/tasks/policies").text
    wrong = post(client, "/tasks/policies", name="Wrong", decision="run", currency="EUR", percent="much")
    assert wrong.status_code == 422
    assert "The limit in percent is a number such as 10." in wrong.text


def test_lists_are_filtered_and_say_when_they_are_empty(client: httpx.Client, site: Site) -> None:
    propose(site, "Zebra stripes for cushions")
    assert "Zebra stripes" in client.get("/tasks?q=zebra").text
    assert "No task is like that." in client.get("/tasks?q=giraffe").text
    assert client.get("/tasks?state=lost").status_code == 422
    assert client.get(f"/tasks/{new_id()}").status_code == 404
    assert "Completed" in client.get("/tasks?state=all").text


def test_how_tasks_go(client: httpx.Client, site: Site) -> None:
    task = propose(site, "Figures")
    post(client, f"/tasks/{task.id}/reject", reason="Figured out")
    text = client.get("/tasks/figures").text
    assert "Figured out" in text
    assert "price-keeper" in text
    assert client.get("/tasks/figures?days=many").status_code == 422


def test_who_may_only_look_is_offered_nothing(site: Site) -> None:
    empty = site.run(site.new_organisation())
    with httpx.Client(base_url=site.url, timeout=60, follow_redirects=True) as other:
        other.get(site.link(empty))
        assert "No task waits for approval." in other.get("/tasks").text
        assert "No policy is set, so a person approves every task." in other.get("/tasks/policies").text
