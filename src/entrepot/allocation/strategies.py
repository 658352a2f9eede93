"""The strategies that divide a pool by plain figures, and the one that weighs the risk of overselling. Pure.

A strategy is told the pool, the listings in order of priority, its parameters and the variant's situation, and answers for
each listing how many units it may show and why. Buffers, caps and the least quantity are taken off afterwards (`rules.allot`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from entrepot.allocation.contracts import Allotment, Demand, Outlet, Situation
from entrepot.allocation.escrow import Portion
from entrepot.allocation.risk import Choice, Exposure, Mode, choose

DEFAULT_SHARES = (Decimal("0.4"), Decimal("0.3"), Decimal("0.2"))

PERFORMANCE_PRIOR = 10.0
"""Units by which sales are evened: a variant that sold ten has half of its shares from its sales, half equal."""

FORECAST_PRIOR = 3.0

RISK_DEFAULTS: Mapping[str, float] = {"risk": 0.005, "oversell_cost": 10.0, "replenish_days": 14.0, "lag_s": 900.0}
"""`oversell_cost` counts in margins; `lag_s` is taken for a channel whose lag is not known."""

DAY_S = 86_400.0

Strategy = Callable[[int, Sequence[Outlet], Mapping[str, Any], Situation], list[Allotment]]


def fixed_shares(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], _: Situation) -> list[Allotment]:
    """Give each connection its share of the pool, rounded down; the rest stays in reserve.

    A connection's share is its own setting, else `parameters["shares"][channel]`, else the default by rank (40, 30, 20
    percent, further ones nothing until they are given a share). Shares that sum to more than one, less
    `parameters["reserve"]`, are scaled down.
    """
    named = {str(k): Decimal(str(v)) for k, v in dict(parameters.get("shares", {})).items()}
    shares = []
    for outlet in outlets:
        default = DEFAULT_SHARES[outlet.rank] if outlet.rank < len(DEFAULT_SHARES) else Decimal(0)
        share = outlet.share if outlet.share is not None else named.get(outlet.channel, default)
        shares.append(share / outlet.siblings)
    total = sum(shares, Decimal(0))
    most = 1 - Decimal(str(parameters.get("reserve", 0)))
    scale = most / total if total > most else Decimal(1)
    return [
        Allotment(
            o.listing_id,
            int(max(0, pool) * share * scale),
            (f"fixed share {(share * scale).normalize():%} of {pool}",),
        )
        for o, share in zip(outlets, shares, strict=True)
    ]


def equal(pool: int, outlets: Sequence[Outlet], _: Mapping[str, Any], __: Situation) -> list[Allotment]:
    """Divide the pool evenly, rounded down; the remainder stays in reserve."""
    part = max(0, pool) // len(outlets) if outlets else 0
    return [Allotment(o.listing_id, part, (f"an equal part of {pool} over {len(outlets)}",)) for o in outlets]


def pool_minus_buffer(
    pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], _: Situation
) -> list[Allotment]:
    """Show the whole pool, less a buffer, on every listing."""
    buffer = int(parameters.get("buffer", 0))
    quantity = max(0, pool - buffer)
    steps = (f"the pool of {pool} less a buffer of {buffer}",)
    return [Allotment(o.listing_id, quantity, steps) for o in outlets]


def priority(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], _: Situation) -> list[Allotment]:
    """Fill one connection after another, each up to its target; what is left goes to the next.

    `parameters["targets"][channel]` is a target in units (for all listings of the connection together), `"target"` that of
    channels that are not named. Without one a connection takes all that it may: up to its listings' caps.
    """
    named = dict(parameters.get("targets", {}))
    left = max(0, pool)
    filled: dict[Any, int] = {}
    result = []
    for place, outlet in enumerate(outlets, start=1):
        target = named.get(outlet.channel, parameters.get("target"))
        own = left if target is None else min(left, max(0, int(target) - filled.get(outlet.connection_id, 0)))
        # What the channel keeps back is added before it is taken off again.
        part = own if outlet.cap is None else min(own, outlet.cap + outlet.buffer)
        if part - outlet.buffer < outlet.least:
            part = 0
        goal = "all that is left" if target is None else f"up to {target}"
        result.append(
            Allotment(outlet.listing_id, part, (f"number {place} by priority takes {goal}: {part} of {left}",))
        )
        filled[outlet.connection_id] = filled.get(outlet.connection_id, 0) + part
        left -= part
    return result


def performance(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], _: Situation) -> list[Allotment]:
    """Divide by the units sold in 30 days, evened towards equal parts as far as there are few; rounded down.

    `parameters["prior_units"]`: how many sales weigh as much as equality; `"reserve"`: the part of the pool kept back.
    """
    prior = float(parameters.get("prior_units", PERFORMANCE_PRIOR))
    return _by_weight(pool, outlets, [o.demand.sold_30d for o in outlets], prior, parameters, "units sold in 30 days")


def demand(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], _: Situation) -> list[Allotment]:
    """Divide by the units expected to sell in 30 days: the forecast, else the rate, else the last 30 days; rounded down."""
    prior = float(parameters.get("prior_units", FORECAST_PRIOR))
    told = [_expected(o.demand) for o in outlets]
    figures, words = [figure for figure, _ in told], [word for _, word in told]
    return _by_weight(pool, outlets, figures, prior, parameters, "units expected in 30 days", words)


def _expected(figures: Demand) -> tuple[float | None, str]:
    """Return the units expected in 30 days, and where that comes from."""
    days = figures.history_days
    if figures.forecast is not None:
        units = max(0.0, figures.forecast)
        return units, f"forecast: {units:.3g} units in 30 days" + (f", from {days} days of history" if days else "")
    why = "no forecast yet" if days is None else f"{days} days of history are too few for a forecast"
    if figures.rate_s is not None:
        units = figures.rate_s * 30 * DAY_S
        return units, f"{why}: {units:.3g} units in 30 days at the measured rate"
    if figures.sold_30d is not None:
        return figures.sold_30d, f"{why}: {figures.sold_30d} units sold in the last 30 days"
    return None, f"{why}, no sales known: as the others"


def _by_weight(
    pool: int,
    outlets: Sequence[Outlet],
    figures: Sequence[float | None],
    prior: float,
    parameters: Mapping[str, Any],
    what: str,
    words: Sequence[str] | None = None,
) -> list[Allotment]:
    if not outlets:
        return []
    known = [f for f in figures if f is not None]
    usual = sum(known) / len(known) if known else 0.0
    weights = [(usual if f is None else max(0.0, f)) + prior / len(outlets) for f in figures]
    total = sum(weights)
    if total <= 0:
        weights, total = [1.0] * len(outlets), float(len(outlets))
    kept = 1 - float(parameters.get("reserve", 0))
    parts = [int(max(0, pool) * kept * w / total) for w in weights]
    while sum(parts) > max(0, pool):  # a rounding error of the weights
        parts[parts.index(max(parts))] -= 1
    said = words or [
        f"{f:.3g} of {sum(known):.3g} {what}" if f is not None else f"{what} not known: as the others" for f in figures
    ]
    return [
        Allotment(o.listing_id, part, (f"{w * kept / total:.1%} of {pool}: {why}, evened by {prior:g}",))
        for o, part, w, why in zip(outlets, parts, weights, said, strict=True)
    ]


def risk(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], situation: Situation) -> list[Allotment]:
    """Show as much as possible while the chance of overselling stays under a bound: METHODS 1, `risk.choose`.

    What is not known is assumed badly: a lag as `lag_s`, a rate as the highest of the variant's.
    """
    if not outlets:
        return []
    case, chosen, barred = _without_too_few(exposure(pool, outlets, parameters, situation), outlets)
    allotments = []
    total = sum(case.rates)
    own = chosen.mode is Mode.ESCROW and any(p.target != pool for p in chosen.portions)
    for place, (outlet, portion, rate) in enumerate(zip(outlets, chosen.portions, case.rates, strict=True)):
        steps = chosen.steps
        if place in barred:
            least = outlet.least + outlet.buffer
            steps = (
                *steps,
                f"its part of {barred[place]} is less than the least it shows ({least}), so others have it",
            )
        elif own and case.rates_known:
            steps = (*steps, f"{portion.target} of {pool} here, for {rate / total:.0%} of its sales")
        if portion.now < portion.target:
            steps = (*steps, f"{portion.now} for now: the rest waits until other listings show less")
        allotments.append(Allotment(outlet.listing_id, portion.now, steps, portion.target))
    return allotments


def _without_too_few(case: Exposure, outlets: Sequence[Outlet]) -> tuple[Exposure, Choice, dict[int, int]]:
    """Return the case, what is chosen, and the parts of listings that would show none, as they are less than the least.

    Those parts go to the others, the smallest first; if nobody would show enough, all is as it was.
    """
    first = chosen = choose(case)
    barred: dict[int, int] = {}
    tried = case
    while (place := _too_few(chosen.portions, outlets)) is not None:
        barred[place] = chosen.portions[place].target
        if len(barred) == len(outlets):
            return case, first, {}
        caps = tried.caps or [None] * len(outlets)
        tried = replace(tried, caps=[0 if c == place else cap for c, cap in enumerate(caps)])
        chosen = choose(tried)
    return tried, chosen, barred


def _too_few(portions: Sequence[Portion], outlets: Sequence[Outlet]) -> int | None:
    """Return which listing has the fewest units of those that have fewer than the least they show; None if none has."""
    few = [
        (portion.target, place)
        for place, (portion, outlet) in enumerate(zip(portions, outlets, strict=True))
        if outlet.least and 0 < portion.target < outlet.least + outlet.buffer
    ]
    return min(few)[1] if few else None


def exposure(pool: int, outlets: Sequence[Outlet], parameters: Mapping[str, Any], situation: Situation) -> Exposure:
    """Return the variant as the risk rule sees it."""
    setting = {name: float(parameters.get(name, default)) for name, default in RISK_DEFAULTS.items()}
    figures = [o.demand for o in outlets]
    rates = [f.rate_s for f in figures]
    known = [r for r in rates if r is not None]
    highest = max(known) if known else 1.0
    p99 = max([setting["lag_s"] if f.lag_p99_s is None else f.lag_p99_s for f in figures])
    margins = [f.margin_minor for f in figures if f.margin_minor is not None]
    usual = sum(margins) / len(margins) if margins else 1.0
    cost = situation.oversell_cost_minor
    days = situation.replenish_s
    return Exposure(
        pool=pool,
        rates=[highest if r is None else r for r in rates],
        margins=[usual if f.margin_minor is None else f.margin_minor for f in figures],
        lag_s=min(p99, max([p99 if f.lag_p50_s is None else f.lag_p50_s for f in figures])),
        lag_p99_s=p99,
        replenish_s=setting["replenish_days"] * DAY_S if days is None else days,
        oversell_cost=setting["oversell_cost"] * usual if cost is None else cost,
        risk=setting["risk"],
        # A channel's buffer is taken off what is given to it, so it is added to what it shows.
        shown=[(o.shown.most + o.buffer, o.shown.heading + o.buffer) if o.shown else None for o in outlets],
        caps=()
        if all(o.cap is None for o in outlets)
        else [None if o.cap is None else o.cap + o.buffer for o in outlets],
        absolute=[o.absolute for o in outlets],
        rates_known=bool(known),
        lot=max([f.lot for f in figures]),
        bunching=figures[0].bunching,
    )


PLAIN: Mapping[str, Strategy] = {
    "fixed_shares": fixed_shares,
    "equal": equal,
    "pool_minus_buffer": pool_minus_buffer,
    "priority": priority,
    "performance": performance,
    "demand": demand,
    "risk": risk,
}
"""All strategies but custom rules, which choose among these."""
