"""What needs a person, over all rooms: what synchronisation counts, and tasks that wait for approval."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from entrepot.agents import facade as agents
from entrepot.database.pool import Tx
from entrepot.sync import reading as sync
from entrepot.sync.reading import COUNT_LIMIT, Attention


@dataclass(frozen=True)
class Needs(Attention):
    """What needs a person; each count stops at COUNT_LIMIT."""

    tasks: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return super().total + self.tasks


async def needs_of(tx: Tx) -> Needs:
    """Return what needs a person."""
    return Needs(**asdict(await sync.attention(tx)), tasks=await agents.waiting(tx, COUNT_LIMIT))
