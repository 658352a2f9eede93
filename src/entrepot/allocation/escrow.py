"""Units of their own for each listing, so that nothing is sold twice however late the channels hear of it. Pure.

Each listing holds units that nobody else may sell. What it may still sell at most (`most`) counts a raise from the moment
it is decided and a lowering only once it is acknowledged; the sum over all listings never exceeds the pool. So a unit that
moves from one listing to another is for a moment with neither, never with both. A sale makes the pool and the share of
its own listing smaller and concerns nobody else.

`partition` answers this for one moment, from what is shown, so that a reconciler can ask it again and again; `EscrowState`
follows commands and their answers with it. Both are METHODS 1, "escrow".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from entrepot.allocation.poisson import TABLE_MEAN, quantile, table

EVEN = 1.5
"""Units move when one listing's stock lasts so many times as long as another's would with a unit more."""


class Holding(NamedTuple):
    """One listing: its rate of sales (any unit, the same for all), what it may still sell at most, what it is heading to.

    `cap`: it never gets more. `need`: units that it likely sells before it can be told anything. `absolute`: its channel only
    overwrites, so after a raise it may show all of the new quantity with all of the old one sold unseen.
    """

    rate: float
    most: int = 0
    heading: int = 0
    cap: int | None = None
    need: int = 0
    absolute: bool = False

    def liability(self, now: int) -> int:
        """Return the units that may be sold there at most if it is told to show `now`.

        A lowering under way may find units sold and lower less, so a raise on top of it counts in full.
        """
        if now <= max(0, self.heading):
            return self.most
        return self.most + (now if self.absolute else now - max(0, self.heading))


class Portion(NamedTuple):
    """What a listing shall have in the end, and what it may be told to show now; `now` < `target`: others come first."""

    target: int
    now: int


def bound(rates: Sequence[float], lag_s: float, risk: float) -> int:
    """Return the units that all listings together sell within the lag, but for one time in 1/risk. Rates in units/s."""
    return sum(needs(rates, lag_s, risk))


def needs(rates: Sequence[float], lag_s: float, risk: float) -> list[int]:
    """Return the parts of `bound`: what each listing sells within the lag at most, but at least 1."""
    each = risk / len(rates) if rates else risk
    return [max(1, quantile(each, rate * lag_s)) for rate in rates]


def bounds(rates: Sequence[Sequence[float]], lags_s: Sequence[float], risk: float) -> list[int]:
    """Return `bound` of many variants at once: their rates in units/s, one row each, and their lags in seconds."""
    from bisect import bisect_left

    found = []
    for row, lag in zip(rates, lags_s, strict=True):
        if not row:
            found.append(0)
            continue
        top = max(row) * lag
        if top > TABLE_MEAN:
            found.append(bound(row, lag, risk))
            continue
        steps = table(risk / len(row)).reach(top)
        found.append(sum([bisect_left(steps, rate * lag) or 1 for rate in row]))
    return found


def partition(pool: int, holdings: Sequence[Holding], *, even: float = EVEN) -> list[Portion]:
    """Divide a pool over listings by their rates, moving as little as makes sense, and say what may be shown now.

    What listings head to stays theirs as long as it fits the pool; what is free goes where stock lasts shortest, and a unit
    moves only if that evens out clearly. If they head to more than the pool (until now all of them showed all of it), it
    is divided anew: to each its need first if that is possible, at least one each while there are units.

    What waits though nothing is under way goes to a listing that can show it now.

    Safe whatever is under way: what may be sold at most (`Holding.liability`) never exceeds the pool in sum, unless it did
    before; then nothing is raised.
    """
    pool = max(0, pool)
    heading = [max(0, h.heading) for h in holdings]
    if sum(heading) > pool or any(h.cap is not None and v > h.cap for h, v in zip(holdings, heading, strict=True)):
        shares = _anew(pool, holdings)
    else:
        shares = list(heading)
        _give(shares, pool - sum(shares), holdings)
    _even_out(shares, holdings, even)
    now = told_now(pool, shares, holdings)
    if now == heading != shares and all(h.most == v for h, v in zip(holdings, heading, strict=True)):
        # Nothing is under way and nothing can be told, so whoever waits would go on waiting.
        placed = _elsewhere(pool, heading, holdings, even)
        if placed is not None:
            shares = now = placed
    return [Portion(t, n) for t, n in zip(shares, now, strict=True)]


def told_now(limit: int, shares: Sequence[int], holdings: Sequence[Holding]) -> list[int]:
    """Return what listings on the way to these shares may be told to show now: lowering at once, raising as far as free.

    At most `limit` units can be sold in sum (or as many as before, if that was more): with the pool as limit none twice.
    """
    now = [min(max(0, h.heading), t) for h, t in zip(holdings, shares, strict=True)]
    if now != shares:
        _raise(limit, now, shares, holdings)
    return now


def _raise(limit: int, now: list[int], shares: Sequence[int], holdings: Sequence[Holding]) -> None:
    """Raise `now` towards `shares` as far as no unit can be sold twice; those that show nothing come first."""
    free = limit - sum([h.liability(n) for h, n in zip(holdings, now, strict=True)])
    waiting = [c for c, share in enumerate(shares) if share > now[c]]
    for c in sorted(waiting, key=lambda c: (now[c] > 0, -holdings[c].rate, c)):
        if free <= 0:
            return
        holding = holdings[c]
        before = holding.liability(now[c])
        ceiling = free if holding.absolute else now[c] + free
        raised = max(now[c], min(shares[c], ceiling))
        free -= holding.liability(raised) - before
        now[c] = raised


def _elsewhere(pool: int, heading: list[int], holdings: Sequence[Holding], even: float) -> list[int] | None:
    """Return shares in which units that wait for nothing are where they can be shown; None if there are none such.

    A listing on a channel that overwrites is raised only where all that it shows, old and new, could sell; with few units
    that may never come. So while nothing is under way they go to others, unless they would be moved back again.
    """
    shares = list(heading)
    for _ in range(pool - sum(heading)):
        best, most = -1, -1.0
        for c, holding in enumerate(holdings):
            more = [v + (d == c) for d, v in enumerate(shares)]
            wish = (holding.rate + 1e-12) / more[c]
            if wish > most and _room(holding, shares[c]) and told_now(pool, more, holdings) == more:
                best, most = c, wish
        if best < 0:
            break
        shares[best] += 1
    settled = list(shares)
    _even_out(settled, holdings, even)
    return shares if shares != heading and settled == shares else None


def _room(holding: Holding, share: int) -> bool:
    return holding.cap is None or share < holding.cap


def _anew(pool: int, holdings: Sequence[Holding]) -> list[int]:
    capped = [h.need if h.cap is None else min(h.need, h.cap) for h in holdings]
    if sum(capped) <= pool:
        shares = capped
    else:
        total = sum([h.rate for h in holdings])
        shares = [int(pool * h.rate / total) if total > 0 else pool // len(holdings) for h in holdings]
        shares = [v if h.cap is None else min(v, h.cap) for v, h in zip(shares, holdings, strict=True)]
        while sum(shares) > pool:  # a rounding error of the rates
            shares[shares.index(max(shares))] -= 1
    _give(shares, pool - sum(shares), holdings)
    if pool >= len(holdings):
        for c, holding in enumerate(holdings):
            if shares[c] == 0 and _room(holding, 0):
                rich = max(range(len(shares)), key=lambda d: (shares[d], -d))
                if shares[rich] > 1:
                    shares[rich] -= 1
                    shares[c] = 1
    return shares


def _give(shares: list[int], units: int, holdings: Sequence[Holding]) -> None:
    """Give units one at a time to the listing that would sell the next one soonest; what nobody can take stays."""
    total = sum([h.rate for h in holdings])
    if units > 2 * len(shares) and total > 0 and all(h.cap is None for h in holdings):
        whole = units + sum(shares)
        parts = [max(0, int(whole * h.rate / total) - v) for h, v in zip(holdings, shares, strict=True)]
        if sum(parts) <= units:
            for c, part in enumerate(parts):
                shares[c] += part
            units -= sum(parts)
    for _ in range(units):
        best, most = -1, -1.0
        for c, holding in enumerate(holdings):
            wish = (holding.rate + 1e-12) / (shares[c] + 1)
            if wish > most and _room(holding, shares[c]):
                best, most = c, wish
        if best < 0:
            return
        shares[best] += 1


def _even_out(shares: list[int], holdings: Sequence[Holding], even: float) -> None:
    """Move units from where they last longest to where they last shortest, while that evens out clearly.

    While there are units for all, nobody's last one is taken.
    """
    kept = 1 if sum(shares) >= len(shares) else 0
    while True:
        poor, want, rich, rest = -1, 0.0, -1, float("inf")
        for c, holding in enumerate(holdings):
            share = shares[c]
            wish = holding.rate / (share + 1)
            if wish > want and _room(holding, share):
                poor, want = c, wish
            if share > kept and holding.rate / share < rest:
                rich, rest = c, holding.rate / share
        if poor < 0 or rich < 0 or poor == rich or want <= even * rest:
            return
        shares[rich] -= 1
        shares[poor] += 1


class Sold(NamedTuple):
    """The hub heard of a sale."""

    listing: int
    units: int


class Received(NamedTuple):
    """Stock came in, or went (a count, a sale elsewhere: negative)."""

    units: int


class Acknowledged(NamedTuple):
    """The channel carried a command out and says by how many units it changed what it shows (a lowering: negative).

    Less than asked: it had sold some that the hub has not heard of.
    """

    command: int
    change: int


class Refused(NamedTuple):
    """The channel certainly did not carry a command out. (Where nobody knows, the same command is sent again.)"""

    command: int


class Drained(NamedTuple):
    """Every sale that the listing's channel made before its last acknowledgement is known now."""

    listing: int


Event = Sold | Received | Acknowledged | Refused | Drained


class Command(NamedTuple):
    """Change what a listing shows by so many units. Sent as often as needed, carried out once (by its number).

    On a channel that only overwrites: set it to `to`, but a lowering never to more than it shows.
    """

    number: int
    listing: int
    change: int
    to: int


@dataclass(frozen=True, slots=True)
class Account:
    """A listing's part in the escrow.

    `most`, `heading`: as in Holding. `command`: the one under way. `written`: what a channel that only overwrites was last
    told to show; that is certain once its orders are known up to then, and until then it is told nothing more. `short`: it
    had fewer units than it was to be lowered by, so sales are on their way; it is told nothing until one is known.
    """

    rate: float
    most: int = 0
    heading: int = 0
    cap: int | None = None
    absolute: bool = False
    command: Command | None = None
    written: int | None = None
    short: bool = False

    @property
    def busy(self) -> bool:
        """Whether it can be told nothing at the moment."""
        return self.command is not None or self.written is not None or self.short


@dataclass(frozen=True, slots=True)
class EscrowState:
    """The escrow of one variant: its pool as the hub knows it, and its listings. See the module."""

    pool: int
    accounts: tuple[Account, ...]
    next_command: int = 1

    def step(self, event: Event) -> tuple[EscrowState, tuple[Command, ...]]:
        """Return the state after an event, and the commands to send. Unknown and repeated answers change nothing."""
        if isinstance(event, Sold):
            return self._sold(event)
        if isinstance(event, Received):
            return replace(self, pool=self.pool + event.units).plan()
        if isinstance(event, Drained):
            account = self.accounts[event.listing]
            if account.written is None or account.command is not None:
                return self, ()
            certain = min(account.most, account.written)
            return self._with(event.listing, replace(account, most=certain, heading=certain, written=None)).plan()
        for place, account in enumerate(self.accounts):
            if account.command is not None and account.command.number == event.command:
                return self._answered(place, account, account.command, event)
        return self, ()

    def _sold(self, event: Sold) -> tuple[EscrowState, tuple[Command, ...]]:
        account = self.accounts[event.listing]
        after = replace(
            account,
            most=max(0, account.most - event.units),
            heading=max(0, account.heading - event.units),
            short=False,
        )
        state = replace(self._with(event.listing, after), pool=self.pool - event.units)
        return state.plan()

    def _answered(
        self, place: int, account: Account, command: Command, event: Acknowledged | Refused
    ) -> tuple[EscrowState, tuple[Command, ...]]:
        asked = command.change
        done = event.change if isinstance(event, Acknowledged) else 0
        if account.absolute and isinstance(event, Acknowledged):
            after = replace(account, command=None, written=command.to)
        elif account.absolute:
            most = account.most - (command.to if asked > 0 else 0)
            after = replace(account, most=max(0, most), heading=max(0, most), command=None)
        else:
            most = max(0, account.most + (done - asked if asked > 0 else done))
            short = isinstance(event, Acknowledged) and done != asked
            after = replace(account, most=most, heading=most, command=None, short=short)
        return self._with(place, after).plan()

    def plan(self) -> tuple[EscrowState, tuple[Command, ...]]:
        """Return the state with every move begun that can begin now, and its commands."""
        holdings = [Holding(a.rate, a.most, a.heading, a.cap, 0, a.absolute) for a in self.accounts]
        commands: list[Command] = []
        accounts = list(self.accounts)
        for place, portion in enumerate(partition(self.pool, holdings)):
            account = accounts[place]
            change = portion.now - account.heading
            if change == 0 or account.busy:
                continue
            command = Command(self.next_command + len(commands), place, change, portion.now)
            commands.append(command)
            most = holdings[place].liability(portion.now)
            accounts[place] = replace(account, most=most, heading=portion.now, command=command)
        if not commands:
            return self, ()
        return replace(self, accounts=tuple(accounts), next_command=self.next_command + len(commands)), tuple(commands)

    def _with(self, place: int, account: Account) -> EscrowState:
        return replace(self, accounts=(*self.accounts[:place], account, *self.accounts[place + 1 :]))
