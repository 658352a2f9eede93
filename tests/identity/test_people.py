"""Organisations, people, membership, passwords."""

from uuid import UUID

import pytest

from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity.passwords import WeakPassword
from entrepot.identity.people import InvalidEmail, InvalidName, LastAdmin
from entrepot.kernel.errors import NotFound
from entrepot.kernel.ids import new_id

PASSWORD = "correct horse battery"


async def test_a_fresh_hub_gets_an_organisation_with_one_admin_once(database: Database) -> None:
    first = await identity.ensure_first_organisation(database, "Shop")
    again = await identity.ensure_first_organisation(database, "Other name")
    assert first == again
    organisation, person = first
    assert organisation.name == "Shop"
    members = await identity.list_members(database, organisation.id)
    assert [(m.person, m.role) for m in members] == [(person, identity.Role.ADMIN)]


async def test_an_organisation_without_an_admin_gets_one(database: Database, organisation_id: UUID) -> None:
    organisation, person = await identity.ensure_first_organisation(database)
    assert organisation.id == organisation_id
    assert [m.person for m in await identity.list_members(database, organisation_id)] == [person]


async def test_emails_are_compared_in_one_form(database: Database) -> None:
    person = await identity.create_person(database, " Ada@Example.com ", "Ada", PASSWORD)
    assert person.email == "ada@example.com"
    assert await identity.find_person(database, "ADA@example.com") == person
    with pytest.raises(identity.EmailTaken):
        await identity.create_person(database, "ada@EXAMPLE.com", "Another", PASSWORD)


@pytest.mark.parametrize(
    ("email", "name", "password", "error"),
    [
        ("nobody", "Ada", PASSWORD, InvalidEmail),
        ("a b@example.com", "Ada", PASSWORD, InvalidEmail),
        ("a@" + "x" * 300, "Ada", PASSWORD, InvalidEmail),
        ("a@example.com", "  ", PASSWORD, InvalidName),
        ("a@example.com", "A\x00da", PASSWORD, InvalidName),
        ("a@example.com", "Ada", "short", WeakPassword),
        ("a@example.com", "Ada", "x" * 257, WeakPassword),
    ],
)
async def test_bad_input_is_refused(
    database: Database, email: str, name: str, password: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await identity.create_person(database, email, name, password)
    async with database.transaction(None) as tx:
        assert await tx.fetch_value("select count(*) from person") == 0


async def test_the_password_is_stored_as_argon2(database: Database) -> None:
    await identity.create_person(database, "ada@example.com", "Ada", PASSWORD)
    async with database.transaction(None) as tx:
        stored = await tx.fetch_value("select password_hash from person")
    assert stored.startswith("$argon2id$")


async def test_the_last_admin_stays(database: Database) -> None:
    organisation, admin = await identity.ensure_first_organisation(database)
    actor = identity.system_actor(organisation.id)
    with pytest.raises(LastAdmin):
        await identity.add_membership(database, organisation.id, admin.id, identity.Role.VIEWER)
    with pytest.raises(LastAdmin):
        await identity.remove_membership(database, actor, admin.id)
    other = await identity.create_person(database, "b@example.com", "B")
    await identity.add_membership(database, organisation.id, other.id, identity.Role.ADMIN)
    await identity.remove_membership(database, actor, admin.id)
    assert [m.person.id for m in await identity.list_members(database, organisation.id)] == [other.id]


async def test_an_admin_of_one_organisation_is_nobody_in_another(database: Database) -> None:
    mine = await identity.create_organisation(database, "Mine")
    theirs = await identity.create_organisation(database, "Theirs")
    person = await identity.create_person(database, "a@example.com", "A")
    await identity.add_membership(database, theirs.id, person.id, identity.Role.MEMBER)
    actor = identity.system_actor(mine.id)
    with pytest.raises(NotFound):
        await identity.add_membership(database, theirs.id, person.id, identity.Role.ADMIN, actor=actor)
    with pytest.raises(NotFound):
        await identity.remove_membership(database, actor, person.id)
    with pytest.raises(NotFound):
        await identity.set_password(database, actor, person.id, PASSWORD)


async def test_a_new_password_ends_all_sessions(database: Database) -> None:
    organisation, admin = await identity.ensure_first_organisation(database)
    session = await identity.use_sign_in_link(
        database, await identity.create_sign_in_link(database, organisation.id, admin.id)
    )
    await identity.set_password(database, session.session.actor, admin.id, PASSWORD)
    viewer = identity.Actor(
        identity.ActorKind.PERSON, new_id(), "V", organisation.id, identity.Role.VIEWER, frozenset()
    )
    with pytest.raises(identity.MissingScope):
        await identity.set_password(database, viewer, admin.id, PASSWORD)
    async with database.transaction(None) as tx:
        assert await tx.fetch_value("select count(*) from browser_session") == 0
    assert (await identity.sign_in(database, admin.email, PASSWORD)).session.actor.id == admin.id
