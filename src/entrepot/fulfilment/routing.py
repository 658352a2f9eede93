"""Orders are routed: their units are assigned to places, reserved there, or wait with a reason.

Everything of an order is written with the order locked, then its stock: a step that is killed leaves nothing half done, and
one done twice finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.fulfilment import planning, rules, store
from entrepot.fulfilment.contracts import Parked, Place, Routing, Sending
from entrepot.fulfilment.facts import NOT_MATCHED, SHORT, Facts, free_units, gather, rules_in_force
from entrepot.fulfilment.rule_data import RuleSet
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.orders.contracts import OrderToRoute
from entrepot.stock import facade as stock

ACTOR = "routing"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of an order: of its fulfilment orders, what was routed anew for that, and what waits."""

    outcome: planning.Outcome
    routing: Routing
    parked: tuple[Parked, ...]


@dataclass(slots=True)
class _Written:
    """Rows of several orders, written together at the end."""

    routings: list[tuple[UUID, int, str, Sequence[str], datetime]] = field(default_factory=list)
    parked: list[store.ParkedRow] = field(default_factory=list)
    notes: list[tuple[UUID, str]] = field(default_factory=list)
    made: list[store.NewSending] = field(default_factory=list)


async def route_orders(tx: Tx, order_ids: Sequence[UUID], now: datetime) -> int:
    """Look at these orders: end what they no longer need, route what has no place. Return of how many anything changed.

    What was asked of them is taken off the queue in the same transaction.
    """
    await orders.lock_orders_named(tx, order_ids)
    kinds = await store.take_requests(tx, order_ids)
    facts = await gather(tx, order_ids, now, lock=True)
    number, rule_set = await rules_in_force(tx)
    written = _Written()
    changed = 0
    for order in facts.orders:
        told = kinds.get(order.id, set())
        sendings = facts.sendings.get(order.id, [])
        decision = decide(facts, order, rule_set, now, anew="person" in told, edited="order" in told)
        if await _carry_out(tx, facts, order, sendings, decision, written):
            changed += 1
            written.notes.append((order.id, in_words(facts.places, sendings, decision)))
        if decision.routing.steps:
            written.routings.append((order.id, number, decision.routing.rule or "", decision.routing.steps, now))
        written.parked += _rows(facts, order, decision.parked)
        looks = [parked.until for parked in decision.parked if parked.until is not None]
        if looks:
            await store.ask(tx, [order.id], "stock", min(looks))
    await store.insert_sendings(tx, written.made)
    await store.put_routing(tx, written.routings)
    await store.put_parked(tx, [order.id for order in facts.orders], written.parked)
    await orders.note_routed(tx, written.notes, now, actor=ACTOR)
    return changed


def decide(
    facts: Facts, order: OrderToRoute, rule_set: RuleSet, now: datetime, *, anew: bool = False, edited: bool = False
) -> Decision:
    """Return what is to become of an order: pure, of facts.

    `anew`: its open fulfilment orders are let go; `edited`: they are if what is reserved is not what they have.
    """
    sendings = facts.sendings.get(order.id, [])
    reserved = {line.id: line.reserved for line in order.lines if line.reserved > 0}
    if order.status == "pending":
        reserved = {}
    let_go = anew or (edited and not planning.is_complete(sendings, reserved))
    kept = planning.keep(sendings, reserved, facts.parts, facts.stock_of(order), anew=let_go)
    parked = [
        Parked(line.id, line.shortage or line.open, SHORT if line.variant_id else NOT_MATCHED)
        for line in order.lines
        if order.status != "pending" and (line.shortage or (line.variant_id is None and line.open > 0))
        and not order.fulfilled_by_channel
    ]  # fmt: skip
    if not kept.left:
        steps = ("The channel sends it.",) if order.fulfilled_by_channel and not sendings else ()
        outcome = planning.outcome(sendings, kept.units, ())
        return Decision(outcome, Routing((), (), None, steps), tuple(parked))
    routing = rules.route(facts.route_order(order, kept.left), rule_set, _able(facts, sendings), kept.stock, now)
    outcome = planning.outcome(sendings, kept.units, routing.assignments)
    return Decision(outcome, routing, _one_each([*routing.parked, *parked]))


def _able(facts: Facts, sendings: Sequence[Sending]) -> list[Place]:
    """Return the places; one that this order has work at already needs no further of its day's capacity."""
    here = {each.location_id for each in sendings}
    return [
        replace(place, capacity_left=place.capacity_left + 1)
        if place.id in here and place.capacity_left is not None
        else place
        for place in facts.places.values()
    ]


def _one_each(parked: Sequence[Parked]) -> tuple[Parked, ...]:
    """Return one entry for each line: units that wait for two reasons are told by the first."""
    found: dict[UUID, Parked] = {}
    for each in parked:
        first = found.get(each.line_id)
        found[each.line_id] = each if first is None else replace(first, quantity=first.quantity + each.quantity)
    return tuple(found.values())


async def _carry_out(
    tx: Tx,
    facts: Facts,
    order: OrderToRoute,
    sendings: Sequence[Sending],
    decision: Decision,
    written: _Written,
) -> bool:
    """Write what was decided of one order; return whether anything changed."""
    found = decision.outcome
    touched = [each.id for each in sendings if found.units[each.id] != dict(each.lines)]
    wanted = planning.by_place(sendings, found)
    # Also where the work stays as it is: a recount may have had its stock reserved elsewhere.
    if any(facts.there(line, place) < n for line, places in wanted.items() for place, n in places.items()):
        await stock.place_sales(tx, wanted, actor=ACTOR)
        facts.free |= await free_units(tx, {variant for line in wanted for variant in facts.parts[line]})
    for id in touched:
        await store.put_units(tx, id, found.units[id])
    if touched:
        await store.end_if_empty(tx, touched)
    for place_id, lines in found.new.items():
        written.made.append(store.NewSending(new_id(), order.id, place_id, lines))
        place = facts.places[place_id]
        if place.capacity_left is not None:
            facts.places[place_id] = replace(place, capacity_left=place.capacity_left - 1)
    return bool(touched or found.new)


def _rows(facts: Facts, order: OrderToRoute, parked: Sequence[Parked]) -> list[store.ParkedRow]:
    return [
        (each.line_id, variant, order.id, each.quantity, each.reason, each.until, each.cancel_at)
        for each in parked
        for variant in facts.parts.get(each.line_id, {})
    ]


def in_words(places: Mapping[UUID, Place], sendings: Sequence[Sending], decision: Decision) -> str:
    """Return what was decided in one sentence."""
    where = {each.id: each.location_id for each in sendings}
    ids = [where[id] for id, lines in decision.outcome.units.items() if lines] + list(decision.outcome.new)
    names = [places[id].name if id in places else "a location out of use" for id in dict.fromkeys(ids)]
    waiting = sum(each.quantity for each in decision.parked)
    said = f"To be sent from {' and '.join(names)}" if names else "Nothing of it is to be sent from here"
    return f"{said}; {waiting} units wait" if waiting else said
