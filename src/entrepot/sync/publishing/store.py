"""Statements of publishing: what is asked, what is due, what is under way.

Intents are locked by product within a connection, connections by id; after them come the locks of fields and listings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

_COLUMNS = "id, connection_id, product_id, wanted, state, version, external_id, category, attributes, attempts, detail, asked_at"

ASK = """
insert into listing_intent as i (organisation_id, id, connection_id, product_id, wanted, state, category, attributes,
    asked_by, asked_at)
select $1, n.id, $2, n.product_id, $5, $6, coalesce($7, ''), coalesce($8::jsonb, '{}'), $9, $10
from unnest($3::uuid[], $4::uuid[]) as n(id, product_id)
order by n.product_id
on conflict (organisation_id, connection_id, product_id) do update set
    wanted = excluded.wanted, state = excluded.state, version = i.version + 1,
    category = coalesce($7, i.category), attributes = coalesce($8::jsonb, i.attributes),
    problems = '[]', detail = '', attempts = 0, next_attempt_at = null, done_at = null,
    asked_by = excluded.asked_by, asked_at = excluded.asked_at, updated_at = now()
"""


async def ask(
    tx: Tx, connection_id: UUID, product_ids: Sequence[UUID], wanted: str, state: str, category: str | None,
    attributes: Mapping[str, str] | None, by: str, now: datetime,
) -> None:  # fmt: skip
    """Note what is asked of these products on a connection, over what was asked before."""
    ids = [new_id() for _ in product_ids]
    await tx.execute(
        ASK, tx.organisation, connection_id, ids, list(product_ids), wanted, state, category, attributes, by, now
    )


async def asked_for(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Return what was asked of these products on a connection, by product."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from listing_intent where organisation_id = $1 and connection_id = $2"
        " and product_id = any($3::uuid[])",
        tx.organisation,
        connection_id,
        list(product_ids),
    )
    return {row["product_id"]: row for row in rows}


async def again(tx: Tx, intent_ids: Sequence[UUID] | None, connection_id: UUID | None, now: datetime) -> list[UUID]:
    """Have what was refused, or waits for something, tried now; return the connections."""
    rows = await tx.fetch(
        """
        with chosen as (
            select id from listing_intent where organisation_id = $1 and state in ('draft', 'error', 'publishing', 'ending')
              and ($2::uuid[] is null or id = any($2)) and ($3::uuid is null or connection_id = $3)
            order by connection_id, product_id for no key update
        )
        update listing_intent i set state = case when i.wanted = 'publish' then 'publishing' else 'ending' end,
            version = i.version + 1, attempts = 0, next_attempt_at = null, updated_at = now()
        from chosen where i.organisation_id = $1 and i.id = chosen.id
        returning i.connection_id
        """,
        tx.organisation,
        None if intent_ids is None else list(intent_ids),
        connection_id,
    )
    return [row[0] for row in rows]


async def look_again(tx: Tx, product_ids: Sequence[UUID]) -> set[UUID]:
    """These products were changed: what waited for missing pieces is looked at again; return the connections."""
    rows = await tx.fetch(
        """
        with chosen as (
            select id from listing_intent
            where organisation_id = $1 and product_id = any($2::uuid[]) and state = 'draft' and wanted = 'publish'
            order by connection_id, product_id for no key update
        )
        update listing_intent i set state = 'publishing', next_attempt_at = null, updated_at = now()
        from chosen where i.organisation_id = $1 and i.id = chosen.id
        returning i.connection_id
        """,
        tx.organisation,
        product_ids,
    )
    return {row[0] for row in rows}


async def connections_asked(tx: Tx, product_ids: Sequence[UUID]) -> set[UUID]:
    """Return the connections on which somebody asked for one of these products to be, and it is or may come to be."""
    rows = await tx.fetch(
        "select distinct connection_id from listing_intent where organisation_id = $1 and product_id = any($2::uuid[])"
        " and wanted = 'publish' and state <> 'ended'",
        tx.organisation,
        list(product_ids),
    )
    return {row[0] for row in rows}


async def are_ending(tx: Tx, product_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Return (connection, product) of those of these products that are about to end, or could not be ended."""
    rows = await tx.fetch(
        "select connection_id, product_id from listing_intent where organisation_id = $1 and product_id = any($2::uuid[])"
        " and wanted <> 'publish' and state in ('ending', 'error')",
        tx.organisation,
        list(product_ids),
    )
    return {(row[0], row[1]) for row in rows}


async def have_ended(tx: Tx, product_ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], str]:
    """Return what somebody asked of those of these products that ended for it, by (connection, product).

    Those on connections that are disconnected are left out: nothing can be asked of them.
    """
    rows = await tx.fetch(
        "select i.connection_id, i.product_id, i.wanted from listing_intent i"
        " join connection c on c.organisation_id = $1 and c.id = i.connection_id and c.state <> 'disconnected'"
        " where i.organisation_id = $1 and i.product_id = any($2::uuid[]) and i.wanted <> 'publish' and i.state = 'ended'",
        tx.organisation,
        list(product_ids),
    )
    return {(row[0], row[1]): row[2] for row in rows}


END_VARIANTS = """
insert into listing_intent as i (organisation_id, id, connection_id, product_id, wanted, state, asked_by, asked_at)
select $1, n.id, n.connection_id, n.product_id, 'publish', 'ending', 'the hub', $2
from unnest($3::uuid[], $4::uuid[], $5::uuid[]) as n(id, connection_id, product_id)
order by n.connection_id, n.product_id
on conflict (organisation_id, connection_id, product_id) do update set
    state = 'ending', version = i.version + 1, problems = '[]', detail = '', attempts = 0, next_attempt_at = null,
    asked_at = excluded.asked_at, updated_at = now()
where i.wanted = 'publish' and i.state = 'live'
returning i.connection_id
"""
"""A product that is to stay published and is ending at the same time: single variants of it are to end."""


async def end_variants(tx: Tx, pairs: Sequence[tuple[UUID, UUID]], now: datetime) -> set[UUID]:
    """Have the variants of these products (connection, product) that are not in use end there; return the connections."""
    if not pairs:
        return set()
    ids = [new_id() for _ in pairs]
    rows = await tx.fetch(
        END_VARIANTS, tx.organisation, now, ids, [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    )
    return {row[0] for row in rows}


async def ended_there(
    tx: Tx, connection_id: UUID, product_ids: Sequence[UUID], words: str, by: str, now: datetime
) -> None:
    """These products are on a connection no more, without our doing. What is under way there is left alone."""
    await tx.execute(
        """
        insert into listing_intent as i (organisation_id, id, connection_id, product_id, wanted, state, detail, asked_by,
            asked_at, done_at)
        select $1, n.id, $2, n.product_id, 'delete', 'ended', $5, $6, $7, $7
        from unnest($3::uuid[], $4::uuid[]) as n(id, product_id) order by n.product_id
        on conflict (organisation_id, connection_id, product_id) do update set
            wanted = 'delete', state = 'ended', detail = excluded.detail, external_id = '', problems = '[]', attempts = 0,
            next_attempt_at = null, version = i.version + 1, done_at = excluded.done_at, updated_at = now()
        where i.batch_id is null and i.state in ('live', 'error', 'draft')
        """,
        tx.organisation,
        connection_id,
        [new_id() for _ in product_ids],
        list(product_ids),
        words,
        by,
        now,
    )


async def categories_due(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> list[str]:
    """Return the channel's categories of the products that are to be published next."""
    rows = await tx.fetch(
        f"select distinct category from ({_DUE}) d where category <> ''",
        tx.organisation,
        connection_id,
        "publishing",
        now,
        limit,
    )
    return [row[0] for row in rows]


_DUE = f"""
select {_COLUMNS} from listing_intent
where organisation_id = $1 and connection_id = $2 and state = $3 and batch_id is null
  and (next_attempt_at is null or next_attempt_at <= $4)
order by next_attempt_at nulls first, asked_at, id limit $5
"""


async def lock_due(tx: Tx, connection_id: UUID, state: str, now: datetime, limit: int) -> list[Any]:
    """Lock and return what is due in a state, what waits longest first, in the one order."""
    return await tx.fetch(
        f"select {_COLUMNS} from listing_intent where organisation_id = $1 and state = $3 and batch_id is null"
        f" and id in (select id from ({_DUE}) d) order by product_id for no key update",
        tx.organisation,
        connection_id,
        state,
        now,
        limit,
    )


async def lock(tx: Tx, intent_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Lock and return these, in the one order."""
    rows = await tx.fetch(
        f"select {_COLUMNS}, batch_id from listing_intent where organisation_id = $1 and id = any($2::uuid[])"
        " order by connection_id, product_id for no key update",
        tx.organisation,
        intent_ids,
    )
    return {row["id"]: row for row in rows}


async def lock_products(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> None:
    """Lock what is asked of these products on a connection, in the one order."""
    await tx.execute(
        "select id from listing_intent where organisation_id = $1 and connection_id = $2 and product_id = any($3::uuid[])"
        " order by product_id for no key update",
        tx.organisation,
        connection_id,
        list(product_ids),
    )


async def next_due(tx: Tx, connection_id: UUID) -> datetime | None:
    """Return when the next intent or batch that waits for a time is due."""
    found: datetime | None = await tx.fetch_value(
        "select min(at) from (select next_attempt_at as at from listing_intent where organisation_id = $1"
        " and connection_id = $2 and state in ('publishing', 'ending') and batch_id is null"
        " union all select next_attempt_at from publish_batch where organisation_id = $1 and connection_id = $2"
        " and state <> 'done') w",
        tx.organisation,
        connection_id,
    )
    return found


Looked = tuple[UUID, int, Sequence[str], Sequence[Mapping[str, str]]]
"""(intent, completeness, what is missing, what keeps it from being sent)"""


async def put_looked(tx: Tx, rows: Sequence[Looked]) -> None:
    """Store what the channel's rules say."""
    if rows:
        told = [{"id": str(r[0]), "completeness": r[1], "missing": r[2], "problems": r[3]} for r in rows]
        await tx.execute(
            """
            update listing_intent i set completeness = n.completeness, missing = n.missing, problems = n.problems,
                updated_at = now()
            from jsonb_to_recordset($2::jsonb) as n(id uuid, completeness smallint, missing jsonb, problems jsonb)
            where i.organisation_id = $1 and i.id = n.id
            """,
            tx.organisation,
            told,
        )


@dataclass(frozen=True, slots=True)
class Move:
    """How an intent moves on; it is under way no more. `state` None: that stays as somebody asked meanwhile.

    `counted`: it is one more attempt that came to nothing. `external_id` empty and `problems` None stay as they are.
    """

    intent_id: UUID
    state: str | None
    detail: str = ""
    next_attempt_at: datetime | None = None
    counted: bool = False
    done_at: datetime | None = None
    external_id: str = ""
    problems: Sequence[Mapping[str, str]] | None = None


MOVE = """
update listing_intent i set batch_id = null, updated_at = now(), state = coalesce(n.state, i.state),
    detail = case when n.state is null then i.detail else n.detail end,
    next_attempt_at = case when n.state is null then i.next_attempt_at else n.next_attempt_at end,
    attempts = case when n.state is null then i.attempts when n.counted then least(i.attempts + 1, 1000) else 0 end,
    done_at = coalesce(n.done_at, i.done_at), external_id = coalesce(nullif(n.external_id, ''), i.external_id),
    problems = coalesce(n.problems, i.problems)
from jsonb_to_recordset($2::jsonb) as n(id uuid, state text, detail text, next_attempt_at timestamptz, counted boolean,
    done_at timestamptz, external_id text, problems jsonb)
where i.organisation_id = $1 and i.id = n.id
"""


async def move(tx: Tx, moves: Sequence[Move]) -> None:
    """Move intents on. The caller has locked them."""
    if moves:
        told = [
            {"id": str(m.intent_id), "state": m.state, "detail": m.detail[:2000], "next_attempt_at": m.next_attempt_at,
             "counted": m.counted, "done_at": m.done_at, "external_id": m.external_id,
             "problems": None if m.problems is None else list(m.problems)}
            for m in moves
        ]  # fmt: skip
        await tx.execute(MOVE, tx.organisation, told)


# ---- batches ---------------------------------------------------------------------------------------------


async def begin(
    tx: Tx, batch_id: UUID, connection_id: UUID, what: str, items: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Record the intent to send."""
    await tx.execute(
        "insert into publish_batch (organisation_id, id, connection_id, what, items, sent_at) values ($1, $2, $3, $4, $5, $6)",
        tx.organisation,
        batch_id,
        connection_id,
        what,
        list(items),
        now,
    )
    await tx.execute(
        "update listing_intent set batch_id = $3 where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        [UUID(item["intent"]) for item in items],
        batch_id,
    )


async def open_batches(tx: Tx, connection_id: UUID) -> list[Any]:
    """Return the batches of a connection whose end is not known."""
    return await tx.fetch(
        "select id, what, items, state, handle, attempts, next_attempt_at, sent_at from publish_batch"
        " where organisation_id = $1 and connection_id = $2 and state <> 'done' order by id",
        tx.organisation,
        connection_id,
    )


async def move_batch(
    tx: Tx, batch_id: UUID, state: str, items: Sequence[Mapping[str, Any]], *, handle: str | None = None,
    next_attempt_at: datetime | None = None,
) -> None:  # fmt: skip
    """Move a batch on; `items`: those of which the end is not known yet."""
    await tx.execute(
        "update publish_batch set state = $3, items = $4, handle = coalesce($5, handle), next_attempt_at = $6,"
        " attempts = least(attempts + 1, 1000), finished_at = case when $3 = 'done' then now() end"
        " where organisation_id = $1 and id = $2",
        tx.organisation,
        batch_id,
        state,
        list(items),
        handle,
        next_attempt_at,
    )


async def still_shows(tx: Tx, listing_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these listings that the hub lowers to nothing and that are not there yet."""
    rows = await tx.fetch(
        "select listing_id from listing_quantity where organisation_id = $1 and listing_id = any($2::uuid[])"
        " and state <> 'parked' and (desired > 0 or (desired = 0 and (expected > 0 or state = 'sending')))",
        tx.organisation,
        listing_ids,
    )
    return {row[0] for row in rows}
