"""Where the reserved units of a sale will be sent from: reservations move between locations, all or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_claims
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import NotEnoughStock, Shortfall
from entrepot.stock.sales import lock_sold

REASON = "to be sent from another location"


class NotReserved(Conflict):
    """So many units are not reserved for this order line any more: look at the order again."""


async def place_sales(tx: Tx, wanted: Mapping[UUID, Mapping[UUID, int]], *, actor: str) -> None:
    """Reserve units of order lines at the locations that will send them: by line, units (of what it sells) by location.

    What is reserved elsewhere moves there; units beyond those asked for stay where they are. All or nothing. The lines'
    orders are to be locked before. Raises NotReserved, NotEnoughStock (a location has too few that are free).
    """
    lines = {line: {at: n for at, n in places.items() if n > 0} for line, places in wanted.items()}
    levels = await lock_sold(tx, await store_claims.variants_of_lines(tx, list(lines)))
    ledger = store.Ledger(levels, actor)
    groups: dict[tuple[UUID, UUID], list[store_claims.Reservation]] = defaultdict(list)
    for claim in await store_claims.active_by_reference(tx, list(lines)):
        if claim.reference_id is not None:
            groups[claim.reference_id, claim.variant_id].append(claim)
    told = {line for line, _ in groups}
    if missing := next((line for line, places in lines.items() if places and line not in told), None):
        raise NotReserved(order_line_id=str(missing))
    ended: list[tuple[UUID, int]] = []
    shrunk: list[tuple[UUID, int, int]] = []
    arriving: list[tuple[store_claims.Reservation, UUID, int]] = []
    for (line, _), claims in groups.items():
        arriving += _leave(ledger, claims, lines[line], ended, shrunk)
    if not arriving:
        return
    rows = _arrive(ledger, arriving)
    await store_claims.end_reservations(tx, ended, "released")
    for reservation_id, number, quantity in shrunk:
        await store_claims.shrink_reservation(tx, reservation_id, number, quantity)
    await store_claims.insert_reservations(tx, rows)
    await ledger.write(tx)
    await tell_changed(tx, ledger.changed_variants)


def _leave(
    ledger: store.Ledger,
    claims: Sequence[store_claims.Reservation],
    places: Mapping[UUID, int],
    ended: list[tuple[UUID, int]],
    shrunk: list[tuple[UUID, int, int]],
) -> list[tuple[store_claims.Reservation, UUID, int]]:
    """Take units of one line and variant from where they are too many; return (a claim, location, units) to come."""
    each = claims[0].per_bundle
    target = {at: units * each for at, units in places.items()}
    there: dict[UUID, int] = defaultdict(int)
    for claim in claims:
        there[claim.location_id] += claim.quantity
    if sum(target.values()) > sum(there.values()):
        raise NotReserved(order_line_id=str(claims[0].reference_id))
    lacking = {at: units - there[at] for at, units in target.items() if units > there[at]}
    to_move = sum(lacking.values())
    for claim in reversed(claims):
        part = min(to_move, claim.quantity, there[claim.location_id] - target.get(claim.location_id, 0))
        if part <= 0:
            continue
        to_move -= part
        there[claim.location_id] -= part
        ledger.apply(ledger.at(claim.variant_id, claim.location_id), _moved(claim, -part))
        if part == claim.quantity:
            ended.append((claim.id, claim.line))
        else:
            shrunk.append((claim.id, claim.line, claim.quantity - part))
    return [(claims[0], at, units) for at, units in lacking.items()]


def _arrive(
    ledger: store.Ledger, arriving: Sequence[tuple[store_claims.Reservation, UUID, int]]
) -> list[store_claims.ReservationRow]:
    """Reserve the units at their new locations; return the rows of the reservations."""
    rows: list[store_claims.ReservationRow] = []
    short: list[Shortfall] = []
    for claim, location_id, units in arriving:
        level = next((v for v in ledger.levels.get(claim.variant_id, ()) if v.location_id == location_id), None)
        if level is None or level.free < units:
            short.append(Shortfall(claim.variant_id, units, max(0, level.free) if level else 0))
            continue
        ledger.apply(level, _moved(claim, units))
        rows.append(
            (new_id(), 0, "order", claim.variant_id, location_id, units, claim.reference_id, None, claim.per_bundle)
        )
    if short:
        raise NotEnoughStock(tuple(short))
    return rows


def _moved(claim: store_claims.Reservation, units: int) -> store.Movement:
    return store.Movement(
        "reserve" if units > 0 else "release", reserved=units, reference_kind="order_line",
        reference_id=claim.reference_id, reason=REASON,
    )  # fmt: skip
