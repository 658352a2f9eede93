"""The file of an import: read from its pieces, opened as what its source says it is."""

from __future__ import annotations

import tempfile
from typing import BinaryIO, Protocol, cast
from uuid import UUID

from entrepot.catalog.files.contracts import Look, ReadOptions, RowCounts
from entrepot.catalog.files.reading import Part, ProductFile
from entrepot.database.pool import Database
from entrepot.sync.importing import store
from entrepot.sync.importing.contracts import FileIsGone, ImportOptions, Source
from entrepot.sync.importing.price_list import PriceList

MEMORY_MAX = 4 * 1024 * 1024


class Readable(Protocol):
    """A file that tells products."""

    @property
    def look(self) -> Look:
        """What it is."""

    @property
    def counts(self) -> RowCounts:
        """What became of its rows so far."""

    def part(self, most: int) -> Part:
        """Return the next products."""


def open_file(stream: BinaryIO, options: ImportOptions, source: Source) -> Readable:
    """Return an open file. Raises UnknownFormat."""
    read_options = ReadOptions(options.currency, options.decimal)
    if source == "supplier":
        return PriceList(stream, read_options, named=options.supplier_id is not None)
    return ProductFile(stream, read_options)


async def stored_file(database: Database, organisation_id: UUID, import_id: UUID) -> BinaryIO:
    """Return the file of an import, on disk if it is large; whoever asked closes it. Raises FileIsGone."""
    stream = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=MEMORY_MAX))  # noqa: SIM115
    number = 0
    while True:
        async with database.transaction(organisation_id) as tx:
            piece = await store.chunk(tx, import_id, number)
        if piece is None:
            break
        stream.write(piece)
        number += 1
    if not number:
        stream.close()
        raise FileIsGone
    stream.seek(0)
    return stream
