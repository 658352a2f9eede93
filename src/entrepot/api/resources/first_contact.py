"""First contact: what a newly connected channel and the catalog say otherwise, and what is to count."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from entrepot.api.answers import Input, Resource, respond
from entrepot.api.dependencies import CallDep
from entrepot.sync.fields import first_contact


class FieldCount(Resource):
    """How a field of the matched listings stands: equal, told by one side only, or otherwise on both."""

    name: str
    equal: int
    only_ours: int
    only_theirs: int
    differ: int


class FirstComparison(Resource):
    """The first comparison of a connection. `decidedAt` null: what differs waits until somebody chooses."""

    connection_id: UUID
    decided_at: datetime | None
    decided_by: str
    choices: dict[str, str]
    fields: list[FieldCount]


class OneFirstComparison(Resource):
    """A first comparison."""

    first_comparison: FirstComparison


class Choices(Input):
    """What counts by field where both sides differ: ours, theirs, or ask (each is a conflict); a field left out asks."""

    choices: Annotated[
        dict[Annotated[str, Field(max_length=50)], Literal["ours", "theirs", "ask"]], Field(max_length=50)
    ] = {}  # noqa: RUF012 (pydantic copies it)


async def get_comparison(connection_id: UUID, call: CallDep) -> Response:
    """Return how the channel's fields compare with the catalog's, and what was chosen."""
    async with call.transaction() as tx:
        found = await first_contact.compare(tx, connection_id)
    return respond(OneFirstComparison(first_comparison=FirstComparison.model_validate(found)))


async def choose(connection_id: UUID, body: Choices, call: CallDep) -> Response:
    """Say what counts where the sides differ. What only one side has is filled in on the other."""
    async with call.transaction() as tx:
        await first_contact.decide(tx, call.actor, connection_id, body.choices, call.services.clock())
        found = await first_contact.compare(tx, connection_id)
    return respond(OneFirstComparison(first_comparison=FirstComparison.model_validate(found)))
