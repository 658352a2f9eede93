"""Signing in: by password, by one-time link; sessions in a browser's cookie or as a short-lived bearer token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from entrepot.database.pool import Database, Tx
from entrepot.identity import audit, store
from entrepot.identity.contracts import Actor, ActorKind, NewSession, Session
from entrepot.identity.passwords import verify_password
from entrepot.identity.people import InvalidEmail, normalise_email
from entrepot.identity.scopes import ROLE_SCOPES, Role
from entrepot.identity.tokens import digest, random_text
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import NotAllowed, NotFound, NotSignedIn, TooManyRequests
from entrepot.kernel.ids import new_id

BROWSER_LIFE = timedelta(days=14)
"""How long a browser session lasts without being used; use renews it."""
BROWSER_RENEWAL = timedelta(days=1)
"""A used session is renewed at most this often, so that reading pages does not write."""
BEARER_LIFE = timedelta(hours=1)
LINK_LIFE = timedelta(hours=1)

ATTEMPT_WINDOW = timedelta(minutes=15)
ATTEMPTS_PER_EMAIL_AND_ADDRESS = 10
ATTEMPTS_PER_EMAIL = 50
ATTEMPTS_PER_ADDRESS = 100


class WrongCredentials(NotSignedIn):
    """The email address or the password is wrong."""


class LinkNotValid(NotSignedIn):
    """This sign-in link was used already or has expired: ask for a new one."""


class TooManyAttempts(TooManyRequests):
    """Too many attempts to sign in: wait a quarter of an hour or use a sign-in link."""


class WrongCsrfToken(NotAllowed):
    """The page that sent this is out of date: load it again."""


def actor_of_person(row: Mapping[str, Any] | Record) -> Actor:
    """Return the actor of a row with organisation_id, person_id, name and role."""
    role = Role(row["role"])
    return Actor(ActorKind.PERSON, row["person_id"], row["name"], row["organisation_id"], role, ROLE_SCOPES[role])


def check_csrf(session: Session, token: str | None) -> None:
    """Raise WrongCsrfToken unless `token` is the session's, compared in constant time."""
    if not token or not hmac.compare_digest(session.csrf_token.encode(), token.encode()):
        raise WrongCsrfToken


async def sign_in(
    database: Database,
    email: str,
    password: str,
    *,
    address: str = "",
    organisation_id: UUID | None = None,
    bearer: bool = False,
    clock: Clock = utc_now,
) -> NewSession:
    """Begin a session for a person with this password, in the named organisation or the first one joined.

    `address` is where the attempt comes from (an IP address), for throttling. Takes equally long for unknown emails.
    Raises WrongCredentials, TooManyAttempts.
    """
    subjects = _attempt_subjects(email, address)
    try:
        normalised = normalise_email(email)
    except InvalidEmail:
        normalised = ""
    async with database.transaction(None) as tx:
        # Counted and committed before the password is looked at, so that parallel guesses are all counted.
        allowed = await _count_attempts(tx, subjects, clock)
        person = await store.select_person_by_email(tx, normalised)
        memberships = [] if person is None else await store.select_memberships_of(tx, person["id"])
    if not allowed:
        raise TooManyAttempts
    right, new_hash = await verify_password(password, None if person is None else person["password_hash"])
    chosen = [row for row in memberships if organisation_id in (None, row["organisation_id"])]
    if person is None or not right or not chosen:
        raise WrongCredentials
    member = {**chosen[0], "person_id": person["id"], "name": person["name"]}
    async with database.transaction(member["organisation_id"]) as tx:
        if new_hash is not None:
            await store.update_password(tx, person["id"], new_hash)
        await store.forget_attempts(tx, subjects[:2])
        await store.uncount_attempt(tx, subjects[2])
        return await _begin(tx, member, "bearer" if bearer else "browser", "session.sign_in", clock)


async def create_sign_in_link(
    database: Database, organisation_id: UUID, person_id: UUID, *, clock: Clock = utc_now
) -> str:
    """Return the token of a link that signs this member in once, within an hour. Raises NotFound."""
    token = random_text()
    async with database.transaction(None) as tx:
        if await store.select_role(tx, organisation_id, person_id) is None:
            raise NotFound("There is no such person in this organisation.")
        await store.insert_link(tx, digest(token), organisation_id, person_id, clock() + LINK_LIFE)
    return token


async def use_sign_in_link(database: Database, token: str, *, clock: Clock = utc_now) -> NewSession:
    """Begin a browser session with a one-time link. Raises LinkNotValid."""
    async with database.transaction(None) as tx:
        row = await store.use_link(tx, digest(token), clock())
    if row is None:
        raise LinkNotValid
    async with database.transaction(row["organisation_id"]) as tx:
        return await _begin(tx, row, "browser", "session.sign_in_by_link", clock)


async def sign_out(database: Database, session: Session) -> None:
    """End a session. Use `Authenticator.sign_out`, which also forgets it at once."""
    async with database.transaction(session.actor.organisation_id) as tx:
        await store.delete_session(tx, session.id)
        await audit.record(tx, session.actor, "session.sign_out", "person", session.actor.id)


async def _begin(tx: Tx, member: Mapping[str, Any] | Record, kind: str, action: str, clock: Clock) -> NewSession:
    token = random_text()
    actor = actor_of_person(member)
    life = BROWSER_LIFE if kind == "browser" else BEARER_LIFE
    session = Session(new_id(), actor, random_text(), clock() + life)
    await store.insert_session(
        tx, digest(token), session.id, kind, actor.organisation_id, actor.id, session.csrf_token, session.expires_at
    )
    await audit.record(tx, actor, action, "person", actor.id)
    return NewSession(token, session)


def _attempt_subjects(email: str, address: str) -> list[bytes]:
    who = email.strip().lower()
    texts = (f"both\0{who}\0{address}", f"email\0{who}", f"address\0{address}")
    return [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in texts]


async def _count_attempts(tx: Tx, subjects: list[bytes], clock: Clock) -> bool:
    """Count one attempt for each subject, in a fixed order of rows, and return whether it may go on."""
    now = clock()
    limits = dict(
        zip(subjects, (ATTEMPTS_PER_EMAIL_AND_ADDRESS, ATTEMPTS_PER_EMAIL, ATTEMPTS_PER_ADDRESS), strict=True)
    )
    allowed = True
    for subject in sorted(subjects):
        attempts = await store.count_attempt(tx, subject, now, now - ATTEMPT_WINDOW)
        allowed = allowed and attempts <= limits[subject]
    return allowed


async def forget_expired(database: Database, *, clock: Clock = utc_now) -> int:
    """Delete ended sessions, spent links and old attempts; return how many. For a daily schedule."""
    now = clock()
    async with database.transaction(None) as tx:
        return await store.delete_expired(tx, now, now - ATTEMPT_WINDOW)
