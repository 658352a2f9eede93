"""What came of a simulation: the comparison, the best of it, in words and as a file. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.allocation.simulate import Tally
from entrepot.allocation.simulation_settings import SimulationSettings, lag_words
from entrepot.jobs.facade import JobState, JobView


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy at a lag came to, with a choice of locations if any. `best`: it earns most at its lag."""

    policy: str
    lag_s: float
    tally: Tally
    best: bool = False
    locations: str = ""

    @property
    def oversold_share(self) -> float:
        """Stock-outs with an oversell, of all stock-outs."""
        return self.tally.stock_outs_oversold / self.tally.stock_outs if self.tally.stock_outs else 0.0

    @property
    def lost_share(self) -> float:
        """Units lost, of those that the clairvoyant sells with the same stock."""
        return self.tally.lost / self.tally.clairvoyant_sold if self.tally.clairvoyant_sold else 0.0

    @property
    def split_share(self) -> float:
        """Orders sent from several locations, of all that were sent."""
        return self.tally.orders_split / self.tally.orders_sent if self.tally.orders_sent else 0.0

    @property
    def abroad_share(self) -> float | None:
        """Parcels that went abroad, of those where both countries are known; None where there is none."""
        return self.tally.parcels_abroad / self.tally.parcels_told if self.tally.parcels_told else None

    @property
    def margin_share(self) -> float | None:
        """The margin less oversells, of what the clairvoyant earns; None where no price is known."""
        whole = self.tally.clairvoyant_margin_minor
        return self.tally.margin_minor / whole if whole > 0 else None


@dataclass(frozen=True, slots=True)
class SimulationView:
    """A simulation with what came of it so far. `job` is None once its record is too old to be kept."""

    id: UUID
    title: str
    actor: str
    job: JobView | None
    file_id: UUID | None
    file_name: str | None
    settings: SimulationSettings
    found: Mapping[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    outcomes: tuple[Outcome, ...]

    @property
    def state(self) -> str:
        """Return where it stands: done, or where its job does."""
        if self.finished_at is not None:
            return JobState.DONE.value
        return self.job.state.value if self.job else JobState.CANCELLED.value

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.finished_at is None and self.job is not None and self.job.is_open


def marked(outcomes: Sequence[Outcome], oversell_cost: float) -> tuple[Outcome, ...]:
    """Return the outcomes with the best at each lag marked: it earns most; without prices it sells most, less oversells."""

    def worth(each: Outcome) -> tuple[float, ...]:
        tally = each.tally
        units = tally.sold - tally.oversold * oversell_cost
        first = tally.margin_minor if each.margin_share is not None else units
        # Where units are changes nothing of what is sold: then fewer parcels abroad are better, then fewer parcels.
        return first, -tally.oversold, -tally.lost, -tally.parcels_abroad, -tally.parcels

    best = {}
    for lag in {each.lag_s for each in outcomes}:
        best[lag] = max(worth(each) for each in outcomes if each.lag_s == lag)
    return tuple(replace(each, best=worth(each) == best[each.lag_s]) for each in outcomes)


def conclusions(outcomes: Sequence[Outcome]) -> list[str]:
    """Return in words which is best at each lag, and what the other choices of locations come to under that policy."""
    found = []
    for lag in dict.fromkeys(each.lag_s for each in outcomes):
        rows = [each for each in outcomes if each.lag_s == lag]
        best = next((each for each in rows if each.best), None)
        if best is None or len(rows) < 2:
            continue
        if best.margin_share is not None:
            why = f"earns most, {best.margin_share:.2%} of what the clairvoyant earns with the same stock"
        else:
            why = f"sells most, less what oversells cost; of what the clairvoyant sells {best.lost_share:.2%} are lost"
        found.append(f"At {lag_words(lag)} {_named(best)} {why}.")
        same = [each for each in rows if each.policy == best.policy and each.locations]
        if len(same) > 1:
            found += [_beside(each, best) for each in same if each is not best]
            found += _fewest(same)
    return found


def _named(each: Outcome) -> str:
    policy = each.policy.replace("_", " ")
    return f"{policy} with “{each.locations}”" if each.locations else policy


def _beside(each: Outcome, best: Outcome) -> str:
    tally, other = each.tally, best.tally
    figures = []
    if best.margin_share is not None and other.margin_minor > 0:
        figures.append(f"{tally.margin_minor / other.margin_minor - 1:+.2%} margin")
    figures.append(f"{tally.sold - other.sold:+,.0f} units sold")
    if tally.parcels_told and other.parcels_told:
        figures.append(f"{tally.parcels_abroad - other.parcels_abroad:+,.0f} parcels abroad")
    figures.append(f"{tally.orders_split - other.orders_split:+,.0f} orders split")
    return f"“{each.locations}” beside it: {', '.join(figures)}."


def _fewest(rows: Sequence[Outcome]) -> list[str]:
    """Shares, not counts: who sells less sends less. Where all are alike nothing is said."""
    found = []
    told = [each for each in rows if each.abroad_share is not None]
    if len({each.abroad_share for each in told}) > 1:
        near = min(told, key=lambda each: each.abroad_share or 0.0)
        found.append(f"Abroad most rarely: “{near.locations}” ({near.abroad_share:.2%} of its parcels).")
    sent = [each for each in rows if each.tally.orders_sent]
    if len({each.split_share for each in sent}) > 1:
        whole = min(sent, key=lambda each: each.split_share)
        found.append(f"Split most rarely: “{whole.locations}” ({whole.split_share:.2%} of its orders).")
    return found


CSV_COLUMNS = (
    "asked", "sold", "oversold", "lost", "stranded", "stock_outs", "stock_outs_oversold", "clairvoyant_sold",
    "revenue_minor", "margin_minor", "clairvoyant_revenue_minor", "clairvoyant_margin_minor", "asked_with_cost",
    "orders_sent", "orders_split", "parcels", "parcels_told", "parcels_abroad", "clairvoyant_orders_split",
    "clairvoyant_parcels", "clairvoyant_parcels_told", "clairvoyant_parcels_abroad",
)  # fmt: skip


def as_csv(view: SimulationView) -> str:
    """Return the comparison as a file. A name that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("policy", "lag_s", "locations", "best", *CSV_COLUMNS))
    for each in view.outcomes:
        names = [f"'{name}" if name[:1] in "=+-@\t\r" else name for name in (each.policy, each.locations)]
        figures = [round(getattr(each.tally, column)) for column in CSV_COLUMNS]
        writer.writerow((names[0], f"{each.lag_s:g}", names[1], "yes" if each.best else "", *figures))
    return text.getvalue()
