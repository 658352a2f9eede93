"""Telling that products were archived and shall end on their channels: whoever has listings follows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs

PRODUCTS_ARCHIVED = "catalog.products_archived"
"""Event: {"products": [id], "by": words}: these products were archived, and their listings are to end."""


async def tell_archived(tx: Tx, product_ids: Sequence[UUID], by: str) -> None:
    """Emit that these products were archived by somebody who wants their listings to end. `by`: who, and how, for people."""
    if product_ids:
        await jobs.emit(tx, PRODUCTS_ARCHIVED, {"products": [str(i) for i in product_ids], "by": by})


async def still_archived(tx: Tx, product_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of these products that are archived now, by id."""
    rows = await tx.fetch(
        "select id from product where organisation_id = $1 and id = any($2::uuid[]) and status = 'archived' order by id",
        tx.organisation,
        list(product_ids),
    )
    return [row[0] for row in rows]
