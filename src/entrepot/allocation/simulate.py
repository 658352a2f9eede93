"""What past orders would have come to under another policy: oversold, lost and stranded units, and margin. Pure.

Each SKU is replayed by itself. A sale takes units off its own listing at once; the hub hears of it after half of the lag,
decides anew by the same rules as it does in earnest, and its answer takes effect after the other half. A listing that shows
fewer than are asked for sells what it shows; the rest is lost there. Lost and oversold are held against a clairvoyant, who
sells every unit that is there to whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo

from entrepot.allocation.bunching import Course
from entrepot.allocation.clock import asks_for_time, turns
from entrepot.allocation.contracts import Policy
from entrepot.allocation.replay_locations import Parcels
from entrepot.allocation.replay_sku import OneSku
from entrepot.allocation.replay_terms import (
    DAY_S,
    NAMED,
    Goods,
    OrderLine,
    Plan,
    Selling,
    Stocking,
    Tally,
    divides_by_risk,
)

__all__ = ["DAY_S", "NAMED", "Goods", "OrderLine", "Plan", "Replay", "Selling", "Stocking", "Tally", "replay"]

NO_COURSE = Course()


class Replay:
    """Past lines, in order of time, ready to be replayed under any number of plans."""

    def __init__(self, lines: Iterable[OrderLine], zone: tzinfo = UTC) -> None:
        """`zone`: where the shop's hours are meant."""
        self._by_sku: dict[str, list[OrderLine]] = {}
        first = last = None
        for line in lines:
            first = line.at_s if first is None else first
            last = line.at_s
            self._by_sku.setdefault(line.sku, []).append(line)
        self.first_s, self.last_s = first or 0.0, last or 0.0
        """When the first and the last line were."""
        self._span = max(DAY_S, self.last_s - self.first_s)
        self._zone = zone
        self._course: Course | None = None

    @property
    def skus(self) -> int:
        """How many SKUs were asked for."""
        return len(self._by_sku)

    def steps(self, plan: Plan, channels: Sequence[str]) -> Iterator[Tally]:
        """Replay SKU by SKU; after each the sum so far (always the same object). Channels are in order of priority.

        What became of orders is in it at the end.
        """
        whole = Tally()
        course = self._bunching() if divides_by_risk(plan.policy) else NO_COURSE
        clock = self._clock(plan.policy)
        parcels = (Parcels(plan.arrangement), Parcels(plan.arrangement)) if plan.arrangement else None
        for own in self._by_sku.values():
            whole.add(OneSku(own, plan, channels, self.first_s, self._span, course, clock, parcels).run())
            yield whole
        if parcels:
            whole.note(parcels[0].sent(), parcels[1].sent())

    def _clock(self, policy: Policy) -> Sequence[float]:
        """Return when a policy's rules say something else though nothing happens."""
        if not asks_for_time(policy.strategy, policy.parameters):
            return ()
        first, last = (datetime.fromtimestamp(at, UTC) for at in (self.first_s, self.last_s))
        return [at.timestamp() for at in turns(policy.parameters, first, last)]

    def _bunching(self) -> Course:
        """Return how sales came, as the shop would have known it week by week."""
        if self._course is None:
            # An order has no number here: lines of one SKU at one time on one channel are one sale.
            sales: list[Sequence[tuple[float, int]]] = []
            orders: set[tuple[float, str]] = set()
            for own in self._by_sku.values():
                sizes: dict[tuple[float, str], int] = {}
                for line in own:
                    order = line.at_s, line.channel
                    sizes[order] = sizes.get(order, 0) + line.units
                orders |= sizes.keys()
                sales.append([(at, size) for (at, _), size in sizes.items()])
            self._course = Course.of([at for at, _ in orders], sales, self._zone)
        return self._course

    def run(self, plan: Plan, channels: Sequence[str]) -> Tally:
        """Return what the lines would have come to."""
        whole = Tally()
        for whole in self.steps(plan, channels):  # noqa: B007 (the last one is the sum)
            pass
        return whole


def replay(lines: Iterable[OrderLine], plan: Plan, channels: Sequence[str]) -> Tally:
    """Return what these lines, in order of time, would have come to. Channels are in order of priority."""
    return Replay(lines).run(plan, channels)
