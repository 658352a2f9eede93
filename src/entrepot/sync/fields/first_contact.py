"""First contact: a channel is connected whose products are in the catalog already; what differs is not decided silently.

What both sides say alike is agreed at once. The rest waits, field by field, until a person has said for this connection what
counts: ours, theirs, or a question for each. Stock flows all the while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.sync.fields import store
from entrepot.sync.merge.fields import FIELDS, field_of


class NoFirstContact(NotFound):
    """Nothing waits to be compared on this connection: it was connected before first comparisons, or not through the hub."""


class Choice(StrEnum):
    """What counts where the two sides differ as they first meet."""

    OURS = "ours"
    """Ours goes to the channel."""
    THEIRS = "theirs"
    """Theirs comes into the catalog."""
    ASK = "ask"
    """Each is a conflict, decided by a policy or a person."""


@dataclass(frozen=True, slots=True)
class FieldCount:
    """How a field of the matched listings stands: how many are equal, have a value on one side only, or differ."""

    name: str
    equal: int
    only_ours: int
    only_theirs: int
    differ: int

    @property
    def title(self) -> str:
        """The field for people."""
        return FIELDS[self.name].title

    @property
    def waits(self) -> int:
        """How many wait for a choice."""
        return self.only_ours + self.only_theirs + self.differ


@dataclass(frozen=True, slots=True)
class FirstContact:
    """The first comparison of a connection. `decided_at` None: nobody has said yet what counts."""

    connection_id: UUID
    decided_at: datetime | None
    decided_by: str
    choices: Mapping[str, str]
    fields: tuple[FieldCount, ...]


async def begin(tx: Tx, connection_id: UUID) -> None:
    """A channel was connected: its fields wait for a choice where they differ."""
    await tx.execute(
        "insert into first_contact (organisation_id, connection_id) values ($1, $2) on conflict do nothing",
        tx.organisation,
        connection_id,
    )


async def choices_of(tx: Tx, connection_id: UUID) -> Mapping[str, str] | None:
    """Return what was chosen by field; empty: nothing yet; None: nobody is asked on this connection."""
    found: Mapping[str, str] | None = await tx.fetch_value(
        "select choices from first_contact where organisation_id = $1 and connection_id = $2",
        tx.organisation,
        connection_id,
    )
    return found


_COUNTS = """
select f.field, count(*) filter (where f.base is not null) as equal,
       count(*) filter (where f.state = 'first' and coalesce(f.theirs, '""') = '""') as only_ours,
       count(*) filter (where f.state = 'first' and coalesce(f.ours, '""') = '""') as only_theirs,
       count(*) filter (where f.state = 'first') as waiting
from listing_field f where f.organisation_id = $1 and f.connection_id = $2 group by f.field
"""


async def compare(tx: Tx, connection_id: UUID) -> FirstContact:
    """Return the first comparison of a connection as it stands now. Raises NoFirstContact."""
    row = await tx.fetch_row(
        "select connection_id, decided_at, decided_by, choices from first_contact"
        " where organisation_id = $1 and connection_id = $2",
        tx.organisation,
        connection_id,
    )
    if row is None:
        raise NoFirstContact
    found = {each["field"]: each for each in await tx.fetch(_COUNTS, tx.organisation, connection_id)}
    counts = [_count(name, found[name]) for name in FIELDS if name in found]
    shown = tuple(each for each in counts if each.equal or each.waits)
    return FirstContact(row["connection_id"], row["decided_at"], row["decided_by"], row["choices"], shown)


def _count(name: str, row: Any) -> FieldCount:
    one_sided = row["only_ours"] + row["only_theirs"]
    return FieldCount(name, row["equal"], row["only_ours"], row["only_theirs"], row["waiting"] - one_sided)


async def decide(tx: Tx, actor: Actor, connection_id: UUID, choices: Mapping[str, str], now: datetime) -> None:
    """Say what counts by field; fields that are not named ask. It holds for listings that are matched later, too.

    What only one side has is filled in on the other, whatever is chosen. Raises NoFirstContact, UnknownField, InvalidInput,
    ConnectionNotFound.
    """
    await channels.get(tx, connection_id)
    for name, choice in choices.items():
        field_of(name)
        if choice not in set(Choice):
            raise InvalidInput(f"{choice!r} is no choice for {name}: choose {', '.join(Choice)}.")
    whole = {name: str(choices.get(name, Choice.ASK)) for name in FIELDS}
    await store.lock_connection(tx, connection_id)
    before = await choices_of(tx, connection_id)
    if before is None:
        raise NoFirstContact
    await tx.execute(
        "update first_contact set choices = $3, decided_by = $4, decided_at = $5"
        " where organisation_id = $1 and connection_id = $2",
        tx.organisation,
        connection_id,
        whole,
        actor.name,
        now,
    )
    await identity.record(tx, actor, "connection.first_contact", "connection", connection_id, dict(before), whole)
    await store.want_merge_of_connections(tx, [connection_id])
    tx.hint(f"merge:{connection_id}")
