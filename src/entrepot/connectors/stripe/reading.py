"""Reading values out of Stripe's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from entrepot.channels.contract import Payload, Reply, UnexpectedAnswer
from entrepot.channels.fields import Fields

_fields = Fields("Stripe")
body_of = _fields.body_of
text = _fields.text
optional_text = _fields.optional_text
objects = _fields.objects
inner = _fields.inner
whole = _fields.whole


def list_of(reply: Reply) -> tuple[list[Mapping[str, Any]], bool]:
    """Return a list's objects and whether there are more."""
    body = body_of(reply)
    if body.get("object") not in ("list", "search_result") or not isinstance(body.get("data"), list):
        raise UnexpectedAnswer("Stripe's answer is not a list")
    return objects(body, "data"), body.get("has_more") is True


def an(reply: Reply, kind: str) -> Mapping[str, Any]:
    """Return the answer's object, which must be of that kind."""
    body = body_of(reply)
    if body.get("object") != kind:
        raise UnexpectedAnswer(f"Stripe's answer is not a {kind.replace('_', ' ')}")
    return body


def id_in(payload: Payload, name: str) -> str:
    """Return the id in a field that holds an id or, expanded, the whole object; empty where there is none."""
    value = payload.get(name)
    if isinstance(value, dict):
        return optional_text(value, "id")
    return value if isinstance(value, str) else ""


def moment(payload: Payload, name: str) -> datetime:
    """Return a time, which Stripe writes as seconds since 1970, that must be there."""
    found = optional_moment(payload, name)
    if found is None:
        raise UnexpectedAnswer(f"Stripe's answer lacks the time {name!r}")
    return found


def optional_moment(payload: Payload, name: str) -> datetime | None:
    """Return a time; None where it is absent, null or 0."""
    return at(whole(payload, name) or 0)


def at(seconds: int) -> datetime | None:
    """Return seconds since 1970 as a time; None for 0. Raises UnexpectedAnswer where no calendar has it."""
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise UnexpectedAnswer(f"Stripe sent a time that cannot be read: {seconds}") from error


def order_ref(metadata: Payload, names: Sequence[str]) -> str:
    """Return the order's name out of an object's metadata: the first of these names that is filled."""
    return next((value for name in names if (value := optional_text(metadata, name).strip())), "")
