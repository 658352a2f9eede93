"""Statements of product imports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from entrepot.catalog.files.contracts import FileProduct, Look, RowProblem
from entrepot.catalog.intake_rules import Finding, Outcome
from entrepot.database.pool import Tx
from entrepot.sync.importing.contracts import Counts, ImportOptions, Stage

PROBLEMS_KEPT = 20_000
"""So many problems of an import are kept; all are counted."""
_ENCODE = msgspec.msgpack.Encoder()
_DECODE = msgspec.msgpack.Decoder(FileProduct)


async def insert(
    tx: Tx, import_id: UUID, name: str, source: str, options: ImportOptions, look: Look, actor: dict[str, str]
) -> None:
    """Insert an import."""
    await tx.execute(
        "insert into product_import (organisation_id, id, name, source, options, look, actor)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organisation, import_id, name, source, msgspec.to_builtins(options), msgspec.to_builtins(look), actor,
    )  # fmt: skip


async def insert_chunk(tx: Tx, import_id: UUID, number: int, data: bytes) -> None:
    """Keep a piece of a file."""
    await tx.execute(
        "insert into import_chunk (organisation_id, import_id, number, data) values ($1, $2, $3, $4)",
        tx.organisation, import_id, number, data,
    )  # fmt: skip


async def chunk(tx: Tx, import_id: UUID, number: int) -> bytes | None:
    """Return a piece of a file."""
    found: bytes | None = await tx.fetch_value(
        "select data from import_chunk where organisation_id = $1 and import_id = $2 and number = $3",
        tx.organisation, import_id, number,
    )  # fmt: skip
    return found


async def set_size(tx: Tx, import_id: UUID, size_bytes: int) -> None:
    """Note how large the file is."""
    await tx.execute(
        "update product_import set size_bytes = $3 where organisation_id = $1 and id = $2",
        tx.organisation, import_id, size_bytes,
    )  # fmt: skip


async def add_job(tx: Tx, import_id: UUID, job_id: UUID) -> None:
    """Note the job that works on an import from now on."""
    await tx.execute(
        "update product_import set job_ids = job_ids || $3::uuid where organisation_id = $1 and id = $2",
        tx.organisation, import_id, job_id,
    )  # fmt: skip


_VIEW = """i.id, i.name, i.source, i.options, i.look, i.size_bytes, i.stage, i.position, i.page, i.counts, i.error, i.actor,
    i.job_ids, i.created_at, i.finished_at"""


async def read(tx: Tx, import_id: UUID, *, lock: bool = False) -> Any:
    """Return an import by its id or that of one of its jobs, or None."""
    return await tx.fetch_row(
        f"""select {_VIEW}, exists (select 1 from import_chunk c
                where c.organisation_id = i.organisation_id and c.import_id = i.id and c.number = 0) as has_file
            from product_import i where i.organisation_id = $1 and (i.id = $2 or $2 = any(i.job_ids))
            {"for update of i" if lock else ""}""",
        tx.organisation,
        import_id,
    )


async def latest(tx: Tx, before: UUID | None, limit: int) -> list[Any]:
    """Return imports, the newest first, from just before that one on."""
    return await tx.fetch(
        f"""select {_VIEW}, false as has_file from product_import i
            where i.organisation_id = $1 and ($2::uuid is null or i.id < $2) order by i.id desc limit $3""",
        tx.organisation,
        before,
        limit,
    )


async def advance(
    tx: Tx, import_id: UUID, stage: Stage, position: int, counts: Counts, *, page: str | None = None, error: str = ""
) -> None:
    """Store how far an import is; at an end its time."""
    await tx.execute(
        "update product_import set stage = $3, position = $4, counts = $5, page = $6, error = $7,"
        " finished_at = case when $3 in ('looked', 'applied', 'refused') then now() else finished_at end"
        " where organisation_id = $1 and id = $2",
        tx.organisation, import_id, stage.value, position, msgspec.to_builtins(counts), page, error,
    )  # fmt: skip


async def insert_products(tx: Tx, import_id: UUID, products: Sequence[tuple[int, str, FileProduct]]) -> None:
    """Keep what a part of a file tells: (number, key, product)."""
    await tx.execute(
        "insert into import_product (organisation_id, import_id, number, key, told)"
        " select $1, $2, * from unnest($3::integer[], $4::text[], $5::bytea[]) on conflict do nothing",
        tx.organisation,
        import_id,
        [number for number, _, _ in products],
        [key for _, key, _ in products],
        [_ENCODE.encode(product) for _, _, product in products],
    )


async def plan_anew(tx: Tx) -> None:
    """Let the statements of this transaction be planned for the tables as they are, which grow quickly here."""
    await tx.execute("set local plan_cache_mode = force_custom_plan")


async def products_by_key(tx: Tx, import_id: UUID, keys: Sequence[str]) -> dict[str, tuple[int, FileProduct]]:
    """Return what the file told so far of the products with these keys."""
    rows = await tx.fetch(
        "select key, number, told from import_product where organisation_id = $1 and import_id = $2 and key <> ''"
        " and key = any($3::text[])",
        tx.organisation,
        import_id,
        keys,
    )
    return {row["key"]: (row["number"], _DECODE.decode(row["told"])) for row in rows}


async def replace_products(tx: Tx, import_id: UUID, products: Sequence[tuple[int, FileProduct]]) -> None:
    """Keep what the file tells now of products that it told something of before."""
    await tx.execute(
        "update import_product p set told = w.told from unnest($3::integer[], $4::bytea[]) as w(number, told)"
        " where p.organisation_id = $1 and p.import_id = $2 and p.number = w.number",
        tx.organisation,
        import_id,
        [number for number, _ in products],
        [_ENCODE.encode(product) for _, product in products],
    )


async def products_after(tx: Tx, import_id: UUID, number: int, limit: int) -> list[tuple[int, FileProduct]]:
    """Return the next products of an import."""
    rows = await tx.fetch(
        "select number, told from import_product where organisation_id = $1 and import_id = $2 and number > $3"
        " order by number limit $4",
        tx.organisation,
        import_id,
        number,
        limit,
    )
    return [(row[0], _DECODE.decode(row[1])) for row in rows]


async def insert_problems(
    tx: Tx, import_id: UUID, problems: Sequence[RowProblem], *, while_reading: bool, before: int
) -> None:
    """Keep problems, as long as there is room: `before` of them are kept already."""
    kept = problems[: max(0, PROBLEMS_KEPT - before)]
    if not kept:
        return
    await tx.execute(
        """
        insert into import_problem (organisation_id, import_id, "row", "column", problem, sku, value, remedy, while_reading)
        select $1, $2, w.*, $9 from unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) w
        on conflict do nothing
        """,
        tx.organisation,
        import_id,
        *map(list, zip(*((p.row, p.column, p.problem, p.sku, p.value, p.remedy) for p in kept), strict=True)),
        while_reading,
    )  # fmt: skip


async def begin_comparing(tx: Tx, import_id: UUID) -> None:
    """Forget what an earlier comparison found."""
    await tx.execute(
        "delete from import_change where organisation_id = $1 and import_id = $2", tx.organisation, import_id
    )
    await tx.execute(
        "delete from import_problem where organisation_id = $1 and import_id = $2 and not while_reading",
        tx.organisation,
        import_id,
    )


async def insert_changes(tx: Tx, import_id: UUID, findings: Sequence[tuple[int, Finding]]) -> None:
    """Keep what products are to change or were changed; those without a change are only counted."""
    kept = [
        {
            "number": number,
            "outcome": f.outcome.value,
            "product_id": f.product_id,
            "handle": f.handle,
            "title": f.title,
            "changes": f.changes,
        }
        for number, f in findings
        if f.outcome in (Outcome.NEW, Outcome.CHANGED)
    ]
    if not kept:
        return
    await tx.execute(
        "insert into import_change (organisation_id, import_id, number, outcome, product_id, handle, title, changes)"
        " select $1, $2, r.* from jsonb_to_recordset($3::jsonb)"
        " as r(number integer, outcome text, product_id uuid, handle text, title text, changes jsonb) on conflict do nothing",
        tx.organisation,
        import_id,
        kept,
    )


async def changes(tx: Tx, import_id: UUID, after: int, limit: int, outcome: str | None = None) -> list[Any]:
    """Return what an import does with products, in the order of the file."""
    return await tx.fetch(
        "select number, outcome, product_id, handle, title, changes from import_change where organisation_id = $1"
        " and import_id = $2 and number > $3 and ($5::text is null or outcome = $5) order by number limit $4",
        tx.organisation,
        import_id,
        after,
        limit,
        outcome,
    )


async def problems(tx: Tx, import_id: UUID, offset_row: int, limit: int) -> list[RowProblem]:
    """Return what is wrong with rows after that one, in their order."""
    rows = await tx.fetch(
        'select "row", sku, problem, "column", value, remedy from import_problem'
        ' where organisation_id = $1 and import_id = $2 and "row" > $3 order by "row", "column", problem limit $4',
        tx.organisation,
        import_id,
        offset_row,
        limit,
    )
    return [RowProblem(**dict(row)) for row in rows]


async def delete_files(tx: Tx, before: datetime) -> int:
    """Delete files, and what they told, of imports begun before then; return how many pieces."""
    deleted = 0
    for table in ("import_chunk", "import_product"):
        deleted += await tx.execute(
            f"delete from {table} c using product_import i where c.organisation_id = $1 and i.organisation_id = $1"
            " and c.import_id = i.id and i.created_at < $2",
            tx.organisation,
            before,
        )
    return deleted


async def delete_imports(tx: Tx, before: datetime) -> int:
    """Delete imports begun before then; return how many."""
    return await tx.execute(
        "delete from product_import where organisation_id = $1 and created_at < $2", tx.organisation, before
    )
