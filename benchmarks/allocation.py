"""Allocation: the risk rule against its targets, in simulated stock-outs, beside an exact optimum, and how long it takes.

Pure figures, no database. A cycle: 20 or 100 units, customers of three channels (50, 30, 20 percent of sales) ask for half as
much again as there is; every sale is known everywhere after the lag.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from uuid import UUID

from benchmarks import cycles, exact, interleavings
from benchmarks.cycles import Outcome
from benchmarks.report import Figures, Line
from entrepot.allocation.contracts import Demand, Outlet, Policy, Shown
from entrepot.allocation.escrow import bounds
from entrepot.allocation.rules import allot

KEYS = (
    "p_oversell_max", "gap_to_dp_max", "lost_x100", "lost_x20", "escrow_oversold_units", "bound_10k_s",
    "realloc_10k_x10_cpu_s",
)  # fmt: skip
LAGS = (0.14, 0.3, 0.6, 2.0, 20.0)
STOCKS = {20: 20_000, 100: 10_000}
"""Cycles by units in stock."""
RISK = 0.005
EPISODES = 1_000_000
PARTS = 20
SEED = 20_101_201


def measure(_seconds: float) -> tuple[Figures, list[Line]]:
    """Measure everything. How long does not depend on the seconds: chances so small need their number of cycles."""
    bound, reallocation = _bound_s(), _reallocation_s()
    with ProcessPoolExecutor(2) as pool:
        overs = [pool.submit(interleavings.oversold, SEED + n, EPISODES // PARTS) for n in range(PARTS)]
        found = _cycles(pool)
        gaps = list(pool.map(exact.gap, exact.cases(), chunksize=20))
        oversold = sum(part.result() for part in overs)
    risk = {where: outcome for (name, *where_), outcome in found.items() if name == "risk" for where in [tuple(where_)]}
    worst = max(o.oversold for o in risk.values())
    lost_100 = max(o.lost for (units, _), o in risk.items() if units == 100)
    lost_20 = max(o.lost for (units, lag), o in risk.items() if units == 20 and lag <= 0.3)
    figures = {
        "p_oversell_max": worst,
        "gap_to_dp_max": max(gaps),
        "lost_x100": lost_100,
        "lost_x20": lost_20,
        "escrow_oversold_units": float(oversold),
        "bound_10k_s": bound,
        "realloc_10k_x10_cpu_s": reallocation,
    }
    mean = sum(gaps) / len(gaps)
    lines = [
        *_table(found),
        Line("Chance of an oversell a cycle, worst of the rule's", f"{worst:.2%}", f"at most {RISK:.1%}"),
        Line("Sales lost, 100 units, worst", f"{lost_100:.2%}", "at most .5%"),
        Line("Sales lost, 20 units, lag up to .3, worst", f"{lost_20:.2%}", "at most 1%"),
        Line(f"Gap to the exact optimum, worst of {len(gaps)} (mean {mean:.3%})", f"{max(gaps):.3%}", "at most .3%"),
        Line(f"Units oversold in {EPISODES:,} interleavings of escrow", str(oversold), "0"),
        Line("Bounds of 10,000 SKUs on 10 channels, from cold", f"{bound:.3f} s", "under .1 s"),
        Line("10,000 SKUs x 10 channels divided anew", f"{reallocation:.2f} CPU s", "under 2 CPU s"),
    ]
    return figures, lines


def _cycles(pool: Executor) -> dict[tuple[str, int, float], Outcome]:
    policies: dict[str, Callable[[cycles.Hub], Sequence[int]]] = {
        "pool": cycles.pool, "fixed 40/30/20/10": cycles.fixed, "equal": cycles.equal, "risk": cycles.risk,
    }  # fmt: skip
    asked = {
        (name, units, lag): pool.submit(
            cycles.measure, units, lag, policy, count if name == "risk" else count // 5, SEED, risk=RISK
        )
        for units, count in STOCKS.items()
        for lag in LAGS
        for name, policy in policies.items()
    }
    return {key: future.result() for key, future in asked.items()}


def _table(found: dict[tuple[str, int, float], Outcome]) -> list[Line]:
    lines = []
    for units in STOCKS:
        for lag in LAGS:
            told = {n: f"{o.oversold:.2%}/{o.lost:.2%}" for (n, u, at), o in found.items() if (u, at) == (units, lag)}
            others = ", ".join(f"{name} {words}" for name, words in told.items() if name != "risk")
            lines.append(Line(f"Oversold/lost, {units} units, {lag:g} sold within the lag", told["risk"], others))
    return lines


def catalogue(count: int, channels: int, seed: int = SEED) -> list[tuple[int, list[Outlet]]]:
    """Return so many variants as shops have them: from one sale in three months to 1,000 a day, lags of 5 s to 15 min."""
    chance = random.Random(seed)  # noqa: S311
    made = []
    for number in range(count):
        rate, lag = 10 ** chance.uniform(-2, 3) / 86_400, chance.choice((5.0, 60.0, 900.0))
        weights = [chance.random() ** 2 + 0.01 for _ in range(channels)]
        pool = chance.choice((0, 1, 3, 10, 30, 100, 1_000))
        outlets = []
        for place, weight in enumerate(weights):
            own = rate * weight / sum(weights)
            told = Demand(own, int(own * 30 * 86_400), None, lag / 3, lag, 500.0)
            shown = pool // channels + (place < pool % channels)
            outlets.append(
                Outlet(
                    UUID(int=number * channels + place + 1), UUID(int=place + 1), f"channel-{place}", place,
                    shown=Shown(shown, shown), demand=told,
                )
            )  # fmt: skip
        made.append((pool, outlets))
    return made


def _bound_s() -> float:
    variants = catalogue(10_000, 10)
    rates = [[o.demand.rate_s or 0.0 for o in outlets] for _, outlets in variants]
    lags = [outlets[0].demand.lag_p99_s or 0.0 for _, outlets in variants]
    start = time.process_time()
    bounds(rates, lags, RISK)
    return time.process_time() - start


def _reallocation_s() -> float:
    policy, variants = Policy("risk", {}), catalogue(10_000, 10)
    start = time.process_time()
    for pool, outlets in variants:
        allot(policy, pool, outlets)
    return time.process_time() - start
