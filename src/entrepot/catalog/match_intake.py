"""How listings without a variant come to be matched: what they say is kept, and the job is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from entrepot.catalog import match_store
from entrepot.catalog.match_contracts import MATCHING, MatchRound
from entrepot.catalog.matching import gtin
from entrepot.channels.contract import ChannelListing
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.money import to_minor

SOON = timedelta(seconds=5)
"""Listings come in pages and variants in chunks; the job waits a little, so that it finds more of them."""
TEXT_MAX = 1_000


async def keep_waiting(tx: Tx, listings: Sequence[ChannelListing], waiting: Mapping[str, UUID]) -> None:
    """Keep what those of the listings say that wait for a variant (external id -> listing); ask for the job if need be."""
    rows = {
        waiting[each.ref.external_id]: (
            waiting[each.ref.external_id],
            *(
                text.replace("\x00", "")[:TEXT_MAX]  # PostgreSQL's text cannot hold it
                for text in (title_of(each), each.vendor, each.sku or "", each.description, each.barcode)
            ),
            gtin.normalised(each.barcode),
            to_minor(each.price, each.currency) if each.price is not None and each.currency else None,
            each.currency or None,
        )
        for each in listings
        if each.ref.external_id in waiting
    }
    if rows and await match_store.note_listings(tx, list(rows.values())):
        await look_soon(tx)


def title_of(listing: ChannelListing) -> str:
    """Return the title of a listing with what tells its variant from the others."""
    values = [value for _, value in listing.options if value and value not in listing.title]
    return " ".join([listing.title or listing.product_title, *values])


async def variants_changed(tx: Tx) -> None:
    """Ask for the job if a listing waits that a new or changed variant may be."""
    if await match_store.any_waiting(tx):
        await look_soon(tx)


async def look_soon(tx: Tx) -> None:
    """Ask for the job, unless one is waiting to be run."""
    counts = (await jobs.counts(tx)).get(MATCHING.name)
    if counts is None or not counts.queued:
        await jobs.enqueue(tx, MATCHING, MatchRound(), actor="Entrepot", after=SOON)


def spellings(code: str) -> list[str]:
    """Return the ways in which a GTIN of 14 digits is written: with leading zeros or without."""
    return [code[14 - length :] for length in gtin.LENGTHS if not code[: 14 - length].strip("0")]
