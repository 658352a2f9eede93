"""From what a request carries to who is asking.

Answers are kept in memory for 30 s, so that a busy key costs no statement per request. The price: a key revoked, a
session ended or a role changed in another process takes effect here within those 30 s (in this process at once
where it goes through the Authenticator).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt

from entrepot.database.pool import Database
from entrepot.identity import sessions, store
from entrepot.identity.contracts import Actor, ActorKind, Session
from entrepot.identity.scopes import Scope
from entrepot.identity.sealing import Seal
from entrepot.identity.tokens import digest, parse_key
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import NotSignedIn

CACHE_LIFE = timedelta(seconds=30)
LAST_USED_EVERY = timedelta(minutes=5)
"""How exact `last_used_at` of a key is: it is written no more often than this."""
_CACHE_SIZE = 10_000
_ISSUER = "entrepot"
_ALGORITHM = "HS256"


def derive_token_key(secret: bytes) -> bytes:
    """Return the key that signs bearer tokens, derived from the hub's secret so that neither tells the other."""
    return hmac.new(secret, b"entrepot bearer tokens", hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class _Known:
    actor: Actor
    session: Session | None
    until: datetime


class Authenticator:
    """Turns `Authorization` headers and session cookies into actors. One per process.

    `token_key`: 32 bytes that every process of a hub shares (see derive_token_key); bearer tokens for people are
    JSON Web Tokens signed with it.
    """

    def __init__(self, database: Database, token_key: bytes, clock: Clock = utc_now) -> None:
        self._database = database
        self._token_key = token_key
        self.seal = Seal(token_key)
        """For answers that are kept to be given again."""
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def authenticate(self, authorization: str | None = None, session_token: str | None = None) -> Actor:
        """Return who is asking: by `Authorization: Bearer <key, agent token or JWT>`, else by the session cookie.

        Raises NotSignedIn. A request that carries an Authorization header is never judged by its cookie.
        """
        if authorization is not None:
            return await self._by_header(authorization)
        if session_token:
            return (await self.session(session_token)).actor
        raise NotSignedIn

    async def session(self, token: str) -> Session:
        """Return the live browser session with this cookie value, and renew it. Raises NotSignedIn."""
        cache_key = b"s" + digest(token)
        known = self._remembered(cache_key)
        if known is not None and known.session is not None:
            return known.session
        now = self._clock()
        async with self._database.transaction(None) as tx:
            row = await store.select_browser_session(tx, digest(token), now)
            if row is None:
                raise NotSignedIn("Your session has ended: sign in again.")
            expires_at = row["expires_at"]
            renewed = now + sessions.BROWSER_LIFE
            if renewed - expires_at > sessions.BROWSER_RENEWAL:
                await store.extend_session(tx, digest(token), renewed)
                expires_at = renewed
        session = Session(row["id"], sessions.actor_of_person(row), row["csrf_token"], expires_at)
        self._remember(cache_key, session.actor, session, expires_at)
        return session

    async def sign_out(self, session: Session) -> None:
        """End a session, here at once."""
        await sessions.sign_out(self._database, session)
        self._forget(lambda known: known.session is not None and known.session.id == session.id)

    def forget_actor(self, actor_id: UUID) -> None:
        """Look up this person or key afresh: its rights changed."""
        self._forget(lambda known: known.actor.id == actor_id)

    def bearer_token(self, session: Session) -> str:
        """Return the JSON Web Token of a bearer session: who, for which organisation, until when."""
        claims = {
            "iss": _ISSUER,
            "sub": str(session.actor.id),
            "org": str(session.actor.organisation_id),
            "role": session.actor.role,
            "sid": str(session.id),
            "iat": self._clock(),
            "exp": session.expires_at,
        }
        return jwt.encode(claims, self._token_key, algorithm=_ALGORITHM)

    async def _by_header(self, authorization: str) -> Actor:
        cache_key = b"a" + digest(authorization)
        known = self._remembered(cache_key)
        if known is not None:
            return known.actor
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > 4096:
            raise NotSignedIn("Send the key as `Authorization: Bearer <key>`.")
        if parse_key(token) is not None:
            actor, ends = await self._by_key(token)
            session = None
        else:
            session = await self._by_jwt(token)
            actor, ends = session.actor, session.expires_at
        self._remember(cache_key, actor, session, ends)
        return actor

    async def _by_key(self, text: str) -> tuple[Actor, datetime | None]:
        token = parse_key(text)
        assert token is not None
        now = self._clock()
        async with self._database.transaction(None) as tx:
            row = await store.select_key_by_prefix(tx, token.prefix, now)
            if row is None or not hmac.compare_digest(row["secret_hash"], digest(token.text)):
                raise NotSignedIn("This key is unknown, revoked or expired.")
            if row["last_used_at"] is None or now - row["last_used_at"] >= LAST_USED_EVERY:
                await store.touch_key(tx, token.prefix, now)
        scopes = frozenset(Scope(name) for name in row["scopes"])
        actor = Actor(ActorKind(row["kind"]), row["id"], row["name"], row["organisation_id"], None, scopes)
        return actor, row["expires_at"]

    async def _by_jwt(self, token: str) -> Session:
        now = self._clock()
        try:
            claims = jwt.decode(
                token, self._token_key, algorithms=[_ALGORITHM], issuer=_ISSUER,
                # The end is checked below by the hub's own clock, and once more against the stored session.
                options={"require": ["exp", "sid", "sub"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
            session_id = UUID(str(claims["sid"]))
            expired = float(claims["exp"]) <= now.timestamp()
        except (jwt.PyJWTError, ValueError):
            raise NotSignedIn("This token is not valid.") from None
        if expired:
            raise NotSignedIn("This token has expired: sign in again.")
        async with self._database.transaction(None) as tx:
            row = await store.select_bearer_session(tx, session_id, now)
        if row is None or str(row["person_id"]) != claims["sub"]:
            raise NotSignedIn("This token has ended: sign in again.")
        return Session(row["id"], sessions.actor_of_person(row), row["csrf_token"], row["expires_at"])

    async def bearer_session(self, authorization: str) -> Session | None:
        """Return the session behind a bearer token, to sign out with; None for a key."""
        await self._by_header(authorization)
        known = self._known.get(b"a" + digest(authorization))
        return None if known is None else known.session

    def _remembered(self, cache_key: bytes) -> _Known | None:
        known = self._known.get(cache_key)
        if known is None:
            return None
        if known.until <= self._clock():
            del self._known[cache_key]
            return None
        return known

    def _remember(self, cache_key: bytes, actor: Actor, session: Session | None, ends: datetime | None) -> None:
        until = self._clock() + CACHE_LIFE
        if ends is not None:
            until = min(until, ends)
        self._known[cache_key] = _Known(actor, session, until)
        if len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)

    def _forget(self, matches: Callable[[_Known], bool]) -> None:
        for cache_key in [key for key, known in self._known.items() if matches(known)]:
            del self._known[cache_key]
