"""Decisions on match candidates as pages and the API make them: with order lines that waited for the listing settled.

The catalog knows listings and variants; that an order line waited for one of them is known from here on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from entrepot.catalog import match_queue, match_reading
from entrepot.catalog.match_contracts import Matched
from entrepot.catalog.match_reading import CandidateRow
from entrepot.database.pool import Tx
from entrepot.identity.contracts import Actor
from entrepot.kernel.money import to_decimal
from entrepot.orders import facade as orders
from entrepot.stock.csv_out import Export


async def accept(tx: Tx, actor: Actor, candidate_id: UUID) -> Matched:
    """Accept a candidate; see match_queue.accept."""
    return await _settled(tx, await match_queue.accept(tx, actor, candidate_id))


async def assign(tx: Tx, actor: Actor, listing_id: UUID, variant_id: UUID) -> Matched:
    """Give a listing a variant that a person chose; see match_queue.assign."""
    return await _settled(tx, await match_queue.assign(tx, actor, listing_id, variant_id))


async def make_product(tx: Tx, actor: Actor, listing_id: UUID, sku: str) -> Matched:
    """Make a product of a listing; see match_queue.make_product."""
    return await _settled(tx, await match_queue.make_product(tx, actor, listing_id, sku))


async def accept_above(tx: Tx, actor: Actor, score: float) -> Sequence[Matched]:
    """Accept the best candidates from a score on; see match_queue.accept_above."""
    matched = await match_queue.accept_above(tx, actor, score)
    await orders.settle_exceptions(tx, {each.sku: each.variant_id for each in matched if each.sku})
    return matched


async def _settled(tx: Tx, matched: Matched) -> Matched:
    if matched.sku:
        await orders.settle_exceptions(tx, {matched.sku: matched.variant_id})
    return matched


def candidates_file(state: str) -> Export:
    """Return match candidates as a CSV file."""
    return Export(
        "match-candidates", _COLUMNS, lambda tx, cursor: match_reading.list_candidates(tx, state, None, cursor, 250)
    )


def _price(minor: int | None, currency: str | None) -> str:
    return "" if minor is None or currency is None else f"{to_decimal(minor, currency)} {currency}"


_COLUMNS: Mapping[str, Callable[[CandidateRow], object]] = {
    "score": lambda row: f"{row.score:.3f}",
    "state": lambda row: row.state,
    "connection": lambda row: row.listing.connection_name,
    "listing": lambda row: row.listing.external_id,
    "listing_sku": lambda row: row.listing.sku,
    "listing_title": lambda row: row.listing.title,
    "listing_barcode": lambda row: row.listing.barcode,
    "listing_price": lambda row: _price(row.listing.price_minor, row.listing.currency),
    "sku": lambda row: row.variant.sku,
    "title": lambda row: row.variant.title,
    "barcode": lambda row: row.variant.barcode,
    "price": lambda row: _price(row.variant.price_minor, row.variant.currency),
    "reasons": lambda row: " ".join(row.reasons),
    "decided_by": lambda row: row.decided_by,
    "decided_at": lambda row: row.decided_at or "",
}
