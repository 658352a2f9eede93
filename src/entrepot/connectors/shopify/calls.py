"""Sending a GraphQL operation and reading its answer: errors in a 200, the cost bucket, typed data."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from entrepot.channels.contract import (
    Api,
    Call,
    ConnectorError,
    CredentialsRejected,
    LimitReading,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.in_turn import as_lost
from entrepot.channels.replies import error_of_status
from entrepot.connectors.shopify.queries import API_VERSION, Operation

LIMIT = "graphql"
PATH = f"/admin/api/{API_VERSION}/graphql.json"

_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_TEMPORARY = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"})
_PERSONAL = frozenset({"email", "customer", "shippingAddress"})
"""Fields of an order that Shopify keeps from apps without approval for customer data; they come as null."""

T = TypeVar("T")


class _Throttle(msgspec.Struct, rename="camel"):
    maximum_available: float | None = None
    currently_available: float | None = None
    restore_rate: float | None = None


class _Cost(msgspec.Struct, rename="camel"):
    requested_query_cost: float | None = None
    throttle_status: _Throttle | None = None


class _Extensions(msgspec.Struct):
    cost: _Cost | None = None


class _Envelope(msgspec.Struct):
    errors: Any = None
    extensions: _Extensions | None = None


_envelope = msgspec.json.Decoder(_Envelope)


@cache
def _answer_decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct("Answer", [("data", shape)]))


async def ask(
    api: Api, operation: Operation, shape: type[T], variables: dict[str, Any], *, further_cost: float = 0
) -> tuple[T, Reply]:
    """Send an operation; return its data as `shape`, and the answer. `further_cost`: of what is sent, in points.

    Raises ConnectorError; UnexpectedAnswer where the data is not what the documentation says.
    """
    call = Call(
        operation=operation.name,
        method="POST",
        path=PATH,
        headers=_HEADERS,
        body=msgspec.json.encode({"query": operation.text, "variables": variables}),
        cost=operation.cost + operation.cost_each * len(variables.get("ids", ())) + further_cost,
        idempotent=operation.idempotent,
    )
    reply = await api.send(call)
    try:
        answer = _answer_decoder(cast(Any, shape)).decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"Shopify's answer to {operation.name} is not as documented: {error}") from error
    data: T = answer.data
    return data, reply


async def written(
    api: Api, operation: Operation, shape: type[T], variables: dict[str, Any], further_cost: float = 0
) -> T:
    """Send a mutation. Raises OutcomeUnknown where it may have been done: a 5xx may come after the write."""
    try:
        data, _ = await ask(api, operation, shape, variables, further_cost=further_cost)
    except RateLimited:
        raise
    except (TemporarilyUnavailable, UnexpectedAnswer) as error:
        raise as_lost(error) from error
    return data


def classify(reply: Reply) -> ConnectorError | None:
    """Return the error that an answer means: by its status, or hidden in a 200."""
    by_status = error_of_status(reply)
    if by_status is not None:
        return by_status
    try:
        envelope = _envelope.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # Not an answer to a query: whoever reads it will say so.
    return _error_of(envelope) if envelope.errors else None


def read_limits(reply: Reply) -> tuple[LimitReading, ...]:
    """Return what the answer says of the cost bucket."""
    try:
        envelope = _envelope.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    cost = envelope.extensions.cost if envelope.extensions else None
    throttle = cost.throttle_status if cost else None
    if throttle is None:
        return ()
    return (LimitReading(LIMIT, throttle.currently_available, throttle.maximum_available, throttle.restore_rate),)


def _error_of(envelope: _Envelope) -> ConnectorError | None:
    errors = envelope.errors if isinstance(envelope.errors, list) else [envelope.errors]
    serious = [error for error in errors if not _hides_only_personal_data(error)]
    if not serious:
        return None
    codes = {_code_of(error) for error in serious}
    words = "; ".join(_message_of(error) for error in serious[:3])[:300]
    if "THROTTLED" in codes:
        wait_s = _wait_s(envelope.extensions.cost if envelope.extensions else None)
        return RateLimited("Shopify asks us to slow down", code="THROTTLED", retry_after_s=wait_s)
    if "ACCESS_DENIED" in codes:
        return CredentialsRejected(f"Shopify denies access: {words}", code="ACCESS_DENIED")
    if "SHOP_INACTIVE" in codes:
        return CredentialsRejected(f"The shop is not active: {words}", code="SHOP_INACTIVE")
    temporary = codes & _TEMPORARY
    if temporary:
        return TemporarilyUnavailable(f"Shopify failed: {words}", code=min(temporary))
    return RequestRejected(f"Shopify refuses the query: {words}", code=min(codes))


def _code_of(error: Any) -> str:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) else ""


def _message_of(error: Any) -> str:
    message = error.get("message", "") if isinstance(error, dict) else error
    return " ".join(str(message).split())


def _hides_only_personal_data(error: Any) -> bool:
    if _code_of(error) != "ACCESS_DENIED":
        return False
    path = error.get("path")
    return isinstance(path, list) and len(path) > 1 and any(part in _PERSONAL for part in path if isinstance(part, str))


def _wait_s(cost: _Cost | None) -> float | None:
    """How long until the bucket holds what the query asked for, in seconds."""
    throttle = cost.throttle_status if cost else None
    if cost is None or throttle is None or cost.requested_query_cost is None:
        return None
    if throttle.currently_available is None or not throttle.restore_rate or throttle.restore_rate <= 0:
        return None
    return max(0.0, (cost.requested_query_cost - throttle.currently_available) / throttle.restore_rate)
