"""API keys and agent tokens, and what they may do."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity.keys import AgentsOnlyRead, ExpiryInThePast
from entrepot.identity.scopes import READ_SCOPES, UnknownRole, UnknownScope
from entrepot.identity.tokens import InvalidAgentName, new_agent_token, new_api_key, parse_key
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotFound, NotSignedIn
from entrepot.kernel.ids import new_id

TOKEN_KEY = b"k" * 32


@pytest.fixture
def admin(organisation_id: UUID) -> identity.Actor:
    return identity.system_actor(organisation_id)


@pytest.fixture
def authenticator(database: Database) -> identity.Authenticator:
    return identity.Authenticator(database, TOKEN_KEY)


async def test_a_key_opens_what_its_scopes_say(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["stock:read", "orders:read"])
    assert new.secret.startswith(new.key.prefix + "_")
    actor = await authenticator.authenticate(f"Bearer {new.secret}")
    assert actor.kind is identity.ActorKind.API_KEY
    assert actor.organisation_id == admin.organisation_id
    assert actor.scopes == {identity.Scope.STOCK_READ, identity.Scope.ORDERS_READ}
    actor.require(identity.Scope.STOCK_READ)
    with pytest.raises(identity.MissingScope, match="stock:write"):
        actor.require(identity.Scope.STOCK_WRITE)


async def test_all_is_every_scope(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_api_key(database, admin, "Everything", ["all"])
    assert (await authenticator.authenticate(f"bearer {new.secret}")).scopes == frozenset(identity.Scope)


async def test_the_secret_is_nowhere_in_the_database_or_a_repr(database: Database, admin: identity.Actor) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["all"])
    assert new.secret not in repr(new)
    async with database.transaction(admin.organisation_id) as tx:
        rows = await tx.fetch("select k::text as t from access_key k union all select a::text from audit_log a")
    tail = new.secret.rpartition("_")[2]
    assert len(rows) == 2
    assert not any(tail in row["t"] for row in rows)


async def test_wrong_secrets_are_refused(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["all"])
    last = "0" if new.secret[-1] != "0" else "1"
    wrong = [
        f"Bearer {new.secret[:-1]}{last}",
        f"Bearer {new_api_key().text}",
        f"Bearer {new.secret[:-1]}",
        f"Bearer {new.secret} x",
        f"Basic {new.secret}",
        new.secret,
        "Bearer",
        "Bearer ",
        "",
        "Bearer " + "é" * 5000,
    ]
    for header in wrong:
        with pytest.raises(NotSignedIn):
            await authenticator.authenticate(header)
    with pytest.raises(NotSignedIn):
        await authenticator.authenticate()


async def test_a_revoked_key_is_dead_once_forgotten(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["all"])
    await authenticator.authenticate(f"Bearer {new.secret}")
    await identity.revoke_key(database, admin, new.key.id)
    authenticator.forget_actor(new.key.id)
    with pytest.raises(NotSignedIn):
        await authenticator.authenticate(f"Bearer {new.secret}")
    (listed,) = await identity.list_keys(database, admin)
    assert listed.revoked_at is not None
    assert listed.last_used_at is not None


async def test_a_busy_key_costs_no_statement_per_request(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["all"])
    actor = await authenticator.authenticate(f"Bearer {new.secret}")
    await database.close()
    assert await authenticator.authenticate(f"Bearer {new.secret}") == actor


async def test_keys_of_another_organisation_are_not_seen_or_revoked(database: Database, admin: identity.Actor) -> None:
    new = await identity.create_api_key(database, admin, "Scripts", ["all"])
    stranger = identity.system_actor((await identity.create_organisation(database, "Other")).id)
    assert await identity.list_keys(database, stranger) == []
    with pytest.raises(NotFound):
        await identity.revoke_key(database, stranger, new.key.id)


async def test_nobody_gives_what_they_do_not_have(database: Database, organisation_id: UUID) -> None:
    scopes = frozenset({identity.Scope.ADMIN, identity.Scope.STOCK_READ})
    actor = identity.Actor(identity.ActorKind.API_KEY, new_id(), "K", organisation_id, None, scopes)
    await identity.create_api_key(database, actor, "Less", ["stock:read"])
    with pytest.raises(identity.MissingScope):
        await identity.create_api_key(database, actor, "More", ["all"])
    viewer = identity.Actor(identity.ActorKind.PERSON, new_id(), "V", organisation_id, None, READ_SCOPES)
    with pytest.raises(identity.MissingScope):
        await identity.create_api_key(database, viewer, "Any", ["stock:read"])
    with pytest.raises(identity.MissingScope):
        await identity.list_keys(database, viewer)


async def test_an_agent_token_reads_and_proposes_and_nothing_more(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    new = await identity.create_agent_token(database, admin, "mercado-livre")
    assert new.secret.startswith("marketplace-mercado-livre-")
    actor = await authenticator.authenticate(f"Bearer {new.secret}")
    assert (actor.kind, actor.name, actor.scopes) == (
        identity.ActorKind.AGENT, "mercado-livre", READ_SCOPES | {identity.Scope.TASKS_PROPOSE}
    )  # fmt: skip
    with pytest.raises(AgentsOnlyRead):
        await identity.create_agent_token(database, admin, "amazon", ["stock:write"])
    with pytest.raises(InvalidAgentName):
        await identity.create_agent_token(database, admin, "Amazon Agent")


async def test_keys_expire(database: Database, admin: identity.Actor) -> None:
    now = utc_now()
    with pytest.raises(ExpiryInThePast):
        await identity.create_api_key(database, admin, "Old", ["all"], expires_at=now)
    new = await identity.create_api_key(database, admin, "Short", ["all"], expires_at=now + timedelta(minutes=1))
    before = identity.Authenticator(database, TOKEN_KEY)
    await before.authenticate(f"Bearer {new.secret}")
    after = identity.Authenticator(database, TOKEN_KEY, clock=lambda: now + timedelta(minutes=2))
    with pytest.raises(NotSignedIn):
        await after.authenticate(f"Bearer {new.secret}")


@pytest.mark.parametrize("names", [["stock:fly"], [], ["stock:read", ""]])
def test_unknown_scopes_are_refused(names: list[str]) -> None:
    with pytest.raises(UnknownScope):
        identity.parse_scopes(names)


def test_unknown_roles_are_refused() -> None:
    assert identity.parse_role("viewer") is identity.Role.VIEWER
    with pytest.raises(UnknownRole):
        identity.parse_role("king")


def test_each_role_may_do_what_the_one_below_may() -> None:
    admin, member, viewer = (identity.ROLE_SCOPES[role] for role in identity.Role)
    assert viewer < member < admin
    assert identity.Scope.ADMIN not in member
    assert all(scope.value.endswith(":read") for scope in viewer)


@given(st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", fullmatch=True))
def test_agent_tokens_come_apart_as_they_were_put_together(agent: str) -> None:
    token = new_agent_token(agent)
    assert parse_key(token.text) == token


@given(st.text())
def test_parsing_any_text_gives_parts_or_none(text: str) -> None:
    assert parse_key(text) is None


async def test_actors_are_named_by_their_reference_in_their_own_organisation_only(
    database: Database, admin: identity.Actor, authenticator: identity.Authenticator
) -> None:
    _, person = await identity.ensure_first_organisation(database)
    new = await identity.create_api_key(database, admin, "Scripts", ["stock:read"])
    key = await authenticator.authenticate(f"Bearer {new.secret}")
    references = [f"person:{person.id}", key.reference, admin.reference, "channel", "person:nobody"]
    async with database.transaction(admin.organisation_id) as tx:
        names = await identity.names_of(tx, references)
    assert list(map(names.get, references)) == [person.name, "Scripts", "Entrepot", "channel", "person:nobody"]
    other = await identity.create_organisation(database, "Other")
    async with database.transaction(other.id) as tx:
        assert (await identity.names_of(tx, [key.reference]))[key.reference] == key.reference
