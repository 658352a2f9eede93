"""Cursor paging as the channel does it: a cursor is the sort key of an item, so that a page never skips one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from graphql import GraphQLError

T = TypeVar("T")
PAGE_MAX = 250


def connection(
    items: Iterable[T],
    *,
    key: Callable[[T], Sequence[Any]],
    node: Callable[[T], dict[str, Any]],
    first: int | None,
    after: str | None = None,
    reverse: bool | None = None,
) -> dict[str, Any]:
    """Return a connection over `items` in the order of `key` (JSON values).

    Raises GraphQLError without `first`, for more than 250 and for a cursor that is not ours.
    """
    if first is None:
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    if not 0 <= first <= PAGE_MAX:
        raise GraphQLError(f"first cannot exceed {PAGE_MAX}", extensions={"code": "BAD_REQUEST"})
    ordered = sorted(items, key=lambda item: list(key(item)), reverse=bool(reverse))
    start = 0
    if after is not None:
        mark = _read(after)

        def beyond(item: T) -> bool:
            return list(key(item)) < mark if reverse else list(key(item)) > mark

        start = _first_index(ordered, beyond)
    page = ordered[start : start + first]
    cursors = [_write(key(item)) for item in page]
    nodes = [node(item) for item in page]
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": value} for cursor, value in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": start + first < len(ordered),
            "hasPreviousPage": start > 0,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _first_index(ordered: Sequence[T], wanted: Callable[[T], bool]) -> int:
    """Binary search: `wanted` is false, then true."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if wanted(ordered[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _write(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(key), separators=(",", ":")).encode()).decode()


def _read(cursor: str) -> list[Any]:
    try:
        mark = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        mark = None
    if not isinstance(mark, list):
        raise GraphQLError(f"Invalid cursor for current pagination sort.: {cursor}", extensions={"code": "BAD_REQUEST"})
    return mark
