"""The job that matches listings which have no variant: by barcode, then by likeness. In rounds of bounded size."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from entrepot.catalog import match_learned_store, match_queue, match_store
from entrepot.catalog.match_contracts import PPM, PROPOSE_FROM_PPM, PROPOSED_MOST, Matched, MatchRound
from entrepot.catalog.match_intake import look_soon, spellings
from entrepot.catalog.matching import gtin
from entrepot.catalog.matching.blocking import Index, stand
from entrepot.catalog.matching.boosting import Growing
from entrepot.catalog.matching.features import NAMES, Standing, Weights, compare, nearness, weigh
from entrepot.catalog.matching.judging import precise_from
from entrepot.catalog.matching.model import PLAIN, Model, learn
from entrepot.catalog.matching.reasons import never, reasons
from entrepot.catalog.matching.words import Prepared, Record, plain, prepare, title_words, words_of
from entrepot.database.pool import Tx
from entrepot.identity.contracts import system_actor
from entrepot.jobs.facade import JobRun
from entrepot.kernel.clock import utc_now

log = structlog.get_logger(__name__)

SAMPLE = 20_000
"""Variants over which words are counted."""
PAIRS_AT_ONCE = 500
NEAR_ENOUGH = 0.2
"""A changed variant concerns the listings that are at least so near to it."""
CONCERNED_MOST = 20
OVERLAP = timedelta(minutes=1)
"""A change is seen when its transaction ends, which may be so much later than the time that it carries."""
LEARN_FROM = 200
LEARN_EACH = 20
LEARN_MOST = 3_000
LEARN_AGAIN = 1.25
"""What is learned is learned anew when there are so many times the decisions."""
HELD_BACK = 4
"""Every so many-th listing's decisions calibrate what was learned from the others."""

Settle = Callable[[Tx, Mapping[str, UUID]], Awaitable[object]]
"""Told of SKUs (as the channel has them) whose listings have a variant now."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done at once: what it costs in memory, and how long a step is."""

    round: int = 1_000
    """Listings compared with the whole catalog at once: the catalog is read once for each round."""
    page: int = 5_000
    """Variants, or listings, read at once."""
    changed_most: int = 10_000
    """When more variants changed (an import), comparing every waiting listing costs less than asking which are concerned."""


class _Done(msgspec.Struct):
    """The checkpoint: what the job did so far."""

    listings: int = 0
    proposed: int = 0
    matched: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """What a round starts from."""

    weights: Weights
    model: Model
    by_barcode: bool
    sure_from_ppm: int | None
    """None: nothing is matched without a person."""


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A variant that a listing may be."""

    listing_id: UUID
    variant_id: UUID
    score_ppm: int
    near_ppm: int
    facts: list[float]
    reasons: list[str]


async def match_listings(run: JobRun[MatchRound], *, settle: Settle, sizes: Sizes = Sizes()) -> Mapping[str, Any]:
    """Do the job: every listing that is due, round by round, until none is; then learn from what people decided."""
    done = msgspec.convert(run.checkpoint or {}, _Done)
    await _note_changed_variants(run, sizes)
    known = await _known(run)
    while True:
        async with run.database.transaction(run.organisation_id) as tx:
            due = await match_store.due_listings(tx, sizes.round)
            left = await match_store.count_due(tx)
        if not due:
            break
        by_code = await _by_barcode(run, known, due, settle, done)
        rest = [row for row in due if row["listing_id"] not in by_code]
        proposals = await _compare_all(run, known, rest, sizes) if rest else []
        async with run.step() as step:
            await _write(step.tx, rest, proposals, done)
            matched = await _by_itself(step.tx, known, [row["listing_id"] for row in rest], sizes)
            await settle(step.tx, {each.sku: each.variant_id for each in matched if each.sku})
            done.matched += len(matched)
            step.done, step.total = done.listings, done.listings + max(0, left - len(due))
            step.words = f"{done.listings:,} listings compared"
            step.checkpoint = msgspec.to_builtins(done)
    await _learn(run)
    result: dict[str, Any] = msgspec.to_builtins(done)
    return result


# ---- what is due -------------------------------------------------------------------------------------------------


async def _note_changed_variants(run: JobRun[MatchRound], sizes: Sizes) -> None:
    """Let the listings be compared again that a new or changed variant may concern."""
    until = utc_now()
    async with run.step() as step:
        await match_store.forget_settled(step.tx)
        row = await match_learned_store.settings(step.tx)
        since: datetime | None = row["variants_seen_at"] if row else None
        if since is None or not await match_store.any_waiting(step.tx):
            # Every listing that waits has not been looked at yet.
            await match_learned_store.set_seen(step.tx, until)
            return
        if await match_store.count_changed(step.tx, since - OVERLAP, until) > sizes.changed_most:
            await match_store.mark_all_due(step.tx)
            await match_learned_store.set_seen(step.tx, until)
            return
    after = match_store.NO_ID
    while True:
        async with run.database.transaction(run.organisation_id) as tx:
            page = await match_store.changed_page(tx, since - OVERLAP, until, after, sizes.page)
        if not page:
            break
        concerned = await _concerned(run, page, sizes)
        async with run.step() as step:
            codes = [code for row in page if (code := gtin.normalised(row["barcode"]))]
            await match_store.mark_due(step.tx, concerned, [row["id"] for row in page], codes)
        after = page[-1]["id"]
    async with run.step() as step:
        await match_learned_store.set_seen(step.tx, until)


async def _concerned(run: JobRun[MatchRound], changed: Sequence[asyncpg.Record], sizes: Sizes) -> list[UUID]:
    """Return the waiting listings near to these variants."""
    variants = await asyncio.to_thread(lambda: [title_words(_variant(row)) for row in changed])
    weights = await asyncio.to_thread(weigh, variants)
    index: Index[UUID] = Index(variants, weights)
    after = match_store.NO_ID
    while True:
        async with run.database.transaction(run.organisation_id) as tx:
            page = await match_store.waiting_page(tx, after, sizes.page)
        if not page:
            break
        await asyncio.to_thread(_add_all, index, [(row["listing_id"], _listing(row)) for row in page])
        after = page[-1]["listing_id"]

    def near() -> list[UUID]:
        found: set[UUID] = set()
        for words in variants:
            found.update(key for key, value in index.nearest(words, CONCERNED_MOST) if value >= NEAR_ENOUGH)
        return list(found)

    return await asyncio.to_thread(near)


# ---- by barcode --------------------------------------------------------------------------------------------------


async def _by_barcode(
    run: JobRun[MatchRound], known: _Known, due: Sequence[asyncpg.Record], settle: Settle, done: _Done
) -> set[UUID]:
    """Match the listings whose barcode exactly one variant has, and no other listing of their connection."""
    coded = [row for row in due if row["gtin"]] if known.by_barcode else []
    if not coded:
        return set()
    async with run.step() as step:
        variants: defaultdict[str, set[UUID]] = defaultdict(set)
        for row in await match_store.by_barcode(step.tx, [s for r in coded for s in spellings(r["gtin"])]):
            variants[gtin.normalised(row["barcode"])].add(row["id"])
        rejected = await match_store.rejected_pairs(step.tx, [row["listing_id"] for row in coded])
        listed = {
            (row["variant_id"], row["connection_id"])
            for row in await match_store.listed_already(
                step.tx,
                [each for ids in variants.values() for each in ids],
                list({row["connection_id"] for row in coded}),
            )
        }
        shared: defaultdict[tuple[UUID, str], int] = defaultdict(int)
        for row in coded:
            shared[row["connection_id"], row["gtin"]] += 1
        pairs = [
            (row["listing_id"], variant)
            for row in coded
            if len(variants[row["gtin"]]) == 1 and shared[row["connection_id"], row["gtin"]] == 1
            for variant in variants[row["gtin"]]
            if (row["listing_id"], variant) not in rejected and (variant, row["connection_id"]) not in listed
        ]
        matched = await match_queue.match_by_hub(step.tx, system_actor(run.organisation_id), pairs, how="barcode")
        await settle(step.tx, {each.sku: each.variant_id for each in matched if each.sku})
        done.matched += len(matched)
        done.listings += len(matched)
        step.checkpoint = msgspec.to_builtins(done)
    return {each.listing_id for each in matched}


# ---- by likeness -------------------------------------------------------------------------------------------------


async def _known(run: JobRun[MatchRound]) -> _Known:
    async with run.database.transaction(run.organisation_id) as tx:
        row = await match_learned_store.settings(tx)
        rows = await match_store.sample(tx, SAMPLE)
    weights = await asyncio.to_thread(
        lambda: weigh(title_words(_variant(row)) | words_of(plain(row["description"])) for row in rows)
    )
    if row is None:
        return _Known(weights, PLAIN, by_barcode=True, sure_from_ppm=None)
    model = msgspec.convert(row["model"], Model) if row["model"] else PLAIN
    return _Known(weights, model, row["by_barcode"], row["sure_from_ppm"] if row["by_itself"] else None)


async def _compare_all(
    run: JobRun[MatchRound], known: _Known, due: Sequence[asyncpg.Record], sizes: Sizes
) -> list[_Proposal]:
    """Return what to propose for these listings: read the catalog past them once, then compare what is near."""
    listings: dict[UUID, Prepared] = await asyncio.to_thread(
        lambda: {row["listing_id"]: prepare(_listing(row)) for row in due}
    )
    index: Index[UUID] = Index((listing.words for listing in listings.values()), known.weights)
    after = match_store.NO_ID
    while True:
        async with run.database.transaction(run.organisation_id) as tx:
            page = await match_store.catalog_page(tx, after, sizes.page)
        if not page:
            break
        await asyncio.to_thread(_add_all, index, [(row["id"], _variant(row)) for row in page])
        after = page[-1]["id"]
    found = await asyncio.to_thread(lambda: {key: index.nearest(each.words) for key, each in listings.items()})
    variants, rejected, rivals = await _around(run, known, due, listings, found)
    standings = _stand(due, found, rivals)
    pairs = [
        (listing, variant)
        for listing, near in found.items()
        for variant, _ in near
        if variant in variants
        and (listing, variant) not in rejected
        and not never(listings[listing], variants[variant])
    ]
    proposals: defaultdict[UUID, list[_Proposal]] = defaultdict(list)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        some = pairs[start : start + PAIRS_AT_ONCE]
        for each in await asyncio.to_thread(_score, known, listings, variants, standings, some):
            proposals[each.listing_id].append(each)
    return [
        each
        for found_here in proposals.values()
        for each in sorted(found_here, key=lambda each: (-each.score_ppm, each.variant_id))[:PROPOSED_MOST]
    ]


def _add_all(index: Index[UUID], rows: Sequence[tuple[UUID, Record]]) -> None:
    for key, record in rows:
        index.add(key, title_words(record))


Near = Mapping[UUID, Sequence[tuple[UUID, float]]]
Rivals = Mapping[UUID, Mapping[UUID, Sequence[float]]]
"""Connection -> variant -> nearness of listings that are not of this round."""


async def _around(
    run: JobRun[MatchRound],
    known: _Known,
    due: Sequence[asyncpg.Record],
    listings: Mapping[UUID, Prepared],
    found: Near,
) -> tuple[dict[UUID, Prepared], set[tuple[UUID, UUID]], Rivals]:
    """Read what the found variants are in full, which pairs were rejected, and who else wants the variants."""
    ids = list({variant for near in found.values() for variant, _ in near})
    connections = list({row["connection_id"] for row in due})
    async with run.database.transaction(run.organisation_id) as tx:
        rows = await match_store.records(tx, ids)
        rejected = await match_store.rejected_pairs(tx, list(listings))
        waiting = await match_store.open_rivals(tx, ids, connections, list(listings))
        listed = await match_store.listed_already(tx, ids, connections)
    variants = await asyncio.to_thread(lambda: {row["id"]: prepare(_variant_in_full(row)) for row in rows})
    rivals: defaultdict[UUID, defaultdict[UUID, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in waiting:
        rivals[row["connection_id"]][row["variant_id"]].append(row["near_ppm"] / PPM)
    for row in listed:
        if row["variant_id"] in variants:
            words = title_words(Record(row["title"], code=row["sku"] or ""))
            near = nearness(known.weights, words, variants[row["variant_id"]].words)
            rivals[row["connection_id"]][row["variant_id"]].append(near)
    return variants, rejected, rivals


def _stand(due: Sequence[asyncpg.Record], found: Near, rivals: Rivals) -> dict[tuple[UUID, UUID], Standing]:
    """Return how pairs stand among those of the same connection: a variant may have a listing on each."""
    by_connection: defaultdict[UUID, dict[UUID, Sequence[tuple[UUID, float]]]] = defaultdict(dict)
    for row in due:
        by_connection[row["connection_id"]][row["listing_id"]] = found[row["listing_id"]]
    standings: dict[tuple[UUID, UUID], Standing] = {}
    for connection, near in by_connection.items():
        standings |= stand(near, rivals.get(connection))
    return standings


def _score(
    known: _Known,
    listings: Mapping[UUID, Prepared],
    variants: Mapping[UUID, Prepared],
    standings: Mapping[tuple[UUID, UUID], Standing],
    pairs: Sequence[tuple[UUID, UUID]],
) -> list[_Proposal]:
    """Return those of the pairs that are likely enough to be shown."""
    found = []
    for listing_id, variant_id in pairs:
        listing, variant, standing = listings[listing_id], variants[variant_id], standings[listing_id, variant_id]
        facts = compare(listing, variant, known.weights, standing)
        score_ppm = int(known.model.score(facts) * PPM)
        if score_ppm >= PROPOSE_FROM_PPM:
            why = reasons(listing, variant, known.weights)
            facts = [round(fact, 4) for fact in facts]
            found.append(_Proposal(listing_id, variant_id, score_ppm, int(standing.near * PPM), facts, why))
    return found


async def _write(tx: Tx, due: Sequence[asyncpg.Record], proposals: Sequence[_Proposal], done: _Done) -> None:
    """Keep the proposals of the listings that did not change meanwhile; the others stay due."""
    current = await match_store.looked(tx, [(row["listing_id"], row["version"]) for row in due], utc_now())
    rows = [
        (each.listing_id, each.variant_id, each.score_ppm, each.near_ppm, each.facts, each.reasons)
        for each in proposals
        if each.listing_id in current
    ]
    done.proposed += await match_store.put_candidates(tx, list(current), rows)
    done.listings += len(current)


async def _by_itself(tx: Tx, known: _Known, listing_ids: Sequence[UUID], sizes: Sizes) -> list[Matched]:
    """Match what is as likely as what people nearly always accepted, where the shop allows it."""
    if known.sure_from_ppm is None:
        return []
    best = await match_store.best_above(tx, known.sure_from_ppm, listing_ids=listing_ids)
    pairs = [(row["listing_id"], row["variant_id"]) for row in best]
    return await match_queue.match_by_hub(tx, system_actor(tx.organisation), pairs, how="likeness")


# ---- learning ----------------------------------------------------------------------------------------------------


async def _learn(run: JobRun[MatchRound]) -> None:
    """Learn from people's decisions once there are enough, and again when there are a quarter more."""
    async with run.step() as step:
        number = await match_learned_store.count_decisions(step.tx)
        rows = await match_learned_store.decisions(step.tx, LEARN_MOST) if number else []
        rows = [row for row in rows if len(row["facts"]) == len(NAMES)]
        setting = await match_learned_store.settings(step.tx)
        sure = precise_from([row["score_ppm"] for row in rows], [row["state"] == "accepted" for row in rows])
        await match_learned_store.set_sure_from(step.tx, None if sure is None else int(sure))
    yes = sum(row["state"] == "accepted" for row in rows)
    before = setting["learned_from"] if setting else 0
    if len(rows) < LEARN_FROM or min(yes, len(rows) - yes) < LEARN_EACH or number < before * LEARN_AGAIN:
        return
    held = [row for row in rows if row["listing_id"].int % HELD_BACK == 0]
    shown = [row for row in rows if row["listing_id"].int % HELD_BACK]
    model = await asyncio.to_thread(
        learn,
        [row["facts"] for row in shown],
        [row["state"] == "accepted" for row in shown],
        [row["facts"] for row in held],
        [row["state"] == "accepted" for row in held],
        Growing(trees=100),
    )
    async with run.step() as step:
        await match_learned_store.set_model(step.tx, msgspec.to_builtins(model), number)
        if await match_store.mark_all_due(step.tx):
            await look_soon(step.tx)
    log.info("matching_learned", decisions=len(rows), accepted=yes)


# ---- records -----------------------------------------------------------------------------------------------------


def _listing(row: asyncpg.Record) -> Record:
    return Record(
        row["title"],
        row["brand"],
        row["sku"],
        row["description"],
        row["price_minor"],
        row["currency"] or "",
        row["barcode"],
    )


def _title(row: asyncpg.Record) -> str:
    """Return the product's title with what tells its variant from the others."""
    values = [value for value in row["option_values"] if value != "Default Title"]
    if not values and row["variant_title"] not in ("", "Default Title", row["title"]):
        values = [row["variant_title"]]
    return " ".join([row["title"], *values])


def _variant(row: asyncpg.Record) -> Record:
    return Record(_title(row), code=row["sku"])


def _variant_in_full(row: asyncpg.Record) -> Record:
    return Record(
        _title(row), row["vendor"], row["sku"], row["description"], row["price_minor"], row["currency"], row["barcode"]
    )
