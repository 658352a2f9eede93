"""Saved views: filters of the list of products with a name, of one person or for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from entrepot.catalog.filters import filter_of, parameters_of
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import InvalidInput, NotAllowed, NotFound
from entrepot.kernel.ids import new_id

VIEWS_MAX = 100


class ViewNotFound(NotFound):
    """There is no such saved view."""


class NotYourView(NotAllowed):
    """Only who saved a view, or an admin, may delete it."""


class InvalidView(InvalidInput):
    """A saved view has a name of 1 to 100 characters."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A filter with a name. `mine`: saved by who asks."""

    id: UUID
    name: str
    shared: bool
    mine: bool
    parameters: Mapping[str, str]


async def list_views(tx: Tx, actor: Actor) -> tuple[SavedView, ...]:
    """Return the views that the actor saved, and those shared with all, by name."""
    rows = await tx.fetch(
        """select id, name, shared, owner = $2 as mine, parameters from saved_view
           where organisation_id = $1 and (owner = $2 or shared) order by lower(name), id""",
        tx.organisation,
        actor.reference,
    )
    return tuple(SavedView(**dict(row)) for row in rows)


async def save_view(tx: Tx, actor: Actor, name: str, parameters: Mapping[str, str], *, shared: bool) -> UUID:
    """Save a view, in the place of the actor's one of that name. Raises InvalidView, InvalidInput."""
    name = name.replace("\x00", "").strip()
    if not 0 < len(name) <= 100:
        raise InvalidView
    kept = parameters_of(parameters)
    filter_of(kept, "EUR")
    count = await tx.fetch_value(
        "select count(*) from saved_view where organisation_id = $1 and owner = $2 and name <> $3",
        tx.organisation,
        actor.reference,
        name,
    )
    if count >= VIEWS_MAX:
        raise InvalidView(f"At most {VIEWS_MAX} views: delete one first.")
    id: UUID = await tx.fetch_value(
        """insert into saved_view (organisation_id, id, owner, name, shared, parameters) values ($1, $2, $3, $4, $5, $6)
           on conflict (organisation_id, owner, name) do update set shared = excluded.shared, parameters = excluded.parameters
           returning id""",
        tx.organisation,
        new_id(),
        actor.reference,
        name,
        shared,
        kept,
    )
    return id


async def delete_view(tx: Tx, actor: Actor, view_id: UUID) -> None:
    """Delete a view. Raises ViewNotFound, NotYourView."""
    row = await tx.fetch_row(
        "select owner, shared from saved_view where organisation_id = $1 and id = $2", tx.organisation, view_id
    )
    if row is None or (row["owner"] != actor.reference and not row["shared"]):
        raise ViewNotFound
    if row["owner"] != actor.reference and not actor.may(Scope.ADMIN):
        raise NotYourView
    await tx.execute("delete from saved_view where organisation_id = $1 and id = $2", tx.organisation, view_id)
