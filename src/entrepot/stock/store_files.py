"""Statements about stock files: which rows were not taken, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock.csv_in import RowProblem


async def put_problems(tx: Tx, job_id: UUID, problems: Sequence[RowProblem]) -> None:
    """Write what was wrong with rows of a file; the first thing that is wrong with a row counts."""
    if not problems:
        return
    await tx.execute(
        """
        insert into stock_file_problem (organisation_id, job_id, row, sku, problem)
        select $1, $2, i.* from unnest($3::int[], $4::text[], $5::text[]) as i(row, sku, problem)
        on conflict (organisation_id, job_id, row) do nothing
        """,
        tx.organisation,
        job_id,
        [problem.row for problem in problems],
        [problem.sku[:200] for problem in problems],
        [problem.problem[:1000] for problem in problems],
    )


async def problems(tx: Tx, job_id: UUID, after_row: int, limit: int) -> list[Any]:
    """Return (row, sku, problem) of the rows that were not taken, in order."""
    return await tx.fetch(
        "select row, sku, problem from stock_file_problem"
        " where organisation_id = $1 and job_id = $2 and row > $3 order by row limit $4",
        tx.organisation,
        job_id,
        after_row,
        limit,
    )


async def is_dry_run(tx: Tx, job_id: UUID) -> bool:
    """Return whether a file is only looked at."""
    return bool(
        await tx.fetch_value(
            "select coalesce((payload->>'dry_run')::bool, false) from job where organisation_id = $1 and id = $2",
            tx.organisation,
            job_id,
        )
    )
