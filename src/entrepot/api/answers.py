"""Answers: models in camelCase, lists under the plural name, and requests that may be sent twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
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
    claimed,
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
        find = claimed if _marked(call) else claim
        kept = await find(tx, call.actor, *keyed)
        if kept is not None:
            return _replay(call, kept, keyed[1])
        done = await work(tx)
        await keep(tx, call.actor, *keyed, KeptAnswer(done.status, done.body))
        call.request.state.answer_kept = True
    return done.response()


def doing_once(handler: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """Return a handler that does a request with an Idempotency-Key once and gives its first answer again, for a day.

    It marks the request first and keeps the answer after, sealed as it may hold a secret. A handler that goes through
    `once` keeps its answer in the transaction of its work instead. Errors are not kept.
    """

    @wraps(handler)
    async def keyed_handler(**values: Any) -> Response:
        call: Call = values["call"]
        keyed = await _key_and_hash(call)
        if keyed is None:
            return await handler(**values)
        key, request = keyed
        database, state = call.services.database, call.request.state
        kept = await open_claim(database, call.actor, key, request, clock=call.services.clock)
        if kept is not None:
            return _replay(call, kept, request)
        state.answer_marked, state.answer_kept = True, False
        try:
            response = await handler(**values)
        except BaseException:
            await drop_claim(database, call.actor, key)
            raise
        if not state.answer_kept:
            body = call.services.authenticator.seal.close(bytes(response.body), request)
            await close_claim(database, call.actor, key, request, KeptAnswer(response.status_code, body))
        return response

    return keyed_handler


def _marked(call: Call) -> bool:
    return bool(getattr(call.request.state, "answer_marked", False))


def _replay(call: Call, kept: KeptAnswer, request: bytes) -> Response:
    body = call.services.authenticator.seal.open(kept.body, request)
    if kept.status == 204:
        return Response(status_code=204, headers={REPLAYED_HEADER: "true"})
    return Answer(kept.status, body).response(replayed=True)


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
