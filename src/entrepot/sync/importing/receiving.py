"""Starting an import: the file is looked at, kept in pieces, and a job begins; stopping it, going on, forgetting it."""

from __future__ import annotations

import asyncio
import io
import tempfile
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

import msgspec

from entrepot.catalog.files.contracts import Look, UnknownFormat
from entrepot.channels import facade as channels
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.sync.importing import store
from entrepot.sync.importing.contracts import (
    OVER,
    PRODUCT_IMPORT,
    FileIsGone,
    ImportDetail,
    ImportIsBusy,
    ImportIsOver,
    ImportNotFound,
    ImportOptions,
    ProductImport,
    Source,
    Stage,
)
from entrepot.sync.importing.files import open_file
from entrepot.sync.importing.reading import detail_of, import_detail
from entrepot.sync.importing.working import import_products

BYTES_MAX = 64 * 1024 * 1024
PIECE = 512 * 1024
SMALL = 100_000
"""A file of so many bytes (about a thousand products) is imported at once by whoever takes it."""
HERE_FOR = timedelta(seconds=120)
"""How long whoever imports a file at once has for it before a worker takes it over."""
KEEP_FILES = timedelta(days=7)
KEEP_IMPORTS = timedelta(days=90)


async def take_in(
    database: Database,
    actor: Actor,
    data: BinaryIO | bytes | str,
    options: ImportOptions,
    *,
    name: str = "",
    source: Source = "file",
    apply: bool = True,
    here: bool | None = None,
) -> ImportDetail:
    """Keep a file and look at it or (`apply`) import it: a small one at once, a larger one in a worker; return it then.

    `here`: at once whatever its size. It is the same job either way: should this process end in the middle, or it
    take longer than HERE_FOR, a worker goes on with it. A file that is no product file leaves nothing. Raises UnknownFormat.
    """
    stream = _stream_of(data)
    size = await asyncio.to_thread(stream.seek, 0, io.SEEK_END)
    if size > BYTES_MAX:
        raise InvalidInput(f"The file is larger than {BYTES_MAX // 1024 // 1024} MB: import it in parts.")
    if not size:
        raise UnknownFormat("The file is empty.")
    if here is None:
        here = size <= SMALL
    async with database.transaction(actor.organisation_id) as tx:
        await _check(tx, options, source)
    look = await asyncio.to_thread(_look, stream, options, source, whole=here)
    import_id = new_id()
    async with database.transaction(actor.organisation_id) as tx:
        await store.insert(tx, import_id, name[:200], source, options, look, _plain(actor))
        stream.seek(0)
        for number, piece in enumerate(iter(partial(stream.read, PIECE), b"")):
            await store.insert_chunk(tx, import_id, number, piece)
        await store.set_size(tx, import_id, size)
        job_id = await _begin(tx, actor, import_id, name, apply=apply, after=HERE_FOR if here else timedelta(0))
    if here:
        await jobs.perform(database, PRODUCT_IMPORT, import_products, actor.organisation_id, job_id)
    async with database.transaction(actor.organisation_id) as tx:
        return await import_detail(tx, import_id)


async def take_from_channel(tx: Tx, actor: Actor, options: ImportOptions, *, apply: bool = False) -> UUID:
    """Begin an import of what a connection lists, read by a worker; return it. Raises InvalidInput, ConnectionNotFound."""
    await _check(tx, options, "channel")
    assert options.connection_id is not None
    connection = await channels.get(tx, options.connection_id)
    import_id = new_id()
    await store.insert(tx, import_id, connection.name, "channel", options, Look("channel"), _plain(actor))
    await _begin(tx, actor, import_id, connection.name, apply=apply)
    return import_id


async def go_on(tx: Tx, actor: Actor, import_id: UUID, *, apply: bool) -> ImportDetail:
    """Let a job look at an import or (`apply`) make its changes, from where it stopped.

    Raises ImportNotFound, ImportIsBusy, ImportIsOver, FileIsGone.
    """
    row = await store.read(tx, import_id, lock=True)
    if row is None:
        raise ImportNotFound
    found = await detail_of(tx, row)
    if found.is_open or (found.job is not None and found.job.state is JobState.HELD):
        raise ImportIsBusy
    if found.stage in OVER or (found.stage is Stage.LOOKED and not apply):
        raise ImportIsOver
    if not found.has_file and found.source != "channel":
        raise FileIsGone
    await _begin(tx, actor, found.id, found.name, apply=apply or found.stage is Stage.APPLYING)
    return await import_detail(tx, found.id)


async def stop(tx: Tx, actor: Actor, import_id: UUID) -> ImportDetail:
    """Stop an import after its present step; what it did stays. Raises ImportNotFound, JobHasEnded."""
    found = await import_detail(tx, import_id)
    if found.job is None:
        raise ImportNotFound
    job = await jobs.cancel(tx, found.job.id)
    after = {"kind": job.kind, "stage": found.stage.value, **_counted(found)}
    await identity.record(tx, actor, "job.cancel", "job", job.id, after=after)
    return await import_detail(tx, found.id)


async def forget(tx: Tx, now: datetime) -> int:
    """Delete the files of imports after a week, imports after three months; return how many rows."""
    return await store.delete_files(tx, now - KEEP_FILES) + await store.delete_imports(tx, now - KEEP_IMPORTS)


async def _begin(
    tx: Tx, actor: Actor, import_id: UUID, name: str, *, apply: bool, after: timedelta = timedelta(0)
) -> UUID:
    title = f"{PRODUCT_IMPORT.title}, {name[:100]}" if name else ""
    job_id = await jobs.enqueue(
        tx, PRODUCT_IMPORT, ProductImport(import_id, apply), actor=actor.name, title=title, after=after
    )
    await store.add_job(tx, import_id, job_id)
    if apply:
        await identity.record(tx, actor, "product.import_started", "import", import_id, after={"file": name})
    return job_id


async def _check(tx: Tx, options: ImportOptions, source: Source) -> None:
    if (source == "channel") != (options.connection_id is not None):
        raise InvalidInput("Name the connection to read from, and only then.")
    if options.supplier_id is not None:
        if source != "supplier":
            raise InvalidInput("A supplier is named for a price list only.")
        await stock.supplier_currency(tx, options.supplier_id)


def _look(stream: BinaryIO, options: ImportOptions, source: Source, *, whole: bool) -> Look:
    """Return what a file is, having read it to its end if `whole`. Raises UnknownFormat."""
    file = open_file(stream, options, source)
    while whole and file.part(1_000).products:
        pass
    return file.look


def _stream_of(data: BinaryIO | bytes | str) -> BinaryIO:
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _plain(actor: Actor) -> dict[str, str]:
    return {"kind": actor.kind.value, "id": str(actor.id), "name": actor.name}


def _counted(found: ImportDetail) -> dict[str, Any]:
    counted: dict[str, Any] = msgspec.to_builtins(found.counts)
    return counted


def spooled() -> Any:
    """Return a place for a file that is coming in: in memory while it is small."""
    return tempfile.SpooledTemporaryFile(max_size=2 * 1024 * 1024)
