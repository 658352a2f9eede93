"""Statements about simulations: what is asked for, the files of orders, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx

_VIEW = """
    s.id, s.title, s.actor, s.job_id, s.file_id, f.name as file_name, s.settings, s.found, s.created_at, s.finished_at
    from simulation s left join order_file f on f.organisation_id = $1 and f.id = s.file_id
"""


async def insert_file(tx: Tx, id: UUID, name: str, form: str, content: bytes, size: int, actor: str) -> None:
    """Keep a file of orders; `content` is compressed, `size` what it was before."""
    await tx.execute(
        "insert into order_file (organisation_id, id, name, form, content, bytes, actor)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organisation, id, name, form, content, size, actor,
    )  # fmt: skip


async def files(tx: Tx) -> list[Any]:
    """Return (id, name, bytes, created_at) of the files that are kept, newest first."""
    return await tx.fetch(
        "select id, name, bytes, created_at from order_file where organisation_id = $1 order by id desc",
        tx.organisation,
    )


async def lock_files(tx: Tx) -> None:
    """Let one after the other add or remove files, until the transaction ends."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('order_file ' || ($1::uuid)::text, 0))", tx.organisation
    )


async def file_content(tx: Tx, id: UUID) -> Any:
    """Return (name, form, content) of a file, or None."""
    return await tx.fetch_row(
        "select name, form, content from order_file where organisation_id = $1 and id = $2", tx.organisation, id
    )


async def drop_unused_file(tx: Tx, id: UUID) -> None:
    """Delete a file that no simulation is about any more."""
    await tx.execute(
        "delete from order_file f where organisation_id = $1 and id = $2 and not exists"
        " (select from simulation s where s.organisation_id = $1 and s.file_id = f.id)",
        tx.organisation,
        id,
    )


async def insert(
    tx: Tx, id: UUID, title: str, actor: str, job_id: UUID, file_id: UUID | None, settings: Mapping[str, Any]
) -> None:
    """Write down that a simulation was asked for."""
    await tx.execute(
        "insert into simulation (organisation_id, id, title, actor, job_id, file_id, settings)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organisation, id, title, actor, job_id, file_id, settings,
    )  # fmt: skip


async def detail(tx: Tx, id: UUID) -> Any:
    """Return a simulation, or None."""
    return await tx.fetch_row(f"select {_VIEW} where s.organisation_id = $1 and s.id = $2", tx.organisation, id)


async def of_job(tx: Tx, job_id: UUID) -> UUID | None:
    """Return the simulation that a job runs."""
    found: UUID | None = await tx.fetch_value(
        "select id from simulation where organisation_id = $1 and job_id = $2", tx.organisation, job_id
    )
    return found


async def listing(tx: Tx, before: UUID | None, limit: int) -> list[Any]:
    """Return simulations, newest first."""
    return await tx.fetch(
        f"select {_VIEW} where s.organisation_id = $1 and ($2::uuid is null or s.id < $2) order by s.id desc limit $3",
        tx.organisation,
        before,
        limit,
    )


async def results(tx: Tx, ids: Sequence[UUID]) -> list[Any]:
    """Return (simulation, position, policy, lag_s, tally) of simulations, in order."""
    return await tx.fetch(
        "select simulation_id, position, policy, lag_s, tally from simulation_result"
        " where organisation_id = $1 and simulation_id = any($2::uuid[]) order by simulation_id, position",
        tx.organisation,
        list(ids),
    )


async def put_result(tx: Tx, id: UUID, position: int, policy: str, lag_s: float, tally: Mapping[str, float]) -> None:
    """Write what a trial came to."""
    await tx.execute(
        """
        insert into simulation_result (organisation_id, simulation_id, position, policy, lag_s, tally)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, simulation_id, position) do update set tally = excluded.tally
        """,
        tx.organisation, id, position, policy, lag_s, tally,
    )  # fmt: skip


async def set_found(tx: Tx, id: UUID, found: Mapping[str, Any]) -> None:
    """Write what was read."""
    await tx.execute(
        "update simulation set found = $3 where organisation_id = $1 and id = $2", tx.organisation, id, found
    )


async def set_finished(tx: Tx, id: UUID, at: datetime) -> None:
    """Write that all trials are done."""
    await tx.execute(
        "update simulation set finished_at = $3 where organisation_id = $1 and id = $2", tx.organisation, id, at
    )


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a simulation and its results."""
    await tx.execute("delete from simulation where organisation_id = $1 and id = $2", tx.organisation, id)


async def connections(tx: Tx) -> list[Any]:
    """Return (id, channel, name, share, buffer, sells) of all connections, in order of priority."""
    return await tx.fetch(
        "select id, channel, name, share, buffer, not fulfilment_only and state <> 'disconnected' as sells"
        " from connection where organisation_id = $1 order by priority, created_at, id",
        tx.organisation,
    )


async def goods(tx: Tx, product_ids: Sequence[str], tags: Sequence[str]) -> list[Any]:
    """Return (sku, product_id, tags) of the variants of these products (ids as text), and of those with any of the tags."""
    return await tx.fetch(
        """
        select v.sku, p.id as product_id, p.tags
        from product p join variant v on v.organisation_id = $1 and v.product_id = p.id
        where p.organisation_id = $1 and v.sku is not null and (p.id::text = any($2::text[]) or p.tags && $3::text[])
        """,
        tx.organisation,
        product_ids,
        tags,
    )


async def zone(tx: Tx) -> str:
    """Return the organisation's time zone."""
    found: str = await tx.fetch_value("select timezone from organisation where id = $1", tx.organisation)
    return found


async def locations(tx: Tx) -> list[Any]:
    """Return (id, name) of the locations in use, in the order in which stock is taken from them."""
    return await tx.fetch(
        "select id, name from location where organisation_id = $1 and active order by priority, id", tx.organisation
    )


async def units_by_location(tx: Tx) -> list[Any]:
    """Return (sku, location_id, units on hand) of all variants where there are some."""
    return await tx.fetch(
        """
        select v.sku, l.location_id, l.on_hand as units
        from stock_level l join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where l.organisation_id = $1 and l.on_hand > 0 and v.sku is not null
        """,
        tx.organisation,
    )
