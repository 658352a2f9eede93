"""Any list as CSV, read slice by slice, so that a million rows need neither memory nor a long transaction."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Database, Tx
from entrepot.kernel.paging import Slice

Fetch = Callable[[Tx, "str | None"], Awaitable[Slice[Any]]]
_RISKY = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Export:
    """A list as a file: its columns (title -> what to write of a row) and how to read on from a cursor."""

    name: str
    columns: Mapping[str, Callable[[Any], Any]]
    fetch: Fetch


async def text_of(database: Database, organisation_id: UUID, export: Export) -> AsyncIterator[str]:
    """Yield the file in parts: the heads, then the rows of one slice at a time."""
    yield _lines([list(export.columns)])
    cursor: str | None = None
    while True:
        async with database.transaction(organisation_id) as tx:
            found = await export.fetch(tx, cursor)
        if len(found):
            yield _lines([[_cell(write(row)) for write in export.columns.values()] for row in found])
        cursor = found.next_cursor
        if cursor is None:
            return


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str) and value.startswith(_RISKY):
        # A spreadsheet would take it for a formula. `csv_in` takes the quote off again.
        return f"'{value}"
    return value


def fields(*names: str, **others: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    """Return columns: attributes of the rows by name, and others as they are given."""
    return {name: _reader(name) for name in names} | others


def _reader(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, name)
