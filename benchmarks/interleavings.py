"""Random interleavings of sales, commands and answers against an escrow: late, doubled, reordered, refused."""

from __future__ import annotations

import random
from collections.abc import Callable

from entrepot.allocation.escrow import (
    Account,
    Acknowledged,
    Command,
    Drained,
    EscrowState,
    Event,
    Received,
    Refused,
    Sold,
)


class World:
    """Channels that sell what they show, and a hub that hears of everything late. `oversold`: units sold and not there."""

    def __init__(self, chance: random.Random, *, absolute: bool, escrow: type[EscrowState] = EscrowState) -> None:
        self.chance = chance
        many = chance.randint(2, 4)
        self.stock = chance.randint(0, 12)
        self.rates = [chance.random() + 0.05 for _ in range(many)]
        self.absolute = [absolute and chance.random() < 0.5 for _ in range(many)]
        self.shows = [0] * many
        self.oversold = 0
        self.commands: list[Command] = []
        self.answers: list[Acknowledged | Refused] = []
        self.notices: list[tuple[int, int, int]] = []
        """(listing, units, number of the writes made there before)."""
        self.done: dict[int, Acknowledged | Refused] = {}
        self.writes = [0] * many
        self.acknowledged = [0] * many
        accounts = tuple(Account(r, absolute=a) for r, a in zip(self.rates, self.absolute, strict=True))
        self.state = escrow(self.stock, accounts)
        self.state, begun = self.state.plan()
        self.commands += begun

    def hub(self, event: Event) -> None:
        """Let the hub know of something."""
        self.state, begun = self.state.step(event)
        self.commands += begun

    def buy(self) -> None:
        """Somebody buys, mostly where most is sold."""
        listing = self.chance.choices(range(len(self.shows)), self.rates)[0]
        shown = self.shows[listing]
        if shown > 0:
            units = 1 if self.chance.random() < 0.8 else self.chance.randint(1, shown)
            self.shows[listing] -= units
            self.stock -= units
            self.oversold += max(0, min(units, -self.stock))
            self.notices.append((listing, units, self.writes[listing]))

    def deliver(self) -> None:
        """A command arrives at its channel, perhaps for the second time; its answer sets out, perhaps in doubles."""
        if not self.commands:
            return
        place = self.chance.randrange(len(self.commands))
        command = self.commands[place]
        if self.chance.random() < 0.9:
            self.commands.pop(place)
        if command.number not in self.done:
            self.done[command.number] = self.carry_out(command)
        self.answers += [self.done[command.number]] * (2 if self.chance.random() < 0.1 else 1)

    def carry_out(self, command: Command) -> Acknowledged | Refused:
        """Return what the channel answers."""
        if self.chance.random() < 0.05:
            return Refused(command.number)
        listing, before = command.listing, self.shows[command.listing]
        if not self.absolute[listing]:
            after = max(0, before + command.change)
        elif command.change > 0:
            after = command.to
        else:
            after = min(before, command.to)
        self.shows[listing] = after
        self.writes[listing] += 1
        return Acknowledged(command.number, after - before)

    def answer(self) -> None:
        """An answer arrives."""
        if self.answers:
            answer = self.answers.pop(self.chance.randrange(len(self.answers)))
            pending = next(
                (a.command for a in self.state.accounts if a.command and a.command.number == answer.command), None
            )
            if pending is not None and isinstance(answer, Acknowledged):
                self.acknowledged[pending.listing] += 1
            self.hub(answer)

    def hear(self) -> None:
        """The hub hears of a sale."""
        if self.notices:
            listing, units, _ = self.notices.pop(self.chance.randrange(len(self.notices)))
            self.hub(Sold(listing, units))

    def drain(self) -> None:
        """The hub learns that it knows all sales of a channel up to the last write that it has an answer for."""
        listing = self.chance.randrange(len(self.shows))
        if all(c != listing or before >= self.acknowledged[listing] for c, _, before in self.notices):
            self.hub(Drained(listing))

    def receive(self) -> None:
        """Stock comes in."""
        units = self.chance.randint(1, 5)
        self.stock += units
        self.hub(Received(units))


ACTIONS: tuple[Callable[[World], None], ...] = (
    World.buy, World.buy, World.buy, World.deliver, World.deliver, World.answer, World.answer, World.hear, World.hear,
    World.drain, World.receive,
)  # fmt: skip


def oversold(
    seed: int, episodes: int, *, steps: int = 30, absolute: bool = True, escrow: type[EscrowState] = EscrowState
) -> int:
    """Return the units oversold in so many episodes of random steps. The seed says which. `escrow`: who decides."""
    chance = random.Random(seed)  # noqa: S311
    units = 0
    for number in range(episodes):
        world = World(chance, absolute=absolute and number % 2 == 1, escrow=escrow)
        for action in chance.choices(ACTIONS, k=steps):
            action(world)
        units += world.oversold
    return units
