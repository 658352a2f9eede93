"""What is to be sent next of what was asked: looked at, checked against the channel's rules, and recorded before it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog import publishing as catalog_publishing
from entrepot.catalog.publishing import Whole
from entrepot.channels.contract import (
    Capability,
    EndKind,
    ListingDraft,
    ListingEnd,
    ListingProblem,
    ListingRef,
    ListingRules,
    Manifest,
    rules_of,
)
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.sync.fields import store as fields
from entrepot.sync.fields.drafts import listing_draft
from entrepot.sync.fields.writing import Target, listed_of
from entrepot.sync.publishing import codec, store
from entrepot.sync.publishing.contracts import Wanted
from entrepot.sync.publishing.drafts import Asked, Checked, check, new_draft, with_new_variants
from entrepot.sync.publishing.store import Move

ZERO_S = 0.5
ZERO_MOST_S = 60.0
"""For so long an end waits until the listing shows nothing; then it ends all the same."""
BATCH_MOST = 200
Rules = Mapping[str, ListingRules | None]
"""Rules by the channel's category, as the channel told them; None: it knows no such category."""


def can_hide_variants(manifest: Manifest) -> bool:
    """Return whether single variants can be unpublished on a channel."""
    return manifest.hides_variants and Capability.END_LISTINGS in manifest.capabilities


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of an intent: a draft to send, nothing as it is there already, or what keeps it back."""

    checked: Checked
    draft: ListingDraft | None = None
    done: bool = False
    retired: bool = False
    """Whether variants of it that are not in use any more are to end there."""
    fresh: tuple[str, ...] = ()
    """Keys of the variants that the channel does not show yet: of the others nothing is decided by sending it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent together."""

    id: UUID
    items: list[dict[str, Any]]


async def next_drafts(tx: Tx, target: Target, rules: Rules) -> tuple[Batch | None, bool]:
    """Record the next drafts to send; return them, and whether anything was looked at."""
    connection, now = target.connection, target.context.clock()
    most = min(BATCH_MOST, target.manifest.listing_batch_max)
    due = await store.lock_due(tx, connection.id, "publishing", now, most)
    if not due:
        return None, False
    if Capability.PUSH_LISTINGS not in target.manifest.capabilities:
        words = "The channel takes no products from the hub."
        await store.move(tx, [Move(row["id"], "error", words) for row in due])
        return None, True
    plans = await plan(tx, target.manifest, connection.id, due, rules)
    await _note(tx, due, plans)
    items, moves = [], []
    for row in due:
        planned = plans[row["id"]]
        if planned.done:
            moves.append(Move(row["id"], "ending" if planned.retired else "live", done_at=now))
        elif planned.draft is None:
            moves.append(Move(row["id"], "draft", "Something is missing or wrong."))
        else:
            send = codec.draft_to_json(planned.draft)
            items.append(
                {"intent": str(row["id"]), "version": row["version"], "send": send, "fresh": list(planned.fresh)}
            )
    await store.move(tx, moves)
    if not items:
        return None, True
    batch = Batch(new_id(), items)
    await store.begin(tx, batch.id, connection.id, "publish", items, now)
    return batch, True


async def _note(tx: Tx, due: Sequence[Any], plans: Mapping[UUID, Plan]) -> None:
    await store.put_looked(
        tx,
        [
            (row["id"], plans[row["id"]].checked.completeness.score, plans[row["id"]].checked.missing,
             [problem_json(each) for each in plans[row["id"]].checked.problems])
            for row in due
        ],
    )  # fmt: skip


def problem_json(problem: ListingProblem) -> dict[str, str]:
    """Return a problem as it is stored."""
    return {"field": str(problem.field), "what": problem.what, "where": problem.where, "how": problem.how}


async def plan(
    tx: Tx, manifest: Manifest, connection_id: UUID, asked: Sequence[Mapping[str, Any]], told: Rules
) -> dict[UUID, Plan]:
    """Return what publishing would do with each (rows with id, product_id, category, attributes, external_id)."""
    product_ids = [row["product_id"] for row in asked]
    wholes = await catalog_publishing.wholes(tx, product_ids)
    there = await catalog_publishing.listings_there(tx, connection_id, product_ids)
    variants = [each["id"] for whole in wholes.values() for each in whole.variants]
    prices = await catalog.channel_prices(tx, connection_id, variants)
    plans = {}
    for row in asked:
        whole, listed = wholes[row["product_id"]], there.get(row["product_id"], [])
        category = row["category"]
        rules = told.get(category) or rules_of(manifest.listing_rules, category)
        given = Asked(category, row["attributes"])
        refs = {each["variant_id"]: ListingRef(each["external_id"], each["keys"]) for each in listed}
        draft = new_draft(whole, given, rules, prices, external_id=row["external_id"], refs=refs)
        live = [each for each in listed if each["active"] and not each["closing"]]
        if live:
            checked, draft, done = await _there_already(tx, manifest, whole, live, draft, rules)
        else:
            checked, done = check(rules, whole, draft), False
        if category in told and told[category] is None:
            unknown = ListingProblem("category", f"{category!r} is not known to the channel", "", "Choose another one.")
            checked = Checked((unknown, *checked.problems), checked.completeness)
        shown = {str(each["variant_id"]) for each in live}
        fresh = tuple(each.key for each in draft.variants if each.key not in shown)
        retired = can_hide_variants(manifest) and any(each["active"] and each["retired"] for each in listed)
        plans[row["id"]] = Plan(checked, None if checked.problems or done else draft, done, retired, fresh)
    return plans


async def _there_already(
    tx: Tx, manifest: Manifest, whole: Whole, live: Sequence[Any], draft: ListingDraft, rules: ListingRules | None
) -> tuple[Checked, ListingDraft, bool]:
    """Judge a product that the channel shows: only variants that it lacks are sent, what it has is as it was merged."""
    lacking = {each["id"] for each in whole.variants} - {each["variant_id"] for each in live}
    checked = check(rules, whole, draft)
    if not lacking:
        return Checked((), checked.completeness), draft, True
    listed = await listed_of(tx, [each["id"] for each in live])
    products = {each.product_external_id for each in listed}
    together = listing_draft(listed, version_compared=manifest.listing_version_compared) if listed else None
    if len(products) != 1 or together is None:
        what = "is several products there" if len(products) > 1 else "is listed there, but was not read whole yet"
        problem = ListingProblem("product", what, "", "Look at the listings; read them again, or match them otherwise.")
        return Checked((*checked.problems, problem), checked.completeness), draft, False
    whole_draft = with_new_variants(together, draft)
    return check(rules, whole, whole_draft), whole_draft, False


# ---- ends ------------------------------------------------------------------------------------------------


async def next_ends(tx: Tx, target: Target) -> tuple[Batch | None, bool]:
    """Record the next products to end, once their listings show nothing; return them, and whether anything was looked at."""
    connection, now = target.connection, target.context.clock()
    most = min(BATCH_MOST, target.manifest.listing_batch_max)
    due = await store.lock_due(tx, connection.id, "ending", now, most)
    if not due:
        return None, False
    there = await catalog_publishing.listings_there(tx, connection.id, [row["product_id"] for row in due])
    there |= {row["product_id"]: _retired(there, row) for row in due if row["wanted"] == Wanted.PUBLISH}
    ids = [each["id"] for found in there.values() for each in found if each["active"]]
    fresh = [each["id"] for found in there.values() for each in found if each["active"] and not each["closing"]]
    if fresh:
        await catalog_publishing.close_listings(tx, fresh, closing=True)
        await catalog.tell_matched(tx, fresh)
    shows = await store.still_shows(tx, ids) | set(fresh)
    readings = await fields.readings_of(tx, [each["id"] for found in there.values() for each in found])
    items, moves = [], []
    for row in due:
        listed = there.get(row["product_id"], [])
        waited = (now - row["asked_at"]).total_seconds()
        if any(each["id"] in shows for each in listed) and waited < ZERO_MOST_S:
            words = "Waits until the channel shows no stock."
            moves.append(Move(row["id"], "ending", words, now + timedelta(seconds=ZERO_S)))
            continue
        item = _end_item(target, row, listed, readings)
        if isinstance(item, str):
            over = "live" if row["wanted"] == Wanted.PUBLISH else "ended"
            moves.append(Move(row["id"], "error" if item else over, item, done_at=now))
        else:
            items.append(item)
    await store.move(tx, moves)
    if not items:
        return None, True
    batch = Batch(new_id(), items)
    await store.begin(tx, batch.id, connection.id, "end", items, now)
    return batch, True


def _retired(there: Mapping[UUID, Sequence[Any]], row: Any) -> list[Any]:
    """Return the listings of a product that stays which are of variants that do not."""
    return [each for each in there.get(row["product_id"], ()) if each["retired"] and each["active"]]


def _end_item(target: Target, row: Any, listed: Sequence[Any], readings: Mapping[UUID, Any]) -> dict[str, Any] | str:
    """Return what to send; words where it cannot be; empty text where there is nothing to end."""
    products = {readings[each["id"]]["product_external_id"] for each in listed if each["id"] in readings}
    if row["wanted"] == Wanted.PUBLISH and not listed:
        return ""
    if row["external_id"]:
        products.add(row["external_id"])
    if not products:
        return "" if not listed else "What the channel calls this product is not known yet: read its listings first."
    if len(products) > 1:
        return f"It is {len(products)} products there: end them on the channel."
    whole = row["wanted"] != Wanted.PUBLISH
    kind = EndKind(row["wanted"]) if whole else EndKind.UNPUBLISH
    if Capability.END_LISTINGS not in target.manifest.capabilities or kind not in target.manifest.listing_ends:
        can = ", ".join(sorted(each.value for each in target.manifest.listing_ends)) or "nothing of the kind"
        return f"The channel cannot {kind.value} a product; it can: {can}."
    refs = tuple(ListingRef(each["external_id"], each["keys"]) for each in listed)
    end = ListingEnd(str(row["product_id"]), products.pop(), refs, kind, whole)
    return {"intent": str(row["id"]), "version": row["version"], "end": codec.end_to_json(end)}
