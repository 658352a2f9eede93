"""Answers: models in camelCase, lists under the plural name, and requests that may be sent twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from entrepot.api.dependencies import Call
from entrepot.database.pool import Tx
from entrepot.identity.facade import (
    KeptAnswer,
    check_key,
    claim,
    close_claim,
    drop_claim,
    keep,
    open_claim,
    request_hash,
)

IDEMPOTENCY_HEADER = "idempotency-key"
REPLAYED_HEADER = "Idempotency-Replayed"


class Resource(BaseModel):
    """A JSON object of an answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True, frozen=True)


class Input(BaseModel):
    """A JSON object of a request: unknown members are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", str_strip_whitespace=True, frozen=True
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, not yet sent."""

    status: int
    body: bytes

    def response(self, *, replayed: bool = False) -> Response:
        """Return it as a response."""
        headers = {REPLAYED_HEADER: "true"} if replayed else None
        return Response(self.body, self.status, headers, media_type="application/json")


def answer(resource: BaseModel, status: int = 200) -> Answer:
    """Return the answer with this body."""
    return Answer(status, resource.model_dump_json(by_alias=True).encode())


def respond(resource: BaseModel, status: int = 200) -> Response:
    """Return the response with this body."""
    return answer(resource, status).response()


def empty() -> Response:
    """Return 204."""
    return Response(status_code=204)


async def _key_and_hash(call: Call) -> tuple[str, bytes] | None:
    key = call.request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        return None
    url = call.request.url
    return check_key(key), request_hash(call.request.method, url.path, url.query, await call.request.body())


async def once(call: Call, work: Callable[[Tx], Awaitable[Answer]]) -> Response:
    """Do the work in one transaction; with an Idempotency-Key do it once and keep its answer in that transaction."""
    keyed = await _key_and_hash(call)
    async with call.transaction() as tx:
        if keyed is None:
            return (await work(tx)).response()
        kept = await claim(tx, call.actor, *keyed)
        if kept is not None:
            return Answer(kept.status, kept.body).response(replayed=True)
        done = await work(tx)
        await keep(tx, call.actor, *keyed, KeptAnswer(done.status, done.body))
    return done.response()


async def once_outside(call: Call, work: Callable[[], Awaitable[Answer]]) -> Response:
    """Do work that has transactions of its own; with an Idempotency-Key mark it first and keep its answer after."""
    keyed = await _key_and_hash(call)
    if keyed is None:
        return (await work()).response()
    database = call.services.database
    kept = await open_claim(database, call.actor, *keyed)
    if kept is not None:
        return Answer(kept.status, kept.body).response(replayed=True)
    try:
        done = await work()
    except BaseException:
        await drop_claim(database, call.actor, keyed[0])
        raise
    await close_claim(database, call.actor, *keyed, KeptAnswer(done.status, done.body))
    return done.response()


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for OpenAPI: these statuses answer problem+json."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _MEANING[status], "content": content} for status in statuses}


_MEANING = {
    400: "Not understood",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    409: "Contradicts the present state",
    413: "Too large",
    422: "Not valid",
    429: "Too many requests",
    500: "Internal error",
    502: "The channel did not do it",
    503: "Not available at the moment",
}
