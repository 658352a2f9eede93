"""The merge lane: what is known of listings' fields is merged, and what follows is done or left for a person.

Level-triggered: it looks at what both sides say now, whatever told it to look, so it may be called at any time and as
often as anyone likes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.facade import ChannelPrice
from entrepot.channels.contract import Capability, Manifest
from entrepot.channels.contracts import Connection, FindConnector
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import system_actor
from entrepot.jobs.lanes import LaneKey
from entrepot.sync import progress
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import conflict_store, first_contact, own_store, policy_store, questions, store
from entrepot.sync.fields.conflict_store import Decided, Found
from entrepot.sync.fields.ours import Offer, Takeovers, can_take, changed_at, no_price, ours_of, subject_of
from entrepot.sync.fields.policies import FieldPolicy, field_policies
from entrepot.sync.fields.questions import Asker, Ours
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import rules
from entrepot.sync.merge.fields import FIELDS
from entrepot.sync.merge.policies import Answer, Policy, decide
from entrepot.sync.merge.rules import Flow, Outcome, Side, Why
from entrepot.sync.merge.values import EMPTY, Value, is_lower_or_same

BATCH = 300
PRICES = frozenset({"price", "compare_at"})
POLICY = "policy"
DECIDED = "decided"
"""A person has just decided about this field; what goes out waits a little, so that it can be undone."""


@dataclass(frozen=True, slots=True)
class Here:
    """The connection whose fields are merged, and what it takes."""

    connection: Connection
    manifest: Manifest
    find_connector: FindConnector
    now: datetime
    clock_offset: timedelta = timedelta(0)


async def merge_step(context: SyncContext, key: LaneKey) -> float | None:
    """Merge the fields of listings that wait for it; return 0 while there are more."""
    connection = await context.connection(key)
    if connection is None:
        return None
    manifest = context.find_connector(connection.channel).manifest
    async with context.database.transaction(key.organisation_id) as tx:
        offset = await progress.clock_offset(tx, connection.id)
        here = Here(connection, manifest, context.find_connector, context.clock(), offset)
        await store.lock_connection(tx, connection.id)
        wanted = await store.take_wanted(tx, connection.id, BATCH)
        if wanted:
            await merge_listings(tx, here, wanted)
    return 0.0 if len(wanted) == BATCH else None


async def merge_listings(tx: Tx, here: Here, listing_ids: Sequence[UUID]) -> None:
    """Merge the fields of these listings of a connection. The caller holds `store.lock_connection`."""
    rows = await store.rows_of(tx, listing_ids, lock=True)
    offers = {row["listing_id"]: row for row in await catalog.offers(tx, listing_ids)}
    policies = field_policies(await policy_store.policies_for(tx, here.connection.id), here.connection.id)
    subjects = {i for o in offers.values() for i in (o["product_id"], o["variant_id"])}
    prices = await catalog.channel_prices(tx, here.connection.id, [o["variant_id"] for o in offers.values()])
    first = await first_contact.choices_of(tx, here.connection.id)
    round_ = _Round(
        here, offers, prices, policies, first, await own_store.overrides_of(tx, listing_ids),
        await own_store.origins_of(tx, sorted(subjects)),
    )  # fmt: skip
    before = {key: copy.copy(row) for key, row in rows.items()}
    contested = [(row, why) for row in rows.values() if (why := round_.consider(row)) is not None]
    if contested:
        named = [(row.field, offers[row.listing_id]["variant_id"]) for row, _ in contested]
        asker = await questions.asker(tx, here.connection, here.find_connector, here.clock_offset, named)
        for row, why in contested:
            round_.contest(asker, row, why)
    await _take_over(tx, round_)
    ended = [k for k, row in rows.items() if before[k].state == "conflict" and row.state != "conflict"]
    await conflict_store.put(tx, round_.conflicts)
    await conflict_store.decided(tx, round_.decided, POLICY, here.now)
    await conflict_store.end(tx, [key for key in ended if key not in {d[:2] for d in round_.decided}])
    await own_store.put_overrides(tx, round_.overrides)
    await store.put_rows(tx, [row for k, row in rows.items() if row != before[k]])
    if any(row.state == "out" for row in rows.values()):
        tx.hint(f"fields:{here.connection.id}")


@dataclass(slots=True)
class _Pending:
    """A value on its way into the catalog: the field as it was, and as it is once the value is in."""

    row: Row
    was: Row
    value: Value
    offer: Offer


@dataclass(slots=True)
class _Round:
    """One merge of some listings, and what follows from it."""

    here: Here
    offers: Mapping[UUID, Offer]
    prices: Mapping[UUID, ChannelPrice]
    policies: Mapping[str, FieldPolicy]
    first: Mapping[str, str] | None
    own: Mapping[tuple[UUID, str], Any]
    origins: Mapping[tuple[UUID, str], Any]
    takeovers: Takeovers = field(default_factory=Takeovers)
    pending: list[_Pending] = field(default_factory=list)
    again: set[UUID] = field(default_factory=set)
    conflicts: list[Found] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    overrides: list[tuple[UUID, str, Value, str, datetime]] = field(default_factory=list)
    _values: dict[UUID, dict[str, Value]] = field(default_factory=dict)

    def ours(self, row: Row) -> Ours:
        """Return our side of a field."""
        offer = self.offers[row.listing_id]
        listed = self.prices.get(offer["variant_id"])
        values = self._values.get(row.listing_id)
        if values is None:
            values = self._values[row.listing_id] = ours_of(offer, listed)
        value, own, at = values[row.field], self.own.get(row.key), changed_at(offer, row.field)
        if row.field == "compare_at" and not (row.known.base or row.known.theirs):
            # What is no higher than the price is no discount: where a channel shows none, there is none.
            value = EMPTY if value and is_lower_or_same(value, values["price"]) else value
        if listed is None or not self._by_list(row):
            origin = self.origins.get((subject_of(offer, row.field), row.field))
            return questions.ours_now(row.field, value, own, origin, row, at)
        found = questions.ours_now(row.field, value, own, None, row, max(at, listed.changed_at))
        return found if found.own else replace(found, by=f"price list {listed.price_list}")

    def _by_list(self, row: Row) -> bool:
        """Return whether a price list decides this field."""
        listed = self.prices.get(self.offers[row.listing_id]["variant_id"])
        return row.field in PRICES and listed is not None and listed.price_list_id is not None

    def consider(self, row: Row) -> Why | None:
        """Do what follows for a field on which both sides agree or only one has changed; return why others are contested."""
        if row.known.sending:
            return None
        if row.listing_id not in self.offers:
            row.state, row.detail = "unknown", "The listing is not matched to a variant, or has ended."
            return None
        ours = self.ours(row)
        row.ours_at = ours.at
        if row.field in PRICES and ours.value is None:
            offer = self.offers[row.listing_id]
            row.ours, row.state = None, "unknown"
            row.detail = no_price(offer, self.prices[offer["variant_id"]])
            return None
        merged = self.meet(row, ours, rules.merge(self.policies[row.field].rule, row.known, ours.value))
        if merged is None:
            return None
        if merged.outcome is Outcome.CONFLICT:
            return merged.why
        self.follow(row, merged.outcome, ours)
        return None

    def meet(self, row: Row, ours: Ours, merged: rules.Merged) -> rules.Merged | None:
        """Return what is to happen with a field on which nothing was agreed yet; None: it waits for a person to say so.

        What a policy for the field says goes before.
        """
        policy = self.policies[row.field]
        meeting = row.known.base is None and merged.outcome in (Outcome.OUT, Outcome.IN, Outcome.CONFLICT)
        if self.first is None or not meeting or (policy.policy, policy.rule.flow) != (Policy.MANUAL, Flow.BOTH):
            return merged
        choice = self.first.get(row.field)
        if choice is None:
            row.ours = ours.value
            _set(row, "first", "Waits for the first comparison of this connection.")
            return None
        if merged.why is Why.NEVER_AGREED and choice != first_contact.Choice.ASK:
            row.known = rules.resolve(FIELDS[row.field].kind, row.known, ours.value, Side(choice)).state
            return rules.merge(policy.rule, row.known, ours.value)
        return merged

    def follow(self, row: Row, outcome: Outcome, ours: Ours) -> None:
        """Do what follows from an outcome that needs nobody."""
        parked = row.state == "parked" and row.ours == ours.value
        was = copy.copy(row)
        row.ours = ours.value
        if outcome is Outcome.IN:
            self.bring_in(row, was, row.known.theirs, ours)
            return
        if outcome is Outcome.AGREED:
            row.known = rules.agreed(row.known, ours.value)
        if outcome is Outcome.OUT and parked:
            return
        state = {Outcome.AGREED: "agreed", Outcome.OUT: "out", Outcome.IGNORED: "ignored"}.get(outcome, "unknown")
        if state == "out" and not self._can_push(row.field):
            _set(row, "parked", "The channel does not take this field from us.")
        elif row.state != state or (state == "out" and was.ours != ours.value):
            held = row.next_attempt_at if state == "out" and was.state == DECIDED else None
            _set(row, state, "", held)

    def _can_push(self, name: str) -> bool:
        able = self.here.manifest.capabilities
        return Capability.PUSH_LISTINGS in able or (name in PRICES and Capability.PUSH_PRICES in able)

    def bring_in(self, row: Row, was: Row, value: Value, ours: Ours) -> None:
        """Have a value written on our side: in the catalog, or for this listing alone.

        That is where it has a value of its own already, or where a price list decides: no base price would give that price.
        """
        offer = self.offers[row.listing_id]
        if ours.own or self._by_list(row):
            self.overrides.append((row.listing_id, row.field, value, self.here.connection.name, self.here.now))
            row.ours = value
            _after_bringing_in(row, value)
        elif not can_take(offer, row.field, value):
            _set(row, "parked", "The catalog cannot hold this value.")
        elif self.takeovers.add(offer, row.field, value):
            self.pending.append(_Pending(row, was, value, offer))
        else:
            # Another listing of the same thing brings a value in at this moment: look again after it.
            row.ours = was.ours
            self.again.add(row.listing_id)

    def contest(self, asker: Asker, row: Row, why: Why) -> None:
        """Decide a contested field by its policy, or leave it to a person."""
        ours, offer = self.ours(row), self.offers[row.listing_id]
        question = asker.question(row, ours, offer["variant_id"])
        policy = self.policies[row.field]
        row.ours = ours.value
        self.conflicts.append(questions.found(row, why, question, ours, offer["variant_id"]))
        answer = decide(policy.policy, question) if why in (Why.BOTH_CHANGED, Why.NEVER_AGREED) else None
        if answer is None or any(
            rules.swings(policy.rule, side, answer.value) for side in (ours.value, row.known.theirs)
        ):
            _set(row, "conflict", str(why))
            return
        self.decided.append((row.listing_id, row.field, {**questions.as_json(answer), "by": POLICY}, None))
        self.carry_out(row, answer, ours)

    def carry_out(self, row: Row, answer: Answer, ours: Ours) -> None:
        """Do what was decided."""
        was = copy.copy(row)
        resolved = rules.resolve(FIELDS[row.field].kind, row.known, ours.value, answer.side, answer.value)
        row.known = resolved.state
        if answer.side is Side.VALUE and resolved.ours != ours.value:
            self.bring_in(row, was, resolved.ours, ours)
            return
        outcome = rules.merge(self.policies[row.field].rule, row.known, ours.value).outcome
        self.follow(row, outcome, ours)


def _set(row: Row, state: str, detail: str = "", next_attempt_at: datetime | None = None) -> None:
    row.state, row.detail, row.attempts, row.next_attempt_at = state, detail, 0, next_attempt_at


def _after_bringing_in(row: Row, value: Value) -> None:
    """Our side has the value now: agreed where it was theirs, else it goes out."""
    row.ours = value
    if value == row.known.theirs:
        row.known = rules.taken_in(row.known)
        _set(row, "agreed")
    else:
        _set(row, "out")


async def _take_over(tx: Tx, round_: _Round) -> None:
    """Write into the catalog what came in; what somebody changed at this moment is merged again."""
    here = round_.here
    free = await catalog.take_over(tx, list(round_.takeovers.found.values())) if round_.takeovers.found else set()
    origins: list[own_store.Origin] = []
    actor = system_actor(here.connection.organisation_id, here.connection.name)
    for each in round_.pending:
        row, subject = each.row, subject_of(each.offer, each.row.field)
        if subject not in free:
            was = each.was
            row.known, row.ours, row.state, row.detail = was.known, was.ours, was.state, was.detail
            round_.again.add(row.listing_id)
            round_.conflicts = [f for f in round_.conflicts if (f.subject_id, f.field) != row.key]
            round_.decided = [d for d in round_.decided if d[:2] != row.key]
            continue
        before = round_.ours(row).value
        _after_bringing_in(row, each.value)
        theirs_at = row.known.theirs_at
        at = here.now if theirs_at is None else theirs_at - here.clock_offset
        name = here.connection.name
        origins.append((subject, row.field, each.value, here.connection.id, here.connection.channel, name, at))
        kind = "product" if subject == each.offer["product_id"] else "variant"
        await identity.record(
            tx, actor, "listing.take_over", kind, subject, {row.field: before}, {row.field: each.value}
        )
    await own_store.put_origins(tx, origins)
    await store.want_merge(tx, sorted(round_.again))
    if round_.again:
        tx.hint(f"merge:{here.connection.id}")
