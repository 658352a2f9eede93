"""Reading Stripe's lists as they grow: newest first, a page after an id, from a moment on.

What is added while the pages are read stands before the first page and comes with the next pull, which starts before the
latest thing seen, and before the oldest that could still change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from entrepot.channels.contract import Api, Call, Page, Payload, Reply, UnexpectedAnswer
from entrepot.channels.replies import date_of
from entrepot.connectors.stripe.reading import at, list_of, text, whole

OVERLAP_S = 300
"""How far a pull reaches back before the latest thing seen: what is made at the same moment is shown in no certain order."""
SETTLE = timedelta(seconds=60)
"""How old a thing must be for a list to be trusted to show it."""

T = TypeVar("T")


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since`: where this pull began; `seen`: the latest made; `open`: the oldest that could change (0: none); `page`:
    the last id read inside of this pull. Seconds since 1970 by Stripe's clock."""

    since: int = 0
    seen: int = 0
    open: int = 0
    began: int = 0
    page: str = ""


async def pull(
    api: Api,
    cursor: str | None,
    call_of: Callable[[int, str], Call],
    map_one: Callable[[Payload], T],
    may_change: Callable[[T, datetime], bool],
) -> Page[T]:
    """Return a page of a list whose entries change after they were made. `may_change` is told Stripe's time."""
    place = decoded(cursor, _Place)
    reply = await api.send(call_of(place.since, place.page))
    found, more = list_of(reply)
    now = at(place.began) or now_of(reply)
    items = tuple(map_one(each) for each in found)
    made = [created(each) for each in found]
    still = [when for item, when in zip(items, made, strict=True) if may_change(item, now)]
    seen, oldest = max([place.seen, *made]), min([*still, *([place.open] if place.open else [])], default=0)
    if more and found:
        following = _Place(place.since, seen, oldest, int(now.timestamp()), text(found[-1], "id"))
        return Page(items, encoded(following), more=True)
    start = max(place.since, seen - OVERLAP_S)
    following = _Place(min(start, oldest) if oldest else start)
    return Page(items, encoded(following), more=False, complete_until=now - SETTLE)


def encoded(place: msgspec.Struct) -> str:
    """Return a place as a cursor."""
    return msgspec.json.encode(place).decode()


P = TypeVar("P", bound=msgspec.Struct)


def decoded(cursor: str | None, kind: type[P]) -> P:
    """Return the place in a cursor, the beginning for None. Raises UnexpectedAnswer where it cannot be read."""
    if cursor is None:
        return kind()
    try:
        return msgspec.json.decode(cursor, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UnexpectedAnswer("The stored place in Stripe's books cannot be read: start that import over.") from error


def created(payload: Mapping[str, Any]) -> int:
    """Return when a thing was made, in seconds since 1970."""
    seconds = whole(payload, "created")
    if not seconds:
        raise UnexpectedAnswer("Stripe's answer lacks the time 'created'")
    return seconds


def now_of(reply: Reply) -> datetime:
    """Return Stripe's clock as the answer tells it. Raises UnexpectedAnswer."""
    now = date_of(reply)
    if now is None:
        raise UnexpectedAnswer("Stripe's answer does not say what time it is")
    return now
