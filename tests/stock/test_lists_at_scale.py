"""Lists of stock stay quick when there is much of everything: each reads along an index, a page at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.stock.support import make_variants

from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.stock import reading_levels, reading_papers, reading_queues
from entrepot.stock.reading_queues import MovementFilter

pytestmark = pytest.mark.slow
ROWS = 1_000_000
ROWS_MOST = 15_000
"""Of two million: a SKU among a hundred has twenty thousand movements, most of them claims."""

ID = "(lpad(to_hex($2::bigint + n), 12, '0') || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid"
MOVEMENTS = f"""
insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_after, reserved_after, actor, at)
select $1, {ID.replace("lpad(to_hex(n), 4, '0')", "'0000'")}, ($3::uuid[])[1 + n % 100],
       case when n % 100000 = 7 then $5::uuid else $4::uuid end,
       case n % 1000 when 0 then 'count' when 1 then 'purchase' when 7 then 'transfer'
            else (array['hold', 'release', 'reserve'])[1 + n % 3] end, 0, 0, 'x', now()
from generate_series(1, {ROWS}) n
"""
SHORTAGES = f"""
insert into shortage (organisation_id, id, variant_id, quantity, reason, state)
select $1, {ID.replace("lpad(to_hex(n), 4, '0')", "'0001'")}, ($3::uuid[])[1], 1, 'x',
       case when n % 1000 = 0 then 'open' else 'closed' end
from generate_series(1, 200000) n
"""
PURCHASES = f"""
insert into purchase_order (organisation_id, id, number, supplier_id, location_id, state, currency, actor)
select $1, {ID.replace("lpad(to_hex(n), 4, '0')", "'0002'")}, n, $3, $4,
       case when n % 20000 = 0 then 'draft' else 'received' end, 'EUR', 'x'
from generate_series(1, 200000) n
"""


@pytest.fixture
async def filled(database: Database, organisation_id: UUID, database_url: str) -> Any:
    variants = await make_variants(database, organisation_id, [5] * 100)
    base = int((utc_now().timestamp() - 2 * ROWS) * 1000)
    async with database.transaction(organisation_id) as tx:
        main: UUID = await tx.fetch_value("select id from location")
        rare = await stock.create_location(tx, "Rare")
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        await tx.connection.execute(MOVEMENTS, organisation_id, base, variants, main, rare, timeout=300)
        await tx.connection.execute(SHORTAGES, organisation_id, base, variants, timeout=300)
        await tx.connection.execute(PURCHASES, organisation_id, base, supplier, main, timeout=300)
        await tx.execute("update variant set sku = 'S-' || id where organisation_id = $1", organisation_id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in ("stock_movement", "shortage", "purchase_order"):
            connection.execute(f"vacuum analyze {table}")
    return variants, rare, supplier


Read = Callable[[Tx], Awaitable[Any]]


def reads(variants: list[UUID], rare: UUID, supplier: UUID) -> Iterator[tuple[str, Read]]:
    for kind in ("all", "goods", "claims", "count", "transfer", "hold", "sale"):
        yield f"movements {kind}", lambda tx, k=kind: reading_queues.list_movements(tx, MovementFilter(k))
    for kind in ("goods", "transfer"):
        chosen = MovementFilter(kind, location_id=rare)
        yield f"movements {kind} at a rare location", lambda tx, c=chosen: reading_queues.list_movements(tx, c)
    for kind in ("all", "goods"):
        chosen = MovementFilter(kind, variant_id=variants[3])
        yield f"movements {kind} of a SKU", lambda tx, c=chosen: reading_queues.list_movements(tx, c)
    for state in ("open", "closed"):
        yield f"shortages {state}", lambda tx, s=state: reading_queues.list_shortages(tx, s)
    for state in ("", "draft", "received", "ordered"):
        yield f"purchases {state}", lambda tx, s=state: reading_papers.list_purchases(tx, s)
    yield "purchases of a supplier", lambda tx: reading_papers.list_purchases(tx, "", supplier)
    yield "levels", lambda tx: reading_levels.list_levels(tx)


ROWS_READ = """
select coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_xact_user_tables
"""


async def test_no_list_reads_much_more_than_it_shows(database: Database, organisation_id: UUID, filled: Any) -> None:
    """Rows, not milliseconds: how fast a machine is at this hour is not the list's matter."""
    many = {}
    for name, read in reads(*filled):
        async with database.transaction(organisation_id) as tx:
            before = await tx.fetch_value(ROWS_READ)
            await read(tx)
            rows = await tx.fetch_value(ROWS_READ) - before
        print(f"{name}: {rows:,} rows")
        if rows > ROWS_MOST:
            many[name] = rows
    assert many == {}
