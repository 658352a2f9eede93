"""Organisations, people and who is a member of what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from asyncpg import Record

from entrepot.database.pool import Database, Tx
from entrepot.identity import audit, store
from entrepot.identity.contracts import Actor, ActorKind, Member, Organisation, Person, system_actor
from entrepot.identity.passwords import check_strength, hash_password
from entrepot.identity.scopes import Role, Scope
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound
from entrepot.kernel.ids import new_id

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


class InvalidEmail(InvalidInput):
    """That is not an email address."""


class InvalidName(InvalidInput):
    """A name has 1 to 200 printable characters."""


class EmailTaken(Conflict):
    """Somebody with that email address exists already."""


class LastAdmin(Conflict):
    """An organisation keeps at least one admin."""


def normalise_email(email: str) -> str:
    """Return the address as it is kept and compared: trimmed, lower case. Raises InvalidEmail."""
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise InvalidEmail
    return address


def check_name(name: str) -> str:
    """Return the trimmed name. Raises InvalidName."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= 200 or not trimmed.isprintable():
        raise InvalidName
    return trimmed


async def create_organisation(
    database: Database, name: str, *, currency: str = "EUR", timezone: str = "UTC"
) -> Organisation:
    """Make an organisation without members. Raises InvalidName."""
    organisation = Organisation(new_id(), check_name(name), currency, timezone)
    async with database.transaction(organisation.id) as tx:
        await store.insert_organisation(tx, organisation.id, organisation.name, currency, timezone)
        await audit.record(
            tx, system_actor(organisation.id), "organisation.create", "organisation", organisation.id,
            after={"name": organisation.name},
        )  # fmt: skip
    return organisation


async def list_organisations(database: Database) -> list[Organisation]:
    """Return all organisations, the oldest first."""
    async with database.transaction(None) as tx:
        return [Organisation(**row) for row in await store.select_organisations(tx)]


async def get_organisation(database: Database, organisation_id: UUID) -> Organisation:
    """Return an organisation. Raises NotFound."""
    async with database.transaction(None) as tx:
        row = await store.select_organisation(tx, organisation_id)
    if row is None:
        raise NotFound("There is no such organisation.")
    return Organisation(**row)


async def organisation_of(tx: Tx) -> Organisation:
    """Return the organisation of this transaction."""
    row = await store.select_organisation(tx, tx.organisation)
    assert row is not None
    return Organisation(**row)


async def create_person(database: Database, email: str, name: str, password: str | None = None) -> Person:
    """Make a person; without a password they sign in by link only.

    Raises InvalidEmail, InvalidName, WeakPassword, EmailTaken.
    """
    person = Person(new_id(), normalise_email(email), check_name(name))
    password_hash = None if password is None else await hash_password(password)
    async with database.transaction(None) as tx:
        if not await store.insert_person(tx, person.id, person.email, person.name, password_hash):
            raise EmailTaken
    return person


async def find_person(database: Database, email: str) -> Person | None:
    """Return the person with this email address, or None."""
    async with database.transaction(None) as tx:
        row = await store.select_person_by_email(tx, normalise_email(email))
    return None if row is None else _person(row)


async def set_password(database: Database, actor: Actor, person_id: UUID, password: str) -> None:
    """Give a person a new password and end all their sessions.

    People may do it for themselves, admins for members of their organisation. Raises WeakPassword, NotFound.
    """
    if actor.id != person_id:
        actor.require(Scope.ADMIN)
    check_strength(password)
    password_hash = await hash_password(password)
    async with database.transaction(actor.organisation_id) as tx:
        if await store.select_role(tx, actor.organisation_id, person_id) is None:
            raise NotFound("There is no such person in this organisation.")
        await store.update_password(tx, person_id, password_hash)
        await store.delete_sessions_of(tx, person_id)
        await audit.record(tx, actor, "person.set_password", "person", person_id)


async def add_membership(
    database: Database, organisation_id: UUID, person_id: UUID, role: Role, *, actor: Actor | None = None
) -> None:
    """Make a person a member, or change a member's role; without an actor it is the hub's own doing.

    Raises NotFound, LastAdmin, MissingScope.
    """
    actor = actor or system_actor(organisation_id)
    actor.require(Scope.ADMIN)
    _check_home(actor, organisation_id)
    async with database.transaction(organisation_id) as tx:
        await store.lock_members(tx, organisation_id)
        if await store.select_person(tx, person_id) is None:
            raise NotFound("There is no such person.")
        before = await store.select_role(tx, organisation_id, person_id)
        await store.upsert_membership(tx, organisation_id, person_id, role.value)
        if before == Role.ADMIN:
            _keep_an_admin(await store.select_members(tx, organisation_id))
        await audit.record(
            tx, actor, "member.set_role", "person", person_id,
            before=None if before is None else {"role": before}, after={"role": role.value},
        )  # fmt: skip


async def remove_membership(database: Database, actor: Actor, person_id: UUID) -> None:
    """Take a person out of the actor's organisation and end their sessions in it. Raises NotFound, LastAdmin."""
    actor.require(Scope.ADMIN)
    async with database.transaction(actor.organisation_id) as tx:
        await store.lock_members(tx, actor.organisation_id)
        before = await store.select_role(tx, actor.organisation_id, person_id)
        if not await store.delete_membership(tx, actor.organisation_id, person_id):
            raise NotFound("There is no such person in this organisation.")
        _keep_an_admin(await store.select_members(tx, actor.organisation_id))
        await audit.record(tx, actor, "member.remove", "person", person_id, before={"role": before})


async def list_members(database: Database, organisation_id: UUID) -> list[Member]:
    """Return the members of an organisation by name."""
    async with database.transaction(organisation_id) as tx:
        rows = await store.select_members(tx, organisation_id)
    return [Member(_person(row), Role(row["role"]), row["created_at"]) for row in rows]


async def find_member(tx: Tx, named: str) -> Member | None:
    """Return the member of this transaction's organisation whose id or email address this is, or None."""
    row = await store.select_member_by(tx, tx.organisation, named.strip())
    return None if row is None else Member(_person(row), Role(row["role"]), row["created_at"])


async def names_of(tx: Tx, references: Iterable[str]) -> dict[str, str]:
    """Return the names of actors by their reference (`Actor.reference`); what is no reference, or is gone, stays as it is."""
    wanted = set(references)
    names = {reference: "Entrepot" for reference in wanted if reference.startswith(f"{ActorKind.SYSTEM.value}:")}
    ids = {reference: id for reference in wanted if (id := _id_in(reference)) is not None}
    rows = await store.select_names(tx, tx.organisation, list(ids.values())) if ids else []
    known = {row["id"]: row["name"] for row in rows}
    names |= {reference: known[id] for reference, id in ids.items() if id in known}
    return {reference: names.get(reference, reference) for reference in wanted}


def _id_in(reference: str) -> UUID | None:
    kind, _, id = reference.partition(":")
    if kind not in (ActorKind.PERSON, ActorKind.API_KEY, ActorKind.AGENT):
        return None
    try:
        return UUID(id)
    except ValueError:
        return None


async def ensure_first_organisation(
    database: Database, name: str = "My shop", *, admin_email: str = "admin@entrepot.local", currency: str = "EUR"
) -> tuple[Organisation, Person]:
    """Return the first organisation and its first admin, making what is missing. Safe to call at every start.

    The admin made here has no password: sign in by link, or set one.
    """
    async with database.transaction(None) as tx:
        await tx.execute("select pg_advisory_xact_lock(7201002)")
        rows = await store.select_organisations(tx)
        if rows:
            organisation = Organisation(**rows[0])
        else:
            organisation = Organisation(new_id(), check_name(name), currency, "UTC")
            await store.insert_organisation(tx, organisation.id, organisation.name, currency, "UTC")
        for row in await store.select_members(tx, organisation.id):
            if row["role"] == Role.ADMIN:
                return organisation, _person(row)
        email = normalise_email(admin_email)
        await store.insert_person(tx, new_id(), email, "Admin", None)
        person = await store.select_person_by_email(tx, email)
        assert person is not None
        await store.upsert_membership(tx, organisation.id, person["id"], Role.ADMIN.value)
    return organisation, _person(person)


def _check_home(actor: Actor, organisation_id: UUID) -> None:
    if actor.organisation_id != organisation_id:
        raise NotFound("There is no such organisation.")


def _keep_an_admin(members: list[Record]) -> None:
    if not any(row["role"] == Role.ADMIN for row in members):
        raise LastAdmin


def _person(row: Record) -> Person:
    return Person(row["id"], row["email"], row["name"])
