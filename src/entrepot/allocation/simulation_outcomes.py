"""What came of a simulation: the comparison, the best of it, in words and as a file. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.allocation.simulate import Tally
from entrepot.allocation.simulation_settings import SimulationSettings
from entrepot.jobs.facade import JobState, JobView

@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy at a lag came to. `best`: it earns most at its lag."""

    policy: str
    lag_s: float
    tally: Tally
    best: bool = False

    @property
    def oversold_share(self) -> float:
        """Stock-outs with an oversell, of all stock-outs."""
        return self.tally.stock_outs_oversold / self.tally.stock_outs if self.tally.stock_outs else 0.0

    @property
    def lost_share(self) -> float:
        """Units lost, of those that the clairvoyant sells."""
        return self.tally.lost / self.tally.clairvoyant_sold if self.tally.clairvoyant_sold else 0.0

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

    def worth(each: Outcome) -> tuple[float, float, float]:
        tally = each.tally
        units = tally.sold - tally.oversold * oversell_cost
        return (tally.margin_minor if each.margin_share is not None else units, -tally.oversold, -tally.lost)

    best = {}
    for lag in {each.lag_s for each in outcomes}:
        best[lag] = max(worth(each) for each in outcomes if each.lag_s == lag)
    return tuple(Outcome(e.policy, e.lag_s, e.tally, worth(e) == best[e.lag_s]) for e in outcomes)


CSV_COLUMNS = (
    "asked", "sold", "oversold", "lost", "stranded", "stock_outs", "stock_outs_oversold", "clairvoyant_sold",
    "revenue_minor", "margin_minor", "clairvoyant_revenue_minor", "clairvoyant_margin_minor", "asked_with_cost",
)  # fmt: skip


def as_csv(view: SimulationView) -> str:
    """Return the comparison as a file. A name that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("policy", "lag_s", "best", *CSV_COLUMNS))
    for each in view.outcomes:
        name = f"'{each.policy}" if each.policy[:1] in "=+-@\t\r" else each.policy
        figures = [round(getattr(each.tally, column)) for column in CSV_COLUMNS]
        writer.writerow((name, f"{each.lag_s:g}", "yes" if each.best else "", *figures))
    return text.getvalue()
