"""Signing in by password and by link, throttling, sessions and their end."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity import sessions
from entrepot.kernel.errors import NotFound, NotSignedIn
from entrepot.kernel.ids import new_id

PASSWORD = "correct horse battery"
TOKEN_KEY = b"k" * 32


class TestClock:
    """A clock that stands still until told."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Shop:
    organisation_id: UUID
    person: identity.Person


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    person = await identity.create_person(database, "ada@example.com", "Ada", PASSWORD)
    await identity.add_membership(database, organisation_id, person.id, identity.Role.ADMIN)
    return Shop(organisation_id, person)


async def test_the_right_password_begins_a_session(database: Database, shop: Shop) -> None:
    new = await identity.sign_in(database, " ADA@example.com", PASSWORD)
    authenticator = identity.Authenticator(database, TOKEN_KEY)
    session = await authenticator.session(new.token)
    assert session.actor == new.session.actor
    assert session.actor.role is identity.Role.ADMIN
    assert session.actor.organisation_id == shop.organisation_id
    async with database.transaction(shop.organisation_id) as tx:
        assert [entry.action for entry in await identity.list_audit(tx)][:1] == ["session.sign_in"]


async def test_neither_token_nor_csrf_token_is_shown_or_kept_readable(database: Database, shop: Shop) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD)
    assert new.token not in repr(new)
    assert new.session.csrf_token not in repr(new)
    async with database.transaction(None) as tx:
        stored = await tx.fetch_value("select token_hash from browser_session")
    assert new.token.encode() not in stored


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "wrong password"),
        ("ada@example.com", ""),
        ("ada@example.com", "x" * 100_000),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
    ],
)
@pytest.mark.usefixtures("shop")
async def test_wrong_credentials_all_look_the_same(database: Database, email: str, password: str) -> None:
    with pytest.raises(identity.WrongCredentials) as caught:
        await identity.sign_in(database, email, password)
    assert caught.value.detail == "The email address or the password is wrong."


async def test_a_person_who_is_no_member_cannot_sign_in(database: Database, shop: Shop) -> None:
    await identity.create_person(database, "b@example.com", "B", PASSWORD)
    with pytest.raises(identity.WrongCredentials):
        await identity.sign_in(database, "b@example.com", PASSWORD)
    with pytest.raises(identity.WrongCredentials):
        await identity.sign_in(database, "ada@example.com", PASSWORD, organisation_id=new_id())


async def test_guessing_is_stopped_even_in_parallel_and_starts_anew_later(
    database: Database, shop: Shop, clock: TestClock
) -> None:
    most = sessions.ATTEMPTS_PER_EMAIL_AND_ADDRESS

    async def guess(password: str, address: str = "10.0.0.1") -> object:
        try:
            return await identity.sign_in(database, "ada@example.com", password, address=address, clock=clock)
        except (identity.WrongCredentials, identity.TooManyAttempts) as error:
            return type(error)

    outcomes = await asyncio.gather(*(guess(f"wrong {n}") for n in range(most + 2)))
    assert outcomes.count(identity.WrongCredentials) == most
    assert outcomes.count(identity.TooManyAttempts) == 2
    assert await guess(PASSWORD) is identity.TooManyAttempts
    assert isinstance(await guess(PASSWORD, "10.0.0.2"), identity.NewSession)
    clock.forward(minutes=16)
    assert isinstance(await guess(PASSWORD), identity.NewSession)


async def test_a_success_forgets_the_failures_before_it(database: Database, shop: Shop) -> None:
    for failures in (sessions.ATTEMPTS_PER_EMAIL_AND_ADDRESS - 1, 1):
        for _ in range(failures):
            with pytest.raises(identity.WrongCredentials):
                await identity.sign_in(database, "ada@example.com", "wrong password")
        await identity.sign_in(database, "ada@example.com", PASSWORD)


async def test_a_link_signs_in_once(database: Database, shop: Shop) -> None:
    token = await identity.create_sign_in_link(database, shop.organisation_id, shop.person.id)
    outcomes = await asyncio.gather(
        *(identity.use_sign_in_link(database, token) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LinkNotValid"] * 3 + ["NewSession"]


async def test_a_link_expires_after_an_hour(database: Database, shop: Shop, clock: TestClock) -> None:
    token = await identity.create_sign_in_link(database, shop.organisation_id, shop.person.id, clock=clock)
    clock.forward(minutes=61)
    with pytest.raises(identity.LinkNotValid):
        await identity.use_sign_in_link(database, token, clock=clock)


async def test_a_link_is_made_for_members_only(database: Database, shop: Shop) -> None:
    with pytest.raises(NotFound):
        await identity.create_sign_in_link(database, shop.organisation_id, new_id())


async def test_use_renews_a_session_and_neglect_ends_it(database: Database, shop: Shop, clock: TestClock) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD, clock=clock)
    authenticator = identity.Authenticator(database, TOKEN_KEY, clock)
    for _ in range(3):
        clock.forward(days=13)
        await authenticator.session(new.token)
    clock.forward(days=14, seconds=1)
    with pytest.raises(NotSignedIn):
        await authenticator.session(new.token)


async def test_signing_out_ends_the_session_here_at_once(database: Database, shop: Shop) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD)
    authenticator = identity.Authenticator(database, TOKEN_KEY)
    session = await authenticator.session(new.token)
    await authenticator.sign_out(session)
    with pytest.raises(NotSignedIn):
        await authenticator.session(new.token)


async def test_a_removed_member_is_out_within_the_cache_time(database: Database, shop: Shop, clock: TestClock) -> None:
    other = await identity.create_person(database, "b@example.com", "B", PASSWORD)
    await identity.add_membership(database, shop.organisation_id, other.id, identity.Role.MEMBER)
    new = await identity.sign_in(database, "b@example.com", PASSWORD, clock=clock)
    authenticator = identity.Authenticator(database, TOKEN_KEY, clock)
    assert (await authenticator.session(new.token)).actor.role is identity.Role.MEMBER
    await identity.add_membership(database, shop.organisation_id, other.id, identity.Role.VIEWER)
    clock.forward(seconds=31)
    assert (await authenticator.session(new.token)).actor.role is identity.Role.VIEWER
    await identity.remove_membership(database, identity.system_actor(shop.organisation_id), other.id)
    clock.forward(seconds=31)
    with pytest.raises(NotSignedIn):
        await authenticator.session(new.token)


async def test_a_bearer_token_is_a_jwt_that_ends_with_its_session(
    database: Database, shop: Shop, clock: TestClock
) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD, bearer=True, clock=clock)
    authenticator = identity.Authenticator(database, TOKEN_KEY, clock)
    token = authenticator.bearer_token(new.session)
    claims = jwt.decode(token, TOKEN_KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert claims["sub"] == str(shop.person.id)
    assert await authenticator.authenticate(f"Bearer {token}") == new.session.actor
    # The random token behind it is no cookie, and the id in the JWT opens nothing by itself.
    for value in (new.token, str(new.session.id)):
        with pytest.raises(NotSignedIn):
            await authenticator.session(value)
    session = await authenticator.bearer_session(f"Bearer {token}")
    assert session is not None
    await authenticator.sign_out(session)
    with pytest.raises(NotSignedIn):
        await authenticator.authenticate(f"Bearer {token}")


async def test_a_bearer_token_expires(database: Database, shop: Shop, clock: TestClock) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD, bearer=True, clock=clock)
    authenticator = identity.Authenticator(database, TOKEN_KEY, clock)
    token = authenticator.bearer_token(new.session)
    clock.forward(minutes=59, seconds=50)
    await authenticator.authenticate(f"Bearer {token}")
    clock.forward(seconds=11)
    with pytest.raises(NotSignedIn):
        await authenticator.authenticate(f"Bearer {token}")


async def test_forged_tokens_are_refused(database: Database, shop: Shop) -> None:
    new = await identity.sign_in(database, "ada@example.com", PASSWORD, bearer=True)
    authenticator = identity.Authenticator(database, TOKEN_KEY)
    claims = {"iss": "entrepot", "sub": str(shop.person.id), "sid": str(new.session.id), "exp": 4_000_000_000}
    forged = [
        jwt.encode(claims, b"x" * 32, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, TOKEN_KEY + TOKEN_KEY, algorithm="HS512"),
        jwt.encode({**claims, "iss": "other"}, TOKEN_KEY, algorithm="HS256"),
        jwt.encode({**claims, "sid": str(new_id())}, TOKEN_KEY, algorithm="HS256"),
        jwt.encode({**claims, "sid": "x"}, TOKEN_KEY, algorithm="HS256"),
        jwt.encode({**claims, "exp": 1}, TOKEN_KEY, algorithm="HS256"),
        "a.b.c",
    ]
    for token in forged:
        with pytest.raises(NotSignedIn):
            await authenticator.authenticate(f"Bearer {token}")
    await authenticator.authenticate(f"Bearer {jwt.encode(claims, TOKEN_KEY, algorithm='HS256')}")


async def test_csrf_token_must_be_the_sessions_own(database: Database, shop: Shop) -> None:
    session = (await identity.sign_in(database, "ada@example.com", PASSWORD)).session
    identity.check_csrf(session, session.csrf_token)
    for wrong in (None, "", "x", session.csrf_token + "x", "é"):
        with pytest.raises(identity.WrongCsrfToken):
            identity.check_csrf(session, wrong)


def test_the_cookie_is_locked_down_over_https() -> None:
    arguments = identity.session_cookie("t", secure=True)
    assert arguments["key"].startswith("__Host-")
    assert (arguments["secure"], arguments["httponly"], arguments["samesite"], arguments["path"]) == (
        True, True, "lax", "/",
    )  # fmt: skip
    assert identity.session_cookie("t", secure=False)["key"] == identity.cookie_name(secure=False)


async def test_what_has_ended_is_deleted(database: Database, shop: Shop, clock: TestClock) -> None:
    await identity.sign_in(database, "ada@example.com", PASSWORD, clock=clock)
    await identity.create_sign_in_link(database, shop.organisation_id, shop.person.id, clock=clock)
    assert await identity.forget_expired(database, clock=clock) == 0
    clock.forward(days=15)
    assert await identity.forget_expired(database, clock=clock) == 3
