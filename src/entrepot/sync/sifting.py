"""Orders of which one cannot be stored: the others are, each by itself."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import structlog

from entrepot.channels.contract import ChannelOrder
from entrepot.channels.contracts import Connection
from entrepot.kernel.errors import EntrepotError
from entrepot.orders import facade as orders
from entrepot.sync.context import SyncContext

log = structlog.get_logger(__name__)

UNSTORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, EntrepotError, ArithmeticError, ValueError)
"""What an order that is not as it should be ends in: text that PostgreSQL does not take, a line twice, no amount."""


async def store_singly(
    context: SyncContext, connection: Connection, found: Sequence[ChannelOrder]
) -> tuple[orders.Ingested, list[str]]:
    """Store pulled orders, a transaction for each; return what that did and the external ids of those that cannot be."""
    total, left = orders.Ingested(), []
    for order in found:
        try:
            async with context.database.transaction(connection.organisation_id) as tx:
                total += await orders.ingest(tx, connection.id, [order], via="poll", now=context.clock())
        except UNSTORABLE:
            log.exception("order_not_stored", connection=str(connection.id), order=order.external_id)
            left.append(order.external_id)
    return total, left


def words(left: Sequence[str]) -> str:
    """Return what is wrong, for people. Pure."""
    named = ", ".join(name.replace("\x00", "") for name in left[:5])
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return f"Orders that cannot be stored, read again with each pull (the log says why): {named}{more}"
