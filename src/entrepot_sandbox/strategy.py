"""What each channel should show for the stock left, by the policy in force: the judge's own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any


class Policy(StrEnum):
    """The strategies that the judge understands."""

    FIXED_SHARES = "fixed_shares"
    EQUAL = "equal"
    POOL_MINUS_BUFFER = "pool_minus_buffer"
    RISK = "risk"
    """What it shows depends on what it learned; sure is only that nothing may be shown that is not there."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A policy. `shares` by channel (what is left over is the reserve); `buffer` in units."""

    policy: Policy
    shares: Mapping[str, Decimal]
    buffer: int = 0

    def wrong(self, left: int, shown: Mapping[str, int]) -> Mapping[str, int]:
        """Return the channels that show something else than they should for `left` units, with what they should show.

        Under RISK: more than is left is wrong, and so is showing nothing anywhere while something is left.
        """
        if self.policy is not Policy.RISK:
            wanted = self.quantities(left, list(shown))
            return {channel: wanted[channel] for channel, units in shown.items() if units != wanted[channel]}
        pool = max(0, left)
        if pool and not any(shown.values()):
            return dict.fromkeys(shown, pool)
        return {channel: pool for channel, units in shown.items() if units > pool}

    def quantities(self, left: int, channels: Sequence[str]) -> dict[str, int]:
        """Return the quantity of each channel for `left` units (RISK: at most); nothing is negative, fractions are cut off."""
        pool = max(0, left)
        if self.policy is Policy.RISK:
            return dict.fromkeys(channels, pool)
        if self.policy is Policy.EQUAL:
            return {channel: pool // len(channels) for channel in channels}
        if self.policy is Policy.POOL_MINUS_BUFFER:
            return {channel: max(0, pool - self.buffer) for channel in channels}
        return {
            channel: int((pool * self.shares.get(channel, Decimal(0))).to_integral_value(ROUND_FLOOR))
            for channel in channels
        }


def read_strategy(told: Mapping[str, Any]) -> Strategy:
    """Return the strategy of `{strategy, parameters}`. Raises ValueError if it says nothing sensible."""
    try:
        policy = Policy(str(told["strategy"]))
        parameters = told.get("parameters") or {}
        shares = {str(key): Decimal(str(value)) for key, value in (parameters.get("shares") or {}).items()}
        buffer = int(parameters.get("buffer", 0))
    except (KeyError, ValueError, InvalidOperation, AttributeError, TypeError) as error:
        raise ValueError(
            "Tell {strategy: fixed_shares | equal | pool_minus_buffer | risk, parameters: {...}}."
        ) from error
    if policy is Policy.FIXED_SHARES and not shares:
        raise ValueError("fixed_shares needs parameters.shares, a share for each channel.")
    return Strategy(policy, shares, buffer)
