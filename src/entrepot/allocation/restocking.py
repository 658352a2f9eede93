"""Buying by demand: the reorder rule that reckons with the forecast. Points that a person set win."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from entrepot.allocation import store_forecast as store
from entrepot.allocation.forecast import outlook_of
from entrepot.allocation.forecasting import FRESH_DAYS
from entrepot.database.pool import Tx
from entrepot.kernel.clock import Clock, utc_now
from entrepot.stock import facade as stock
from entrepot.stock.facade import Advice, Position
from entrepot.stock.reorder import Outlook, Pace, Terms, restock

LEAST_DAYS = 7
"""With fewer days of history nothing is suggested by demand."""
LEAD_DAYS = 7
"""Taken where nobody sells the variant yet."""
REMEMBERED_S = 15.0
"""How long what all goods have in common is remembered in this process."""

Place = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    outlook: Outlook | None


class DemandRule:
    """Buys what is expected to sell: METHODS 3, `stock.reorder.restock`.

    A variant is judged by all that there is of it, wherever it is, and bought for the first place of our own. Where a reorder
    point is set at any of its places, points decide about all of them.
    """

    every_level = True

    def __init__(self, service_level: float = 0.95, review_days: int = 7, *, clock: Clock = utc_now) -> None:
        """`service_level`: the chance of not running out before the next delivery; `review_days`: between two orders."""
        self._level, self._review_days, self._clock = service_level, review_days, clock
        self._outlooks: dict[UUID, _Remembered] = {}

    async def advise(self, tx: Tx, positions: Sequence[Position]) -> Mapping[Place, Advice]:
        """Return what to buy."""
        by_variant: dict[UUID, list[Position]] = {}
        for position in positions:
            by_variant.setdefault(position.variant_id, []).append(position)
        by_demand = {id for id, own in by_variant.items() if all(p.reorder_point is None for p in own)}
        found: dict[Place, Advice] = {}
        for position in positions:
            advice = None if position.variant_id in by_demand else stock.by_point(position)
            if advice is not None:
                found[position.variant_id, position.location_id] = advice
        outlook = await self._outlook(tx) if by_demand else None
        if outlook is None:
            return found
        since = self._clock().date() - timedelta(days=FRESH_DAYS)
        for row in await store.variant_forecasts(tx, sorted(by_demand), since):
            own = by_variant[row["variant_id"]]
            place = next((p for p in own if p.first), None)
            pace = Pace(row["units_a_day"], row["mean_a_day"], row["days"])
            advice = None if place is None else by_forecast(own, place, pace, self._level, self._review_days, outlook)
            if place is not None and advice is not None:
                found[place.variant_id, place.location_id] = advice
        return found

    async def _outlook(self, tx: Tx) -> Outlook | None:
        known = self._outlooks.get(tx.organisation)
        if known is None or known.until <= time.monotonic():
            row = await store.model(tx)
            today = self._clock().date()
            outlook = outlook_of(row["profile"], row["scatters"], today) if row is not None else None
            known = self._outlooks[tx.organisation] = _Remembered(time.monotonic() + REMEMBERED_S, outlook)
        return known.outlook


def by_forecast(
    positions: Sequence[Position], place: Position, pace: Pace, level: float, review_days: int, outlook: Outlook
) -> Advice | None:
    """Return what to buy of a variant for `place`, or None if nothing is due. Pure."""
    if pace.days < LEAST_DAYS:
        return None
    lead = LEAD_DAYS if place.lead_time_days is None else place.lead_time_days
    terms = Terms(lead, review_days, under_minor=level, over_minor=1 - level)
    whole = replace(
        place,
        on_hand=sum(p.on_hand for p in positions),
        claimed=sum(p.claimed for p in positions),
        unavailable=sum(p.unavailable for p in positions),
        incoming=sum(p.incoming for p in positions),
        short=sum(p.short for p in positions),
    )
    found = restock(whole.units, pace, terms, outlook)
    if not found.units:
        return None
    words = stock.stock_words(whole)
    where = f"At {len(positions)} places: {words}" if len(positions) > 1 else words
    return Advice(found.units, (where, *found.steps))
