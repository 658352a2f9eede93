"""Signing in, people, keys, agent tokens, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from entrepot.api.answers import Input, Resource, empty, respond
from entrepot.api.dependencies import CallDep, OpenDep
from entrepot.api.paging import PagingDep
from entrepot.identity import facade as identity
from entrepot.identity.facade import Role, Scope
from entrepot.kernel.errors import NotFound
from entrepot.kernel.paging import Slice, decode_cursor, slice_of

Name = Annotated[str, Field(min_length=1, max_length=200)]


class SignIn(Input):
    """Who wants in. The organisation matters only to people who belong to several."""

    email: Annotated[str, Field(max_length=320)]
    password: Annotated[str, Field(max_length=1000, repr=False)]
    organisation_id: UUID | None = None


class Token(Resource):
    """A JSON Web Token to send as `Authorization: Bearer <token>`."""

    token: str
    token_type: str = "Bearer"
    expires_at: datetime


class ActorView(Resource):
    """Who is asking."""

    kind: str
    id: UUID
    name: str
    organisation_id: UUID
    role: Role | None
    scopes: list[Scope]


class Me(Resource):
    """Who is asking."""

    actor: ActorView


class PersonView(Resource):
    """A member of the organisation."""

    id: UUID
    email: str
    name: str
    role: Role
    since: datetime


class People(Resource):
    """The members of the organisation, by name."""

    people: list[PersonView]


class NewPerson(Input):
    """A person to add: existing ones (by email) become members too. Without a password they sign in by link."""

    email: Annotated[str, Field(max_length=320)]
    name: Name
    role: Role = Role.MEMBER
    password: Annotated[str | None, Field(max_length=1000, repr=False)] = None


class RoleChange(Input):
    """A member's new role."""

    role: Role


class SignInLink(Resource):
    """Where a browser goes to be signed in, once, within an hour."""

    path: str


class KeyView(Resource):
    """A key or agent token, without its secret."""

    id: UUID
    kind: str
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class Keys(Resource):
    """The keys and agent tokens of the organisation, newest first."""

    keys: list[KeyView]


class NewKey(Input):
    """A key to make. `scopes` by name, `all` for every one."""

    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=50)]
    expires_at: datetime | None = None


class NewAgentToken(Input):
    """A token for an agent to make; without scopes it may read all that agents may."""

    agent: Annotated[str, Field(min_length=1, max_length=63)]
    scopes: Annotated[list[str] | None, Field(min_length=1, max_length=50)] = None
    expires_at: datetime | None = None


class MadeKey(Resource):
    """A key just made. `secret` is shown this once."""

    key: KeyView
    secret: str


class AuditLine(Resource):
    """Who changed what."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    action: str
    subject_kind: str
    subject_id: str
    before: Any
    after: Any


class Audit(Resource):
    """Lines of the audit log, newest first."""

    entries: list[AuditLine]
    next_cursor: str | None


async def sign_in(body: SignIn, services: OpenDep, request: Request) -> Response:
    """Give a person's bearer token for email and password. It lasts an hour; pages use a session cookie instead."""
    address = request.client.host if request.client else ""
    new = await identity.sign_in(
        services.database, body.email, body.password,
        address=address, organisation_id=body.organisation_id, bearer=True, clock=services.clock,
    )  # fmt: skip
    token = services.authenticator.bearer_token(new.session)
    return respond(Token(token=token, expires_at=new.session.expires_at), 201)


async def sign_out(call: CallDep) -> Response:
    """End the session behind this bearer token or cookie. Keys are revoked instead."""
    authenticator, headers = call.services.authenticator, call.request.headers
    if "authorization" in headers:
        session = await authenticator.bearer_session(headers["authorization"])
    else:
        session = await authenticator.session(call.request.cookies[identity.cookie_name(call.services.secure)])
    if session is None:
        raise NotFound("A key has no session to end: revoke it instead.")
    await authenticator.sign_out(session)
    return empty()


async def me(call: CallDep) -> Response:
    """Say who is asking and what they may do."""
    actor = call.actor
    view = ActorView(
        kind=actor.kind, id=actor.id, name=actor.name, organisation_id=actor.organisation_id, role=actor.role,
        scopes=sorted(actor.scopes),
    )  # fmt: skip
    return respond(Me(actor=view))


async def list_people(call: CallDep) -> Response:
    """Return the members of the organisation."""
    members = await identity.list_members(call.services.database, call.actor.organisation_id)
    return respond(People(people=[_person(member) for member in members]))


async def add_person(body: NewPerson, call: CallDep) -> Response:
    """Add a member."""
    database = call.services.database
    person = await identity.find_person(database, body.email)
    members = await identity.list_members(database, call.actor.organisation_id)
    if person is not None and any(member.person.id == person.id for member in members):
        raise identity.EmailTaken
    if person is None:
        person = await identity.create_person(database, body.email, body.name, body.password)
    await identity.add_membership(database, call.actor.organisation_id, person.id, body.role, actor=call.actor)
    return respond(await _people_with(call, person.id), 201)


async def change_role(person_id: UUID, body: RoleChange, call: CallDep) -> Response:
    """Give a member another role. The last admin stays one."""
    database = call.services.database
    await _people_with(call, person_id)
    await identity.add_membership(database, call.actor.organisation_id, person_id, body.role, actor=call.actor)
    call.services.authenticator.forget_actor(person_id)
    return respond(await _people_with(call, person_id))


async def remove_person(person_id: UUID, call: CallDep) -> Response:
    """Take a member out of the organisation and end their sessions."""
    await identity.remove_membership(call.services.database, call.actor, person_id)
    call.services.authenticator.forget_actor(person_id)
    return empty()


async def make_sign_in_link(person_id: UUID, call: CallDep) -> Response:
    """Make a link that signs a member in once, within an hour: for invitations and forgotten passwords."""
    token = await identity.create_sign_in_link(
        call.services.database, call.actor.organisation_id, person_id, clock=call.services.clock
    )
    return respond(SignInLink(path=f"/sign-in/{token}"), 201)


async def list_keys(call: CallDep) -> Response:
    """Return the keys and agent tokens, revoked ones too."""
    keys = await identity.list_keys(call.services.database, call.actor)
    return respond(Keys(keys=[KeyView.model_validate(key) for key in keys]))


async def make_key(body: NewKey, call: CallDep) -> Response:
    """Make an API key. Nobody gives a scope that they do not have. Not repeatable: the secret is shown once."""
    new = await identity.create_api_key(
        call.services.database, call.actor, body.name, body.scopes,
        expires_at=body.expires_at, clock=call.services.clock,
    )  # fmt: skip
    return respond(MadeKey(key=KeyView.model_validate(new.key), secret=new.secret), 201)


async def make_agent_token(body: NewAgentToken, call: CallDep) -> Response:
    """Make a token `marketplace-<agent>-<secret>`. Agents read and propose; they are given no scope to write."""
    new = await identity.create_agent_token(
        call.services.database, call.actor, body.agent, body.scopes,
        expires_at=body.expires_at, clock=call.services.clock,
    )  # fmt: skip
    return respond(MadeKey(key=KeyView.model_validate(new.key), secret=new.secret), 201)


async def revoke_key(key_id: UUID, call: CallDep) -> Response:
    """Make a key useless, here at once, in other processes of the hub within 30 seconds."""
    await identity.revoke_key(call.services.database, call.actor, key_id, clock=call.services.clock)
    call.services.authenticator.forget_actor(key_id)
    return empty()


async def audit(
    call: CallDep,
    paging: PagingDep,
    action: Annotated[str | None, Query(max_length=100)] = None,
    subject_kind: Annotated[str | None, Query(alias="subjectKind", max_length=100)] = None,
    subject_id: Annotated[str | None, Query(alias="subjectId", max_length=200)] = None,
) -> Response:
    """Return the audit log, newest first."""

    async def fetch(cursor: str | None, limit: int) -> Slice[identity.AuditEntry]:
        after = decode_cursor(cursor, UUID)
        entries = await identity.list_audit(
            tx, limit=limit + 1, before_id=after[0] if after else None,  # type: ignore[arg-type]
            action=action, subject_kind=subject_kind, subject_id=subject_id,
        )  # fmt: skip
        return slice_of(entries, limit, (entries[limit - 1].id,) if len(entries) > limit else None)

    async with call.transaction() as tx:
        found = await paging.read(fetch)
    entries = [AuditLine.model_validate(entry) for entry in found]
    return respond(Audit(entries=entries, next_cursor=found.next_cursor))


class PersonAnswer(Resource):
    """A member."""

    person: PersonView


async def _people_with(call: CallDep, person_id: UUID) -> PersonAnswer:
    for member in await identity.list_members(call.services.database, call.actor.organisation_id):
        if member.person.id == person_id:
            return PersonAnswer(person=_person(member))
    raise NotFound("There is no such person in this organisation.")


def _person(member: identity.Member) -> PersonView:
    who = member.person
    return PersonView(id=who.id, email=who.email, name=who.name, role=member.role, since=member.since)
