"""Lists: by cursor (`cursor`, `limit`), or by page number (`page`, `limit`) for clients that count pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Query

from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import LIMIT_MAX, Slice

T = TypeVar("T")
PAGE_LIMIT_MAX = 200
SKIP_MAX = 10_000
"""Pages beyond so many items are read by cursor: counting them off costs more with every page."""


class PageTooFar(InvalidInput):
    """That page is too far in: go on with `cursor` and the `nextCursor` of the answer before."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is asked for."""

    cursor: str | None
    page: int
    limit: int

    async def read(self, fetch: Callable[[str | None, int], Awaitable[Slice[T]]]) -> Slice[T]:
        """Return the slice, from `fetch(cursor, limit)`. Raises PageTooFar."""
        if self.cursor is not None or self.page == 1:
            return await fetch(self.cursor, self.limit)
        skip = (self.page - 1) * self.limit
        if skip > SKIP_MAX:
            raise PageTooFar(max_items=SKIP_MAX)
        cursor: str | None = None
        while skip:
            passed = await fetch(cursor, min(skip, LIMIT_MAX))
            if passed.next_cursor is None:
                return Slice(())
            cursor, skip = passed.next_cursor, skip - len(passed)
        return await fetch(cursor, self.limit)


def _paging(
    cursor: Annotated[str | None, Query(max_length=1000, description="`nextCursor` of the answer before")] = None,
    page: Annotated[int, Query(ge=1, le=10_000, description="Page number, if no cursor is given")] = 1,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT_MAX, description="Most items of the answer")] = 50,
) -> Paging:
    return Paging(cursor, page, limit)


PagingDep = Annotated[Paging, Depends(_paging)]
