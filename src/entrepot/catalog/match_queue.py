"""What people decide about match candidates, and what that changes. Every function works in the caller's transaction.

Locks are taken in one order: listings by id, then what is kept of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from entrepot.catalog import editing, facade, match_learned_store, match_store
from entrepot.catalog.contracts import InvalidProduct, NewProduct, NewVariant, VariantNotFound
from entrepot.catalog.match_contracts import (
    ACCEPT_AT_ONCE_MOST,
    LISTINGS_UNMATCHED,
    PPM,
    AlreadyDecided,
    AlreadyMatched,
    CandidateNotFound,
    InvalidScore,
    ListingNotFound,
    Matched,
    MatchSettings,
    NotMatched,
)
from entrepot.catalog.match_intake import look_soon
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.contracts import Actor
from entrepot.jobs import facade as jobs


async def accept(tx: Tx, actor: Actor, candidate_id: UUID) -> Matched:
    """Give the listing the variant that was proposed. Raises CandidateNotFound, AlreadyDecided, AlreadyMatched."""
    listing, found = await _locked(tx, candidate_id)
    if found["state"] != "open":
        raise AlreadyDecided(_decided(found))
    _check_waiting(listing)
    return await _match(tx, actor, listing, found["variant_id"], "match.accept")


async def assign(tx: Tx, actor: Actor, listing_id: UUID, variant_id: UUID) -> Matched:
    """Give the listing a variant that a person chose. Raises ListingNotFound, VariantNotFound, AlreadyMatched."""
    listing = await _lock(tx, listing_id)
    _check_waiting(listing)
    if not await editing.skus_of(tx, [variant_id]):
        raise VariantNotFound
    return await _match(tx, actor, listing, variant_id, "match.assign")


async def reject(tx: Tx, actor: Actor, candidate_id: UUID) -> None:
    """Say that the listing is not that variant: the pair never comes back. Raises CandidateNotFound, AlreadyDecided."""
    listing, found = await _locked(tx, candidate_id)
    if found["state"] == "rejected":
        return
    if found["state"] != "open":
        raise AlreadyDecided(_decided(found))
    await match_store.decide(tx, [(listing["id"], found["variant_id"])], "rejected", actor.name, by_person=True)
    await identity.record(
        tx, actor, "match.reject", "listing", listing["id"], None, {"variantId": str(found["variant_id"])}
    )


async def reopen(tx: Tx, actor: Actor, candidate_id: UUID) -> None:
    """Take a rejection back. Raises CandidateNotFound, AlreadyDecided."""
    listing, found = await _locked(tx, candidate_id)
    if found["state"] == "accepted":
        raise AlreadyDecided(_decided(found))
    await match_store.reopen(tx, candidate_id)
    await identity.record(
        tx, actor, "match.reopen", "listing", listing["id"], None, {"variantId": str(found["variant_id"])}
    )


async def unmatch(tx: Tx, actor: Actor, listing_id: UUID) -> UUID:
    """Take a listing's variant from it; return which that was. The pair never comes back by itself.

    The hub writes nothing more to the listing; what it shows stays. Raises ListingNotFound, NotMatched.
    """
    listing = await _lock(tx, listing_id)
    variant_id: UUID | None = listing["variant_id"]
    if variant_id is None:
        raise NotMatched
    await match_store.take_variant(tx, listing_id)
    await match_store.decide(tx, [(listing_id, variant_id)], "rejected", actor.name, by_person=True)
    await match_store.note_again(tx, listing_id)
    await look_soon(tx)
    await jobs.emit(tx, LISTINGS_UNMATCHED, {"listings": [str(listing_id)], "variant_ids": [str(variant_id)]})
    await identity.record(tx, actor, "match.undo", "listing", listing_id, {"variantId": str(variant_id)})
    return variant_id


async def make_product(tx: Tx, actor: Actor, listing_id: UUID, sku: str = "") -> Matched:
    """Make a new product of what the listing says, and give the listing its variant.

    `sku`: ours for it; the listing's own if none is given. Raises ListingNotFound, AlreadyMatched, InvalidProduct, SkuTaken.
    """
    listing = await _lock(tx, listing_id)
    _check_waiting(listing)
    says = await tx.fetch_row(
        "select title, brand, sku, description, barcode, price_minor, currency from match_listing"
        " where organisation_id = $1 and listing_id = $2",
        tx.organisation,
        listing_id,
    )
    if says is None:
        raise ListingNotFound("Nothing is known of this listing yet: pull the channel's listings first.")
    chosen = sku.strip() or says["sku"]
    if not chosen:
        raise InvalidProduct("The listing has no SKU: give one for the new product.")
    if says["price_minor"] is None or says["currency"] is None:
        raise InvalidProduct("The channel told no price of this listing: make the product by hand.")
    variant = NewVariant(chosen, says["price_minor"], says["currency"], barcode=says["barcode"])
    product = NewProduct("", says["title"], (variant,), description=says["description"], vendor=says["brand"])
    product_id, variants = await editing.create(tx, product)
    await identity.record(tx, actor, "product.create", "product", product_id, None, {"fromListing": str(listing_id)})
    return await _match(tx, actor, listing, variants[chosen], "match.assign")


async def accept_above(tx: Tx, actor: Actor, score: float, limit: int = ACCEPT_AT_ONCE_MOST) -> list[Matched]:
    """Accept the best candidate of every listing from a score on, at most `limit`; return what was matched.

    Left out: what somebody decides at the same time, and a second listing of one variant on one connection. Nothing is
    learned from it, as nobody looked at each. Raises InvalidScore.
    """
    if not 0.5 <= score <= 1:
        raise InvalidScore
    best = await match_store.best_above(tx, int(score * PPM), limit=limit)
    return await _match_many(
        tx,
        actor,
        [(row["listing_id"], row["variant_id"]) for row in best],
        "match.accept",
        by_person=False,
        how="score",
    )


async def match_by_hub(tx: Tx, actor: Actor, pairs: Sequence[tuple[UUID, UUID]], *, how: str) -> list[Matched]:
    """Match (listing, variant) pairs without a person, those that still wait; `how` goes to the audit log."""
    return await _match_many(tx, actor, pairs, "match.by-hub", by_person=False, how=how)


async def read_settings(tx: Tx) -> MatchSettings:
    """Return how the organisation's listings are matched."""
    row = await match_learned_store.settings(tx)
    if row is None:
        return MatchSettings()
    return MatchSettings(row["by_barcode"], row["by_itself"], row["sure_from_ppm"], row["learned_from"])


async def change_settings(tx: Tx, actor: Actor, *, by_barcode: bool, by_itself: bool) -> MatchSettings:
    """Set what the hub may match without asking; what waits is looked at again."""
    before = await read_settings(tx)
    await match_learned_store.set_ways(tx, by_barcode=by_barcode, by_itself=by_itself)
    after = {"byBarcode": by_barcode, "byItself": by_itself}
    await identity.record(
        tx, actor, "match.settings", "organisation", tx.organisation,
        {"byBarcode": before.by_barcode, "byItself": before.by_itself}, after,
    )  # fmt: skip
    if (by_barcode > before.by_barcode or by_itself > before.by_itself) and await match_store.mark_all_due(tx):
        await look_soon(tx)
    return await read_settings(tx)


async def _match_many(
    tx: Tx, actor: Actor, pairs: Sequence[tuple[UUID, UUID]], action: str, *, by_person: bool, how: str
) -> list[Matched]:
    rows = await match_store.lock_listings(tx, [listing for listing, _ in pairs])
    # Read again now that nobody else can decide: one rejected a moment ago stays rejected.
    rejected = await match_store.rejected_pairs(tx, list(rows))
    taken = [
        (listing, variant)
        for listing, variant in pairs
        if listing in rows
        and rows[listing]["variant_id"] is None
        and rows[listing]["active"]
        and (listing, variant) not in rejected
    ]
    if not taken:
        return []
    await match_store.set_variants(tx, taken)
    await match_store.decide(tx, taken, "accepted", actor.name, by_person=by_person)
    await match_store.drop_open(tx, [listing for listing, _ in taken])
    await facade.tell_matched(tx, [listing for listing, _ in taken])
    for listing, variant in taken:
        await identity.record(tx, actor, action, "listing", listing, None, {"variantId": str(variant), "by": how})
    return [Matched(listing, variant, rows[listing]["sku"]) for listing, variant in taken]


async def _match(tx: Tx, actor: Actor, listing: asyncpg.Record, variant_id: UUID, action: str) -> Matched:
    pair = (listing["id"], variant_id)
    await match_store.set_variants(tx, [pair])
    await match_store.decide(tx, [pair], "accepted", actor.name, by_person=True)
    await match_store.drop_open(tx, [listing["id"]])
    await facade.tell_matched(tx, [listing["id"]])
    await identity.record(tx, actor, action, "listing", listing["id"], None, {"variantId": str(variant_id)})
    return Matched(listing["id"], variant_id, listing["sku"])


async def _lock(tx: Tx, listing_id: UUID) -> asyncpg.Record:
    found = await match_store.lock_listings(tx, [listing_id])
    if listing_id not in found:
        raise ListingNotFound
    return found[listing_id]


async def _locked(tx: Tx, candidate_id: UUID) -> tuple[asyncpg.Record, asyncpg.Record]:
    """Lock a candidate's listing and return both as they are then."""
    found = await match_store.candidate(tx, candidate_id)
    if found is None:
        raise CandidateNotFound
    listing = await _lock(tx, found["listing_id"])
    found = await match_store.candidate(tx, candidate_id)
    if found is None:
        if listing["variant_id"] is not None:
            raise AlreadyMatched
        raise CandidateNotFound
    return listing, found


def _check_waiting(listing: asyncpg.Record) -> None:
    if listing["variant_id"] is not None:
        raise AlreadyMatched


def _decided(found: asyncpg.Record) -> str:
    return f"{found['decided_by'] or 'Somebody'} {found['state']} it already."
