"""What holds for every path: errors, headers, sizes, who may do what, sending twice, documentation."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import httpx
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from structlog.testing import capture_logs
from tests.api.support import PASSWORD, check_problem, serve

from entrepot.api.build import build_api
from entrepot.api.contract import ALIASES, PATHS, RESOURCES
from entrepot.api.dependencies import Services
from entrepot.api.limits import RateExceeded, RateLimiter
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id

KeyMaker = Callable[..., Awaitable[str]]


async def test_health_needs_no_key_and_everything_else_does(open_client: httpx.AsyncClient) -> None:
    answer = await open_client.get("/health")
    assert answer.status_code == 200
    assert answer.json()["database"] == "ok"
    for path in PATHS:
        url = re.sub(r"\{\w+\}", str(new_id()), path.path)
        response = await open_client.request(path.method, url)
        if not path.public:
            check_problem(response, 401, "not-signed-in")
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_health_says_when_the_database_is_down(services: Services, open_client: httpx.AsyncClient) -> None:
    await services.database.close()
    answer = await open_client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")


async def test_ready_means_that_the_database_answers_with_this_version_s_schema(
    services: Services, open_client: httpx.AsyncClient, database_url: str
) -> None:
    assert (await open_client.get("/v1/ready")).json() == {"ready": True, "reason": ""}
    with psycopg.connect(database_url, autocommit=True) as owner:
        row = owner.execute("select version_num from alembic_version").fetchone()
        assert row is not None
        owner.execute("update alembic_version set version_num = '0000'")
        try:
            older = await open_client.get("/v1/ready")
        finally:
            owner.execute("update alembic_version set version_num = %s", row)
    assert (older.status_code, "entrepot db migrate" in older.json()["reason"]) == (503, True)
    await services.database.close()
    down = await open_client.get("/v1/ready")
    assert (down.status_code, down.json()["reason"]) == (503, "The database does not answer.")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("DELETE", f"/v1/keys/{UUID(int=7)}", 404, "not-found"),
        ("DELETE", "/v1/keys/7", 422, "invalid-request"),
        ("GET", "/v1/audit?limit=0", 422, "invalid-request"),
        ("GET", "/v1/audit?cursor=%FF", 422, "invalid-cursor"),
        ("GET", "/v1/audit?page=9999&limit=200", 422, "page-too-far"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    check_problem(await client.request(method, path), status, code)


async def test_wrong_fields_are_pointed_at(client: httpx.AsyncClient) -> None:
    body = check_problem(
        await client.post("/v1/keys", json={"name": "", "scopes": ["all"], "color": "red"}), 422, "invalid-request"
    )
    assert {error["pointer"] for error in body["errors"]} == {"#/name", "#/color"}
    query = check_problem(await client.get("/v1/audit?limit=x"), 422, "invalid-request")
    assert query["errors"][0]["parameter"] == "limit"
    check_problem(await client.post("/v1/keys", content=b"{"), 422, "invalid-request")
    unknown = await client.post("/v1/keys", json={"name": "K", "scopes": ["stock:fly"]})
    assert check_problem(unknown, 422, "unknown-scope")["scope"] == "stock:fly"


async def test_a_bug_is_answered_with_an_id_and_nothing_else(client: httpx.AsyncClient, database_url: str) -> None:
    """A statement that the database does not understand, as a forgotten migration would give."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("alter table audit_log rename to mislaid")
        try:
            with capture_logs() as logged:
                response = await client.get("/v1/audit")
        finally:
            owner.execute("alter table mislaid rename to audit_log")
    body = check_problem(response, 500, "internal-error")
    assert [(line["event"], line["request_id"]) for line in logged] == [("request_failed", body["requestId"])]
    assert "audit_log" not in response.text
    assert str(body["requestId"]) in str(body["detail"])


async def test_answers_carry_security_headers_and_are_not_kept(client: httpx.AsyncClient) -> None:
    for path in ("/v1/me", "/nowhere"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
    assert "r=" in (await client.get("/v1/me")).headers["ratelimit"]


async def test_large_bodies_are_refused_with_and_without_a_length(client: httpx.AsyncClient) -> None:
    big = b"[" + b" " * 2_100_000 + b"]"

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 100_000):
            yield big[start : start + 100_000]

    check_problem(await client.post("/v1/keys", content=big), 413, "too-large")
    check_problem(await client.post("/v1/keys", content=chunks()), 413, "too-large")


async def test_scopes_decide(open_client: httpx.AsyncClient, make_key: KeyMaker) -> None:
    """Each path accepts a key with just its scope and refuses one with all the others."""
    keys = {
        scope: (
            await make_key(scope.value),
            await make_key(*(other.value for other in identity.Scope if other is not scope)),
        )
        for scope in {path.scope for path in PATHS if path.scope}
    }
    for path in PATHS:
        if path.scope is None:
            continue
        url = re.sub(r"\{\w+\}", str(new_id()), path.path)
        enough, others = keys[path.scope]
        accepted = await open_client.request(path.method, url, headers={"Authorization": f"Bearer {enough}"})
        refused = await open_client.request(path.method, url, headers={"Authorization": f"Bearer {others}"})
        assert accepted.status_code not in (401, 403, 500), (path.method, path.path)
        assert check_problem(refused, 403, "missing-scope")["scope"] == path.scope.value


def test_every_alias_names_a_resource_of_the_same_scope() -> None:
    by_path: dict[str, set[object]] = {}
    for resource in RESOURCES:
        by_path.setdefault(resource.path, set()).add(resource.scope)
        assert resource.path.startswith("/v1/")
    for alias in ALIASES:
        assert alias.alias_of is not None
        assert alias.scope in by_path[alias.alias_of], alias.path
    assert len({(path.method, path.path) for path in PATHS}) == len(PATHS)


async def test_a_person_signs_in_and_out(
    database: Database, organisation_id: UUID, open_client: httpx.AsyncClient
) -> None:
    email = f"{new_id()}@example.com"
    person = await identity.create_person(database, email, "Ada", PASSWORD)
    await identity.add_membership(database, organisation_id, person.id, identity.Role.VIEWER)
    check_problem(
        await open_client.post("/v1/sign-in", json={"email": email, "password": "wrong"}), 401, "wrong-credentials"
    )
    signed_in = await open_client.post("/v1/sign-in", json={"email": email, "password": PASSWORD})
    assert signed_in.status_code == 201
    headers = {"Authorization": f"Bearer {signed_in.json()['token']}"}
    me = (await open_client.get("/v1/me", headers=headers)).json()["actor"]
    assert (me["kind"], me["role"], me["id"]) == ("person", "viewer", str(person.id))
    assert all(scope.endswith(":read") for scope in me["scopes"])
    check_problem(await open_client.get("/v1/keys", headers=headers), 403, "missing-scope")
    assert (await open_client.post("/v1/sign-out", headers=headers)).status_code == 204
    check_problem(await open_client.get("/v1/me", headers=headers), 401, "not-signed-in")


async def test_a_browser_needs_its_csrf_token_to_change_anything(
    database: Database, organisation_id: UUID, open_client: httpx.AsyncClient
) -> None:
    person = await identity.create_person(database, f"{new_id()}@example.com", "Ada")
    await identity.add_membership(database, organisation_id, person.id, identity.Role.ADMIN)
    link = await identity.create_sign_in_link(database, organisation_id, person.id)
    new = await identity.use_sign_in_link(database, link)
    open_client.cookies.set(identity.cookie_name(secure=False), new.token)
    key = {"name": "K", "scopes": ["stock:read"]}
    assert (await open_client.get("/v1/keys")).status_code == 200
    check_problem(await open_client.post("/v1/keys", json=key), 403, "wrong-csrf-token")
    wrong = {identity.CSRF_HEADER: "x"}
    check_problem(await open_client.post("/v1/keys", json=key, headers=wrong), 403, "wrong-csrf-token")
    right = {identity.CSRF_HEADER: new.session.csrf_token}
    assert (await open_client.post("/v1/keys", json=key, headers=right)).status_code == 201
    bad_key = {"Authorization": "Bearer nonsense"}
    check_problem(await open_client.get("/v1/keys", headers=bad_key), 401, "not-signed-in")


async def test_people_and_keys_are_managed(client: httpx.AsyncClient) -> None:
    email = f"{new_id()}@example.com"
    made = await client.post("/v1/people", json={"email": email, "name": "Bo", "role": "admin"})
    assert made.status_code == 201
    person = made.json()["person"]
    check_problem(await client.post("/v1/people", json={"email": email, "name": "Bo"}), 409, "email-taken")
    link = await client.post(f"/v1/people/{person['id']}/sign-in-link")
    assert re.fullmatch(r"/sign-in/\w+", link.json()["path"])
    check_problem(await client.patch(f"/v1/people/{person['id']}", json={"role": "viewer"}), 409, "last-admin")
    check_problem(await client.delete(f"/v1/people/{person['id']}"), 409, "last-admin")
    check_problem(await client.patch(f"/v1/people/{new_id()}", json={"role": "viewer"}), 404, "not-found")
    token = (await client.post("/v1/agent-tokens", json={"agent": "amazon"})).json()
    assert token["secret"].startswith("marketplace-amazon-")
    agent = {"Authorization": f"Bearer {token['secret']}"}
    assert (await client.get("/v1/me", headers=agent)).json()["actor"]["kind"] == "agent"
    assert (await client.delete(f"/v1/keys/{token['key']['id']}")).status_code == 204
    check_problem(await client.get("/v1/me", headers=agent), 401, "not-signed-in")
    listed = (await client.get("/v1/keys")).json()["keys"]
    assert token["key"]["id"] in {key["id"] for key in listed if key["revokedAt"]}
    assert token["secret"] not in (await client.get("/v1/keys")).text


async def test_lists_are_read_by_cursor_and_by_page_alike(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/v1/keys", json={"name": f"K{number}", "scopes": ["stock:read"]})
    everything = [entry["id"] for entry in (await client.get("/v1/audit")).json()["entries"]]
    assert len(everything) >= 6
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        part = (await client.get("/v1/audit", params={"limit": 2, "cursor": cursor})).json()
        found += [entry["id"] for entry in part["entries"]]
        cursor = part["nextCursor"]
    assert found == everything
    second = (await client.get("/v1/audit", params={"limit": 2, "page": 2})).json()
    assert [entry["id"] for entry in second["entries"]] == everything[2:4]
    assert (await client.get("/v1/audit", params={"limit": 50, "page": 9})).json()["entries"] == []


async def test_a_key_to_be_slowed_down_is_told_so(services: Services, make_key: KeyMaker) -> None:
    slow = replace(services, limiter=RateLimiter(burst=2, refill_per_s=0.01))
    headers = {"Authorization": f"Bearer {await make_key('all')}"}
    app = Starlette(routes=[Mount("/api", build_api(slow))])
    async with serve(app) as url, httpx.AsyncClient(base_url=f"{url}/api", headers=headers) as client:
        assert [(await client.get("/v1/me")).status_code for _ in range(2)] == [200, 200]
        refused = await client.get("/v1/me")
        check_problem(refused, 429, "rate-exceeded")
        assert int(refused.headers["retry-after"]) >= 1


def test_the_rate_limit_refills_and_is_each_actors_own() -> None:
    now = 0.0
    limiter = RateLimiter(burst=2, refill_per_s=1.0, monotonic=lambda: now)
    one, other = new_id(), new_id()
    limiter.take(one)
    limiter.take(one)
    with pytest.raises(RateExceeded):
        limiter.take(one)
    limiter.take(other)
    now = 1.0
    assert (b"ratelimit", b'"actor";r=0;t=2') in limiter.take(one)


async def test_documentation_needs_no_outside_host(open_client: httpx.AsyncClient) -> None:
    document = (await open_client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert "/multi-channel/inventory/reserve" in document["paths"]
    for path in ("/docs", "/redoc"):
        page = await open_client.get(path)
        assert page.status_code == 200
        links = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
        assert links
        for link in links:
            assert link.startswith("/api/")
            assert (await open_client.get(link.removeprefix("/api"))).status_code == 200
