"""What people decide in conflicts (their policies: conflict_policies). Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import Conflict, EntrepotError, InvalidInput, NotFound
from entrepot.stock import facade as stock
from entrepot.sync import comparisons
from entrepot.sync import store as quantities
from entrepot.sync.conflict_policies import (
    NewPolicy,
    PolicyNotFound,
    list_policies,
    preview_policy,
    remove_policy,
    set_policy,
)
from entrepot.sync.fields import conflict_store, own_store, store
from entrepot.sync.fields.merging import DECIDED, PRICES
from entrepot.sync.fields.ours import Offer, Takeovers, can_take, subject_of
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import rules
from entrepot.sync.merge.fields import field_of
from entrepot.sync.merge.policies import HUB, Policy
from entrepot.sync.merge.rules import Flow, Side
from entrepot.sync.merge.values import Value, parse

__all__ = [
    "Choice", "ConflictMoved", "ConflictNotFound", "Flow", "NewPolicy", "Policy", "PolicyNotFound", "Settled", "Side",
    "list_policies", "preview_policy", "remove_policy", "resolve", "resolve_many", "resolve_similar", "set_override",
    "set_policy", "undo",
]  # fmt: skip

UNDO = timedelta(seconds=10)
"""How long what a person decided waits before it goes out, so that it can be undone."""
SIMILAR_MAX = 500
PERSON = "person"
SWING = "stock_swing"
"""Why a quantity is a conflict that changed on its channel by more than the limit."""
OF_FIELDS = frozenset({"price", "content"})


class ConflictNotFound(NotFound):
    """There is no such conflict."""


class ConflictOver(Conflict):
    """This conflict is not open any more."""


class ConflictMoved(Conflict):
    """The values changed since you looked: look again."""


class NotDecidedHere(InvalidInput):
    """This kind of conflict is settled elsewhere."""


class CannotUndo(Conflict):
    """That cannot be undone any more: it has gone to the channel, or changed since."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is decided. `value`: for the side `value`; a JSON value or text, see `merge.values.parse`."""

    side: Side
    value: Any = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one conflict. `problem` empty: it was decided as asked."""

    conflict_id: UUID
    problem: str = ""


# ---- deciding --------------------------------------------------------------------------------------------


async def resolve(
    tx: Tx, actor: Actor, conflict_id: UUID, choice: Choice, now: datetime, *, seen: datetime | None = None
) -> None:
    """Decide a conflict. `seen`: its `updated_at` when it was looked at.

    Raises ConflictNotFound, ConflictOver, ConflictMoved, NotDecidedHere, InvalidValue.
    """
    [row] = await conflict_store.by_ids(tx, [conflict_id]) or [None]
    if row is None:
        raise ConflictNotFound
    if row["kind"] in OF_FIELDS:
        await store.lock_connection(tx, row["connection_id"])
    [row] = await conflict_store.by_ids(tx, [conflict_id], lock=True)
    if row["state"] != "open":
        raise ConflictOver
    if seen is not None and row["updated_at"] != seen:
        raise ConflictMoved
    if row["kind"] in OF_FIELDS:
        await _resolve_field(tx, actor, row, choice, now)
    else:
        await _resolve_other(tx, actor, row, choice, now)


async def resolve_many(
    tx: Tx, actor: Actor, conflict_ids: Sequence[UUID], choice: Choice, now: datetime
) -> list[Settled]:
    """Decide many conflicts alike; one that cannot be decided so leaves the others alone."""
    found = await conflict_store.by_ids(tx, conflict_ids)
    order = sorted(found, key=lambda row: (str(row["connection_id"]), row["id"]))
    settled = [Settled(i, ConflictNotFound().detail) for i in conflict_ids if i not in {row["id"] for row in found}]
    for row in order:
        try:
            await resolve(tx, actor, row["id"], choice, now)
        except EntrepotError as error:
            settled.append(Settled(row["id"], error.detail))
        else:
            settled.append(Settled(row["id"]))
    return settled


async def resolve_similar(tx: Tx, actor: Actor, conflict_id: UUID, choice: Choice, now: datetime) -> list[Settled]:
    """Decide a conflict and those like it (kind, field, connection, cause), up to SIMILAR_MAX, alike.

    Only sides can be chosen for many: another value is one conflict's own. The side `value` takes what each is advised.
    """
    [row] = await conflict_store.by_ids(tx, [conflict_id]) or [None]
    if row is None:
        raise ConflictNotFound
    ids = await conflict_store.similar_to(tx, row, SIMILAR_MAX)
    if choice.side is not Side.VALUE:
        return await resolve_many(tx, actor, ids, choice, now)
    settled = []
    for each in await conflict_store.by_ids(tx, ids):
        advised = each["suggestion"]
        if advised is None:
            settled.append(Settled(each["id"], "Nothing is advised here."))
        else:
            value = Choice(Side(advised["side"]), advised["value"])
            settled += await resolve_many(tx, actor, [each["id"]], value, now)
    return settled


async def _resolve_field(tx: Tx, actor: Actor, conflict: Any, choice: Choice, now: datetime) -> None:
    listing_id, name = conflict["subject_id"], conflict["field"]
    field = field_of(name)
    rows = await store.rows_of(tx, [listing_id], lock=True)
    row = rows.get((listing_id, name))
    [offer] = await catalog.offers(tx, [listing_id]) or [None]
    if row is None or offer is None or row.state != "conflict":
        raise ConflictMoved
    if (row.ours, row.known.theirs) != (conflict["ours"], conflict["theirs"]):
        raise ConflictMoved
    value = None
    if choice.side is Side.VALUE:
        currency = conflict["ours"]["currency"] if name in ("price", "compare_at") and conflict["ours"] else None
        value = parse(field.kind, choice.value, currency)
        if field.required and not value:
            raise InvalidInput(f"{field.title} cannot be empty.")
    own = (await own_store.overrides_of(tx, [listing_id])).get((listing_id, name))
    apart = own is not None or await _by_list(tx, offer, name)
    undo = _before(row, own)
    resolved = rules.resolve(field.kind, row.known, row.ours, choice.side, value)
    if choice.side is Side.THEIRS and not apart and not can_take(offer, name, row.known.theirs):
        raise InvalidInput("The catalog cannot hold this value: keep it for this channel alone, or enter another.")
    if resolved.override or (resolved.ours != row.ours and apart):
        await own_store.put_overrides(tx, [(listing_id, name, resolved.ours, actor.name, now)])
    elif resolved.ours != row.ours:
        await _write(tx, offer, name, resolved.ours, actor, now)
    row.known = resolved.state
    chosen = row.known.theirs if choice.side in (Side.THEIRS, Side.APART) else resolved.ours
    row.ours, row.state, row.detail, row.next_attempt_at = resolved.ours, DECIDED, "", now + UNDO
    await store.put_rows(tx, [row])
    resolution = {"side": str(choice.side), "value": chosen, "policy": str(Policy.MANUAL), "by": PERSON}
    await conflict_store.decided(tx, [(listing_id, name, resolution, undo)], actor.name, now)
    await _audit(tx, actor, conflict, resolution)
    await store.want_merge(tx, [listing_id])
    tx.hint(f"merge:{row.connection_id}")


async def _by_list(tx: Tx, offer: Offer, name: str) -> bool:
    """Return whether a price list decides this field of a listing: another price is then the listing's own."""
    if name not in PRICES:
        return False
    prices = await catalog.channel_prices(tx, offer["connection_id"], [offer["variant_id"]])
    return prices[offer["variant_id"]].price_list_id is not None


async def _write(tx: Tx, offer: Offer, name: str, value: Value, actor: Actor, now: datetime) -> None:
    """Write a value into the catalog. Raises InvalidInput, ConflictMoved."""
    if not can_take(offer, name, value):
        raise InvalidInput("The catalog cannot hold this value.")
    takeovers = Takeovers()
    takeovers.add(offer, name, value)
    subject = subject_of(offer, name)
    if subject not in await catalog.take_over(tx, list(takeovers.found.values())):
        raise ConflictMoved
    await own_store.put_origins(tx, [(subject, name, value, None, HUB, actor.name, now)])


def _before(row: Row, own: Any) -> dict[str, Any]:
    known = row.known
    return {
        "base": known.base, "shown": known.shown, "approved": known.approved, "ours": row.ours,
        "override": None if own is None else own["value"],
    }  # fmt: skip


async def _audit(tx: Tx, actor: Actor, conflict: Any, after: Any, action: str = "conflict.resolve") -> None:
    before = {name: conflict[name] for name in ("kind", "field", "base", "ours", "theirs", "why")}
    await identity.record(tx, actor, action, "conflict", conflict["id"], before, after)


async def _resolve_other(tx: Tx, actor: Actor, conflict: Any, choice: Choice, now: datetime) -> None:
    """Stock is compared again (its figures are the ledger's); of a double sale a person says that both are real."""
    if conflict["why"] == SWING:
        await _resolve_swing(tx, actor, conflict, choice, now)
        return
    if choice.side is not Side.OURS or conflict["kind"] == "oversell":
        raise NotDecidedHere(_ELSEWHERE[conflict["kind"]])
    if conflict["kind"] == "stock":
        await quantities.unpark(tx, connection_id=None, listing_id=conflict["subject_id"])
        await comparisons.want_check(tx, [conflict["subject_id"]], now)
        tx.hint(f"check:{conflict['connection_id']}")
    resolution = {"side": str(choice.side), "value": conflict["ours"], "policy": str(Policy.MANUAL), "by": PERSON}
    await conflict_store.decided(tx, [(conflict["subject_id"], conflict["field"], resolution, None)], actor.name, now)
    await _audit(tx, actor, conflict, resolution)


async def _resolve_swing(tx: Tx, actor: Actor, conflict: Any, choice: Choice, now: datetime) -> None:
    """Say what a swing of stock was: an error there (ours is shown again), or true (the hub's stock changes by as much)."""
    if choice.side not in (Side.OURS, Side.THEIRS):
        raise NotDecidedHere(_ELSEWHERE[SWING])
    listing_id = conflict["subject_id"]
    swing = await comparisons.swing_of(tx, listing_id)
    if swing is None or str(swing["swing_to"]) != conflict["theirs"]:
        raise ConflictMoved
    if choice.side is Side.THEIRS:
        actor.require(Scope.STOCK_WRITE)
        change = stock.StockChange(
            swing["variant_id"], _swing_words(swing), delta=swing["swing_to"] - swing["swing_from"]
        )
        await stock.change_on_hand(tx, [change], kind="adjustment", actor=actor.reference)
    # Levels are locked before listings, everywhere.
    if await comparisons.swing_of(tx, listing_id, lock=True) != swing:
        raise ConflictMoved
    await comparisons.take_up(tx, listing_id, now)
    tx.hint(f"push:{conflict['connection_id']}")
    resolution = {
        "side": str(choice.side), "value": conflict[str(choice.side)], "policy": str(Policy.MANUAL), "by": PERSON
    }  # fmt: skip
    await conflict_store.decided(tx, [(listing_id, conflict["field"], resolution, None)], actor.name, now)
    await _audit(tx, actor, conflict, resolution)


def _swing_words(swing: Any) -> str:
    return f"accepted from the channel: it went from {swing['swing_from']} to {swing['swing_to']}"


_ELSEWHERE = {
    "stock_swing": "Choose ours to have the hub's figure shown again, or theirs to change the hub's stock by as much.",
    "stock": "Stock is what the ledger says: choose ours to have the listing compared and corrected, or count the stock.",
    "oversell": "Units are missing: choose a remedy under Stock, Shortages.",
    "duplicate_sale": "Choose ours if both orders are real; otherwise cancel one of them on its channel.",
}


# ---- undoing ---------------------------------------------------------------------------------------------


async def undo(tx: Tx, actor: Actor, conflict_id: UUID, now: datetime) -> None:
    """Take a decision back: both sides are again as they were, and the question is open. Raises CannotUndo."""
    [conflict] = await conflict_store.by_ids(tx, [conflict_id]) or [None]
    if conflict is None:
        raise ConflictNotFound
    if conflict["kind"] not in OF_FIELDS:
        raise CannotUndo
    await store.lock_connection(tx, conflict["connection_id"])
    [conflict] = await conflict_store.by_ids(tx, [conflict_id], lock=True)
    listing_id, name, was = conflict["subject_id"], conflict["field"], conflict["undo"]
    row = (await store.rows_of(tx, [listing_id], lock=True)).get((listing_id, name))
    [offer] = await catalog.offers(tx, [listing_id]) or [None]
    if conflict["state"] != "resolved" or was is None or row is None or offer is None:
        raise CannotUndo
    pushed = row.known.pushed_at is not None and row.known.pushed_at >= conflict["resolved_at"]
    if row.known.sending or pushed or row.known.theirs != conflict["theirs"]:
        raise CannotUndo
    await _put_back(tx, actor, offer, conflict, was, now)
    row.known = replace(row.known, base=was["base"], shown=was["shown"], approved=was["approved"])
    row.ours, row.state, row.next_attempt_at = was["ours"], "unknown", None
    await store.put_rows(tx, [row])
    await conflict_store.reopen(tx, conflict_id, actor.name)
    await _audit(tx, actor, conflict, conflict["resolution"], "conflict.undo")
    await store.want_merge(tx, [listing_id])
    tx.hint(f"merge:{row.connection_id}")


async def _put_back(tx: Tx, actor: Actor, offer: Offer, conflict: Any, was: Any, now: datetime) -> None:
    """Give our side the value that it had before the decision, unless somebody has changed it since."""
    listing_id, name, side = conflict["subject_id"], conflict["field"], conflict["resolution"]["side"]
    if was["override"] is not None:
        await own_store.put_overrides(tx, [(listing_id, name, was["override"], actor.name, now)])
    elif side == Side.APART or await _by_list(tx, offer, name):
        await own_store.remove_override(tx, listing_id, name)
    elif side in (Side.THEIRS, Side.VALUE):
        await _write(tx, offer, name, was["ours"], actor, now)


# ---- overrides -------------------------------------------------------------------------------------------


async def set_override(tx: Tx, actor: Actor, listing_id: UUID, field_name: str, value: Any, now: datetime) -> None:
    """Give a listing a value of its own (None: the catalog's again). Raises UnknownField, InvalidValue, NotFound."""
    field = field_of(field_name)
    [offer] = await catalog.offers(tx, [listing_id]) or [None]
    if offer is None:
        raise NotFound("There is no such listing, or it has no variant.")
    await store.lock_connection(tx, offer["connection_id"])
    before = (await own_store.overrides_of(tx, [listing_id])).get((listing_id, field_name))
    if value is None:
        await own_store.remove_override(tx, listing_id, field_name)
        parsed = None
    else:
        parsed = parse(field.kind, value, offer["listing_currency"] or offer["currency"])
        if field.required and not parsed:
            raise InvalidInput(f"{field.title} cannot be empty.")
        await own_store.put_overrides(tx, [(listing_id, field_name, parsed, actor.name, now)])
    old = None if before is None else before["value"]
    await identity.record(tx, actor, "listing.override", "listing", listing_id, {field_name: old}, {field_name: parsed})
    await store.want_merge(tx, [listing_id])
    tx.hint(f"merge:{offer['connection_id']}")
