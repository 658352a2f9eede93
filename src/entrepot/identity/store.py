"""Every statement of this room on people, sessions and keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from entrepot.database.pool import Tx


async def insert_organisation(tx: Tx, identifier: UUID, name: str, currency: str, timezone: str) -> None:
    """Store an organisation."""
    await tx.execute(
        "insert into organisation (id, name, currency, timezone) values ($1, $2, $3, $4)",
        identifier, name, currency, timezone,
    )  # fmt: skip


async def select_organisations(tx: Tx) -> list[Record]:
    """Return all organisations, the oldest first."""
    return await tx.fetch("select id, name, currency, timezone from organisation order by created_at, id")


async def select_organisation(tx: Tx, identifier: UUID) -> Record | None:
    """Return an organisation."""
    return await tx.fetch_row("select id, name, currency, timezone from organisation where id = $1", identifier)


async def insert_person(tx: Tx, identifier: UUID, email: str, name: str, password_hash: str | None) -> bool:
    """Store a person; return False if the email is taken."""
    sql = """
        insert into person (id, email, name, password_hash) values ($1, $2, $3, $4)
        on conflict (email) do nothing
    """
    return await tx.execute(sql, identifier, email, name, password_hash) == 1


async def select_person_by_email(tx: Tx, email: str) -> Record | None:
    """Return a person with the password hash."""
    return await tx.fetch_row("select id, email, name, password_hash from person where email = $1", email)


async def select_person(tx: Tx, identifier: UUID) -> Record | None:
    """Return a person."""
    return await tx.fetch_row("select id, email, name from person where id = $1", identifier)


async def update_password(tx: Tx, person_id: UUID, password_hash: str) -> bool:
    """Replace a person's password hash."""
    return await tx.execute("update person set password_hash = $2 where id = $1", person_id, password_hash) == 1


async def lock_members(tx: Tx, organisation_id: UUID) -> None:
    """Let one transaction at a time change who is in the organisation."""
    await tx.fetch_value("select 1 from organisation where id = $1 for update", organisation_id)


async def upsert_membership(tx: Tx, organisation_id: UUID, person_id: UUID, role: str) -> None:
    """Make the person a member with this role."""
    sql = """
        insert into membership (organisation_id, person_id, role) values ($1, $2, $3)
        on conflict (organisation_id, person_id) do update set role = excluded.role
    """
    await tx.execute(sql, organisation_id, person_id, role)


async def delete_membership(tx: Tx, organisation_id: UUID, person_id: UUID) -> bool:
    """Remove the person from the organisation, sessions and links included."""
    await tx.execute(
        "delete from browser_session where organisation_id = $1 and person_id = $2", organisation_id, person_id
    )
    await tx.execute(
        "delete from sign_in_link where organisation_id = $1 and person_id = $2", organisation_id, person_id
    )
    sql = "delete from membership where organisation_id = $1 and person_id = $2"
    return await tx.execute(sql, organisation_id, person_id) == 1


async def select_members(tx: Tx, organisation_id: UUID) -> list[Record]:
    """Return the members of an organisation by name."""
    sql = """
        select p.id, p.email, p.name, m.role, m.created_at
        from membership m join person p on p.id = m.person_id
        where m.organisation_id = $1 order by p.name, p.id
    """
    return await tx.fetch(sql, organisation_id)


async def select_member_by(tx: Tx, organisation_id: UUID, named: str) -> Record | None:
    """Return the member of an organisation whose id or email address this is."""
    sql = """
        select p.id, p.email, p.name, m.role, m.created_at
        from membership m join person p on p.id = m.person_id
        where m.organisation_id = $1 and (p.email = lower($2) or p.id::text = lower($2))
    """
    return await tx.fetch_row(sql, organisation_id, named)


async def select_memberships_of(tx: Tx, person_id: UUID) -> list[Record]:
    """Return the organisations of a person, the one joined first leading."""
    sql = "select organisation_id, role from membership where person_id = $1 order by created_at, organisation_id"
    return await tx.fetch(sql, person_id)


async def select_role(tx: Tx, organisation_id: UUID, person_id: UUID) -> Any:
    """Return the role of a person in an organisation, or None."""
    sql = "select role from membership where organisation_id = $1 and person_id = $2"
    return await tx.fetch_value(sql, organisation_id, person_id)


async def insert_session(
    tx: Tx, token_hash: bytes, identifier: UUID, kind: str, organisation_id: UUID, person_id: UUID,
    csrf_token: str, expires_at: datetime,
) -> None:  # fmt: skip
    """Store a session."""
    sql = """
        insert into browser_session (token_hash, id, kind, organisation_id, person_id, csrf_token, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)
    """
    await tx.execute(sql, token_hash, identifier, kind, organisation_id, person_id, csrf_token, expires_at)


_SESSION = """
    select s.id, s.organisation_id, s.person_id, s.csrf_token, s.expires_at, p.name, m.role
    from browser_session s
    join person p on p.id = s.person_id
    join membership m on m.organisation_id = s.organisation_id and m.person_id = s.person_id
"""


async def select_browser_session(tx: Tx, token_hash: bytes, now: datetime) -> Record | None:
    """Return a live browser session with its person and present role."""
    sql = f"{_SESSION} where s.token_hash = $1 and s.kind = 'browser' and s.expires_at > $2"
    return await tx.fetch_row(sql, token_hash, now)


async def select_bearer_session(tx: Tx, identifier: UUID, now: datetime) -> Record | None:
    """Return a live bearer session with its person and present role."""
    return await tx.fetch_row(
        f"{_SESSION} where s.id = $1 and s.kind = 'bearer' and s.expires_at > $2", identifier, now
    )


async def extend_session(tx: Tx, token_hash: bytes, expires_at: datetime) -> None:
    """Move the end of a session."""
    await tx.execute(
        "update browser_session set expires_at = $2 where token_hash = $1 and expires_at < $2", token_hash, expires_at
    )


async def delete_session(tx: Tx, identifier: UUID) -> None:
    """End a session."""
    await tx.execute("delete from browser_session where id = $1", identifier)


async def delete_sessions_of(tx: Tx, person_id: UUID) -> int:
    """End every session of a person, in all organisations."""
    return await tx.execute("delete from browser_session where person_id = $1", person_id)


async def insert_link(tx: Tx, token_hash: bytes, organisation_id: UUID, person_id: UUID, expires_at: datetime) -> None:
    """Store a one-time sign-in link."""
    sql = "insert into sign_in_link (token_hash, organisation_id, person_id, expires_at) values ($1, $2, $3, $4)"
    await tx.execute(sql, token_hash, organisation_id, person_id, expires_at)


async def use_link(tx: Tx, token_hash: bytes, now: datetime) -> Record | None:
    """Use a link up and return whose it is, or None if it is unknown, used or expired. One statement, so used once."""
    sql = """
        update sign_in_link l set used_at = $2
        from person p, membership m
        where l.token_hash = $1 and l.used_at is null and l.expires_at > $2
          and p.id = l.person_id and m.organisation_id = l.organisation_id and m.person_id = l.person_id
        returning l.organisation_id, l.person_id, p.name, m.role
    """
    return await tx.fetch_row(sql, token_hash, now)


async def count_attempt(tx: Tx, subject: bytes, now: datetime, window_start: datetime) -> int:
    """Count an attempt to sign in and return how many there were in the present window, this one included."""
    sql = """
        insert into sign_in_attempt as a (subject, window_started_at, attempts) values ($1, $2, 1)
        on conflict (subject) do update set
            window_started_at = case when a.window_started_at < $3 then $2 else a.window_started_at end,
            attempts = case when a.window_started_at < $3 then 1 else a.attempts + 1 end
        returning attempts
    """
    return int(await tx.fetch_value(sql, subject, now, window_start))


async def forget_attempts(tx: Tx, subjects: Iterable[bytes]) -> None:
    """Forget attempts after a success."""
    await tx.execute("delete from sign_in_attempt where subject = any($1::bytea[])", list(subjects))


async def uncount_attempt(tx: Tx, subject: bytes) -> None:
    """Take back one attempt that succeeded."""
    await tx.execute("update sign_in_attempt set attempts = attempts - 1 where subject = $1 and attempts > 0", subject)


async def insert_key(
    tx: Tx, prefix: str, identifier: UUID, organisation_id: UUID, kind: str, name: str, secret_hash: bytes,
    scopes: list[str], created_by: UUID | None, expires_at: datetime | None,
) -> Record | None:  # fmt: skip
    """Store a key and return it as it may be shown."""
    sql = """
        insert into access_key
            (prefix, id, organisation_id, kind, name, secret_hash, scopes, created_by, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        returning id, kind, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at
    """
    return await tx.fetch_row(
        sql, prefix, identifier, organisation_id, kind, name, secret_hash, scopes, created_by, expires_at
    )


async def select_keys(tx: Tx, organisation_id: UUID) -> list[Record]:
    """Return an organisation's keys, the newest first."""
    sql = """
        select id, kind, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at
        from access_key where organisation_id = $1 order by created_at desc, id desc
    """
    return await tx.fetch(sql, organisation_id)


async def revoke_key(tx: Tx, organisation_id: UUID, identifier: UUID, now: datetime) -> Record | None:
    """Mark a key as revoked (keeping the first time) and return it."""
    sql = """
        update access_key set revoked_at = coalesce(revoked_at, $3) where organisation_id = $1 and id = $2
        returning id, kind, name, prefix
    """
    return await tx.fetch_row(sql, organisation_id, identifier, now)


async def select_key_by_prefix(tx: Tx, prefix: str, now: datetime) -> Record | None:
    """Return a live key with its hash."""
    sql = """
        select id, organisation_id, kind, name, secret_hash, scopes, expires_at, last_used_at from access_key
        where prefix = $1 and revoked_at is null and (expires_at is null or expires_at > $2)
    """
    return await tx.fetch_row(sql, prefix, now)


async def touch_key(tx: Tx, prefix: str, now: datetime) -> None:
    """Note that a key was used."""
    await tx.execute("update access_key set last_used_at = $2 where prefix = $1", prefix, now)


async def delete_expired(tx: Tx, now: datetime, window_start: datetime) -> int:
    """Delete ended sessions, spent links and old attempts; return how many."""
    sessions = await tx.execute("delete from browser_session where expires_at < $1", now)
    links = await tx.execute("delete from sign_in_link where expires_at < $1", now)
    return sessions + links + await tx.execute("delete from sign_in_attempt where window_started_at < $1", window_start)


async def select_names(tx: Tx, organisation_id: UUID, ids: list[UUID]) -> list[Record]:
    """Return (id, name) of the people and keys of an organisation among these ids."""
    return await tx.fetch(
        """
        select p.id, p.name from person p
        join membership m on m.person_id = p.id and m.organisation_id = $1 where p.id = any($2::uuid[])
        union all
        select id, name from access_key where organisation_id = $1 and id = any($2::uuid[])
        """,
        organisation_id,
        ids,
    )
