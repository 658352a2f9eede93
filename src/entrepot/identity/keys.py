"""API keys for programs and tokens for agents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from entrepot.database.pool import Database
from entrepot.identity import audit, store
from entrepot.identity.contracts import AccessKey, Actor, ActorKind, MissingScope, NewAccessKey
from entrepot.identity.people import check_name
from entrepot.identity.scopes import AGENT_SCOPES, Scope, parse_scopes
from entrepot.identity.tokens import KeyToken, digest, new_agent_token, new_api_key
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.kernel.ids import new_id


class ExpiryInThePast(InvalidInput):
    """A key must expire in the future, or never."""


class AgentsOnlyRead(InvalidInput):
    """An agent token may read and propose tasks only: people and policies decide."""


async def create_api_key(
    database: Database,
    actor: Actor,
    name: str,
    scopes: Iterable[str],
    *,
    expires_at: datetime | None = None,
    clock: Clock = utc_now,
) -> NewAccessKey:
    """Make a key `entrepot_<prefix>_<secret>` for the actor's organisation. The secret is shown this once.

    `scopes` by name, `all` for every one. Raises MissingScope for a scope that the actor does not have,
    UnknownScope, InvalidName, ExpiryInThePast.
    """
    actor.require(Scope.ADMIN)
    wanted = parse_scopes(scopes)
    if missing := sorted(wanted - actor.scopes):
        raise MissingScope(f"You cannot give what you do not have: {', '.join(missing)}.", scope=missing[0].value)
    return await _create(database, actor, ActorKind.API_KEY, check_name(name), new_api_key(), wanted, expires_at, clock)


async def create_agent_token(
    database: Database,
    actor: Actor,
    agent: str,
    scopes: Iterable[str] | None = None,
    *,
    expires_at: datetime | None = None,
    clock: Clock = utc_now,
) -> NewAccessKey:
    """Make a token `marketplace-<agent>-<secret>`; without scopes it may read everything that agents may read.

    Raises InvalidAgentName, AgentsOnlyRead, UnknownScope, MissingScope, ExpiryInThePast.
    """
    actor.require(Scope.ADMIN)
    wanted = AGENT_SCOPES if scopes is None else parse_scopes(scopes)
    if not wanted <= AGENT_SCOPES:
        raise AgentsOnlyRead
    return await _create(database, actor, ActorKind.AGENT, agent, new_agent_token(agent), wanted, expires_at, clock)


async def list_keys(database: Database, actor: Actor) -> list[AccessKey]:
    """Return the keys and agent tokens of the actor's organisation, revoked ones too, the newest first."""
    actor.require(Scope.ADMIN)
    async with database.transaction(actor.organisation_id) as tx:
        return [_key(row) for row in await store.select_keys(tx, actor.organisation_id)]


async def revoke_key(database: Database, actor: Actor, key_id: UUID, *, clock: Clock = utc_now) -> None:
    """Make a key useless. Processes that used it in the last 30 s may accept it that much longer. Raises NotFound."""
    actor.require(Scope.ADMIN)
    async with database.transaction(actor.organisation_id) as tx:
        row = await store.revoke_key(tx, actor.organisation_id, key_id, clock())
        if row is None:
            raise NotFound("There is no such key.")
        await audit.record(tx, actor, "key.revoke", row["kind"], key_id, before={"prefix": row["prefix"]})


async def _create(
    database: Database, actor: Actor, kind: ActorKind, name: str, token: KeyToken,
    scopes: frozenset[Scope], expires_at: datetime | None, clock: Clock,
) -> NewAccessKey:  # fmt: skip
    if expires_at is not None and expires_at <= clock() + timedelta(seconds=1):
        raise ExpiryInThePast
    created_by = actor.id if actor.kind is ActorKind.PERSON else None
    names = sorted(scope.value for scope in scopes)
    async with database.transaction(actor.organisation_id) as tx:
        row = await store.insert_key(
            tx, token.prefix, new_id(), actor.organisation_id, kind.value, name, digest(token.text),
            names, created_by, expires_at,
        )  # fmt: skip
        assert row is not None
        after = {"name": name, "prefix": token.prefix, "scopes": names}
        await audit.record(tx, actor, "key.create", kind.value, row["id"], after=after)
    return NewAccessKey(token.text, _key(row))


def _key(row: Record) -> AccessKey:
    values = dict(row)
    values["kind"] = ActorKind(row["kind"])
    values["scopes"] = tuple(Scope(name) for name in row["scopes"])
    return AccessKey(**values)
