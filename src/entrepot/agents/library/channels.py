"""Pause and resume connections; publish products on channels and end them there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from entrepot.agents.actions import (
    Action,
    ActionInput,
    CannotUndo,
    Change,
    Look,
    Measure,
    NothingToDo,
    Outcome,
    Receipt,
    Verdict,
)
from entrepot.agents.library.common import Words, plural
from entrepot.catalog import bulk
from entrepot.channels import facade as channels
from entrepot.channels.contracts import Connection, ConnectionState, FindConnector
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import Conflict
from entrepot.sync.publishing import asking, reading
from entrepot.sync.publishing.contracts import Ask, IntentView, Wanted


class ConnectionInput(ActionInput):
    """A connection, and why."""

    connection_id: UUID
    reason: Words = ""


class _Switch(Action[ConnectionInput]):
    """Pause or resume a connection."""

    input, scope = ConnectionInput, Scope.CHANNELS_WRITE
    wanted: ClassVar[ConnectionState]
    from_state: ClassVar[ConnectionState]

    async def look(self, tx: Tx, given: ConnectionInput) -> Look:
        """Say what the connection is and will be. See Action.look."""
        connection = await channels.get(tx, given.connection_id)
        if connection.state is self.wanted:
            raise NothingToDo(f"{connection.name} is {self.wanted} already.")
        if connection.state is not self.from_state:
            raise Conflict(f"{connection.name} is {connection.state.replace('_', ' ')}.")
        return Look(
            f"{connection.name} {self.wanted}", (Change(connection.name, connection.state, self.wanted),),
            {"state": connection.state}, Measure(units=1, channels=(connection.channel,)),
        )  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: ConnectionInput, key: str) -> Receipt:
        """Pause or resume it."""
        await _move(tx, actor, given.connection_id, self.wanted, given.reason)
        return {"state": self.wanted}

    async def verify(self, tx: Tx, given: ConnectionInput, receipt: Receipt) -> Verdict:
        """Read its state back."""
        return _state(await channels.get(tx, given.connection_id), self.wanted)

    async def undo(self, tx: Tx, actor: Actor, given: ConnectionInput, receipt: Receipt) -> Receipt:
        """Put its former state back. Raises CannotUndo where it has another one by now."""
        connection = await channels.get(tx, given.connection_id)
        if connection.state is not self.wanted:
            raise CannotUndo(f"{connection.name} is {connection.state.replace('_', ' ')} by now.")
        await _move(tx, actor, given.connection_id, self.from_state, "")
        return {"state": self.from_state}

    async def verify_undone(self, tx: Tx, given: ConnectionInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read its former state back."""
        return _state(await channels.get(tx, given.connection_id), self.from_state)


class PauseConnection(_Switch):
    """Stop pulling from and pushing to a connection; webhooks are still stored."""

    name, title = "connection.pause", "Pause a connection"
    wanted, from_state = ConnectionState.PAUSED, ConnectionState.ACTIVE


class ResumeConnection(_Switch):
    """Work with a paused connection again."""

    name, title = "connection.resume", "Resume a connection"
    wanted, from_state = ConnectionState.ACTIVE, ConnectionState.PAUSED


async def _move(tx: Tx, actor: Actor, connection_id: UUID, wanted: ConnectionState, reason: str) -> None:
    if wanted is ConnectionState.PAUSED:
        await channels.pause(tx, connection_id, reason=reason or "Paused by a task", audit=_audit(tx, actor))
    else:
        await channels.resume(tx, connection_id, audit=_audit(tx, actor))


def _audit(
    tx: Tx, actor: Actor
) -> Callable[[str, str, str, Mapping[str, Any] | None, Mapping[str, Any] | None], Awaitable[None]]:
    async def write(
        action: str, kind: str, subject: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        await identity.record(tx, actor, action, kind, subject, before, after)

    return write


def _state(connection: Connection, wanted: ConnectionState) -> Verdict:
    words = f"{connection.name} is {connection.state.replace('_', ' ')}."
    return Verdict(Outcome.AS_WANTED if connection.state is wanted else Outcome.DIFFERENT, words)


class PublishInput(ActionInput):
    """Which products on which connections. `category`, `attributes`: the channel's own; left out, what was said stays."""

    product_ids: Annotated[list[UUID], Field(min_length=1, max_length=50)]
    connection_ids: Annotated[list[UUID], Field(min_length=1, max_length=10)]
    category: Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00]*$")] = None
    attributes: Annotated[dict[str, str] | None, Field(max_length=100)] = None


class EndInput(ActionInput):
    """Which products on which connections, and how they end: hidden (unpublish), archived or deleted there."""

    product_ids: Annotated[list[UUID], Field(min_length=1, max_length=50)]
    connection_ids: Annotated[list[UUID], Field(min_length=1, max_length=10)]
    how: Wanted = Wanted.UNPUBLISH


class Publish(Action[PublishInput]):
    """Publish products on channels."""

    name, title, input, scope = "listing.publish", "Publish products", PublishInput, Scope.PRODUCTS_WRITE
    undoable = False

    def __init__(self, find_connector: FindConnector) -> None:
        self._find = find_connector

    async def look(self, tx: Tx, given: PublishInput) -> Look:
        """Say what the channels would have to say to it. See Action.look."""
        return await _look(tx, self._find, given.product_ids, _ask(given), given.connection_ids)

    async def perform(self, tx: Tx, actor: Actor, given: PublishInput, key: str) -> Receipt:
        """Ask for it; the publish lane sends it soon after."""
        await asking.ask(tx, actor, self._find, bulk.selection(given.product_ids), _ask(given))
        return {"wanted": Wanted.PUBLISH}

    async def verify(self, tx: Tx, given: PublishInput, receipt: Receipt) -> Verdict:
        """Read back how far the channels are."""
        return await _read_back(tx, given.product_ids, given.connection_ids, Wanted.PUBLISH)


class EndListings(Action[EndInput]):
    """Hide, archive or delete products on channels."""

    name, title, input, scope = "listing.end", "End listings", EndInput, Scope.PRODUCTS_WRITE
    undoable = False

    def __init__(self, find_connector: FindConnector) -> None:
        self._find = find_connector

    async def look(self, tx: Tx, given: EndInput) -> Look:
        """Say what ends where. See Action.look."""
        if given.how is Wanted.PUBLISH:
            raise Conflict("Choose how the listings end: unpublish, archive or delete.")
        return await _look(tx, self._find, given.product_ids, _end(given), given.connection_ids)

    async def perform(self, tx: Tx, actor: Actor, given: EndInput, key: str) -> Receipt:
        """Ask for it; the publish lane ends them soon after."""
        await asking.ask(tx, actor, self._find, bulk.selection(given.product_ids), _end(given))
        return {"wanted": given.how}

    async def verify(self, tx: Tx, given: EndInput, receipt: Receipt) -> Verdict:
        """Read back how far the channels are."""
        return await _read_back(tx, given.product_ids, given.connection_ids, given.how)


def _ask(given: PublishInput) -> Ask:
    return Ask(Wanted.PUBLISH, tuple(given.connection_ids), given.category, given.attributes)


def _end(given: EndInput) -> Ask:
    return Ask(given.how, tuple(given.connection_ids))


async def _look(tx: Tx, find: FindConnector, product_ids: list[UUID], asked: Ask, connection_ids: list[UUID]) -> Look:
    _, previews = await asking.preview(tx, find, bulk.selection(product_ids), asked)
    names = {id: await channels.get(tx, id) for id in connection_ids}
    states = {(i.product_id, i.connection_id): i.state for i in await _intents(tx, product_ids, connection_ids)}
    publishing = asked.wanted is Wanted.PUBLISH
    if not previews:
        raise Conflict("There is no such product.")
    changes, problems = [], []
    for each in previews:
        before = states.get((each.product_id, each.connection_id), "not asked for")
        if publishing and each.done and before == "live":
            continue
        title = f"{each.title} on {names[each.connection_id].name}"
        changes.append(Change(title, before, "live" if publishing else str(asked.wanted)))
        if publishing:
            problems += [(title, problem.words) for problem in each.problems[:3]]
    if not changes:
        raise NothingToDo("All of it is live there already.")
    reached = sorted({connection.channel for connection in names.values()})
    return Look(
        f"{plural(len(changes), 'listing')} {'published' if publishing else 'ended'}", tuple(changes),
        {"states": sorted([c.what, c.before] for c in changes), "problems": problems},
        Measure(units=len(changes), channels=tuple(reached)), tuple(problems),
    )  # fmt: skip


async def _intents(tx: Tx, product_ids: list[UUID], connection_ids: list[UUID]) -> list[IntentView]:
    found: list[IntentView] = []
    for product_id in product_ids:
        found += [each for each in await reading.of_product(tx, product_id) if each.connection_id in connection_ids]
    return found


_DONE = {True: ("live",), False: ("ended",)}


async def _read_back(tx: Tx, product_ids: list[UUID], connection_ids: list[UUID], wanted: Wanted) -> Verdict:
    intents = await _intents(tx, product_ids, connection_ids)
    lines = tuple(
        (f"{each.title} on {each.connection}", f"{each.state}. {each.text}".strip().removesuffix(".") + ".")
        for each in intents
    )
    if any(each.wanted != wanted for each in intents):
        return Verdict(Outcome.DIFFERENT, "Somebody has asked for something else since.", lines)
    done = [each for each in intents if each.state in _DONE[wanted is Wanted.PUBLISH]]
    stuck = [each for each in intents if each.state in ("error", "draft")]
    if stuck:
        return Verdict(Outcome.DIFFERENT, f"{plural(len(stuck), 'listing')} could not be sent as it is.", lines)
    if len(done) < len(intents):
        left = len(intents) - len(done)
        return Verdict(
            Outcome.WAITING, f"{plural(left, 'listing')} of {len(intents)} not done on the channel yet.", lines
        )
    return Verdict(Outcome.AS_WANTED, f"Done for {plural(len(done), 'listing')}.", lines)
