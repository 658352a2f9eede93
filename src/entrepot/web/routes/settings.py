"""Settings: the team, keys, the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.web.services import PageServices
from entrepot.web.timeline import audit_text
from entrepot.web.visit import Visit, page, parse_id

AUDIT_PAGE = 50
LIVES = {"30": "30 days", "365": "A year", "": "No end"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of settings."""
    admin = Scope.ADMIN
    return [
        Route("/settings", page(services, team), methods=["GET"]),
        Route("/settings/password", page(services, set_password), methods=["POST"]),
        Route("/settings/members", page(services, add_member, admin), methods=["POST"]),
        Route("/settings/members/{person_id}/role", page(services, set_role, admin), methods=["POST"]),
        Route("/settings/members/{person_id}/remove", page(services, remove_member, admin), methods=["POST"]),
        Route("/settings/members/{person_id}/link", page(services, make_link, admin), methods=["POST"]),
        Route("/settings/keys", page(services, keys, admin), methods=["GET"]),
        Route("/settings/keys", page(services, create_key, admin), methods=["POST"]),
        Route("/settings/keys/{key_id}/revoke", page(services, revoke_key, admin), methods=["POST"]),
        Route("/settings/audit", page(services, audit, admin), methods=["GET"]),
    ]


async def team(visit: Visit) -> Response:
    """The people, and the own password."""
    return await _team(visit)


async def _team(visit: Visit, **context: Any) -> Response:
    members = await identity.list_members(visit.services.database, visit.organisation.id)
    shown = {"members": members, "roles": list(identity.Role), "error": "", "link": "", "link_for": "", **context}
    return await visit.page("settings_team.html", tab="team", status=422 if shown["error"] else 200, **shown)


async def add_member(visit: Visit) -> Response:
    """Add a person, who then signs in by link."""
    form = await visit.form()
    database = visit.services.database
    try:
        person = await identity.find_person(database, form.get("email", ""))
        if person is None:
            person = await identity.create_person(database, form.get("email", ""), form.get("name", ""))
        role = identity.parse_role(form.get("role", ""))
        await identity.add_membership(database, visit.organisation.id, person.id, role, actor=visit.actor)
        token = await identity.create_sign_in_link(database, visit.organisation.id, person.id)
    except EntrepotError as error:
        return await _team(visit, error=error.detail)
    return await _team(visit, link=_link(visit, token), link_for=person.name)


async def set_role(visit: Visit) -> Response:
    """Change what a person may do."""
    person_id, form = visit.id_of("person_id"), await visit.form()
    role = identity.parse_role(form.get("role", ""))
    try:
        await identity.add_membership(
            visit.services.database, visit.organisation.id, person_id, role, actor=visit.actor
        )
    except EntrepotError as error:
        return await _team(visit, error=error.detail)
    visit.services.authenticator.forget_actor(person_id)
    return visit.go("/settings", "Saved.")


async def remove_member(visit: Visit) -> Response:
    """Take a person out of the organisation."""
    person_id = visit.id_of("person_id")
    try:
        await identity.remove_membership(visit.services.database, visit.actor, person_id)
    except EntrepotError as error:
        return await _team(visit, error=error.detail)
    visit.services.authenticator.forget_actor(person_id)
    return visit.go("/settings", "Removed; their sessions are ended.")


async def make_link(visit: Visit) -> Response:
    """Make a one-time sign-in link for a person."""
    person_id = visit.id_of("person_id")
    token = await identity.create_sign_in_link(visit.services.database, visit.organisation.id, person_id)
    members = await identity.list_members(visit.services.database, visit.organisation.id)
    name = next(member.person.name for member in members if member.person.id == person_id)
    return await _team(visit, link=_link(visit, token), link_for=name)


def _link(visit: Visit, token: str) -> str:
    return str(visit.request.base_url).rstrip("/") + f"/sign-in/{token}"


async def set_password(visit: Visit) -> Response:
    """Set the own password; all sessions end."""
    form = await visit.form()
    if form.get("password") != form.get("again"):
        return await _team(visit, error="The two passwords differ.")
    try:
        await identity.set_password(visit.services.database, visit.actor, visit.actor.id, form.get("password", ""))
    except EntrepotError as error:
        return await _team(visit, error=error.detail)
    visit.services.authenticator.forget_actor(visit.actor.id)
    return visit.go("/sign-in", "Your password is set: sign in with it.")


async def keys(visit: Visit) -> Response:
    """API keys and agent tokens."""
    return await _keys(visit)


async def _keys(visit: Visit, **context: Any) -> Response:
    found = await identity.list_keys(visit.services.database, visit.actor)
    shown = {"keys": found, "scopes": list(Scope), "lives": LIVES, "error": "", "secret": "", **context}
    return await visit.page("settings_keys.html", tab="keys", status=422 if shown["error"] else 200, **shown)


async def create_key(visit: Visit) -> Response:
    """Make a key; its secret is on the answer and nowhere else."""
    files = await visit.files()
    scopes = [str(value) for value in files.getlist("scope")]
    form = await visit.form()
    days = form.get("life", "")
    try:
        if days not in LIVES:
            raise InvalidInput("Choose how long the key lasts.")
        ends = utc_now() + timedelta(days=int(days)) if days else None
        new = await identity.create_api_key(
            visit.services.database, visit.actor, form.get("name", ""), scopes, expires_at=ends
        )
    except EntrepotError as error:
        return await _keys(visit, error=error.detail)
    return await _keys(visit, secret=new.secret)


async def revoke_key(visit: Visit) -> Response:
    """Make a key useless."""
    key_id = visit.id_of("key_id")
    await identity.revoke_key(visit.services.database, visit.actor, key_id)
    visit.services.authenticator.forget_actor(key_id)
    return visit.go("/settings/keys", "Revoked.")


AUDIT_LINKS = {
    "category": "/products?category=", "collection": "/products/collections/", "connection": "/channels/",
    "count": "/stock/counts/", "order": "/orders/", "price_list": "/products/prices/", "product": "/products/",
    "purchase_order": "/stock/purchase-orders/", "simulation": "/stock/simulations/", "supplier": "/stock/suppliers/",
    "transfer": "/stock/transfers/", "variant": "/stock/",
}  # fmt: skip
"""Where what a line of the audit log is about is shown."""

AUDIT_KINDS = tuple(
    sorted({*AUDIT_LINKS, "bulk_edit", "import", "job", "key", "listing", "location", "organisation", "person"})
)


async def audit(visit: Visit) -> Response:
    """Who did what, all of it or about one kind of thing or one thing."""
    cursor, kind, about = visit.parameter("cursor"), visit.parameter("kind"), visit.parameter("about").strip()[:100]
    before: UUID | None = parse_id(cursor) if cursor else None
    async with visit.transaction() as tx:
        entries = await identity.list_audit(
            tx, limit=AUDIT_PAGE + 1, before_id=before, subject_kind=kind or None, subject_id=about or None
        )
    more = str(entries[AUDIT_PAGE - 1].id) if len(entries) > AUDIT_PAGE else None
    return await visit.page(
        "settings_audit.html",
        tab="audit",
        entries=entries[:AUDIT_PAGE],
        cursor=cursor,
        next_cursor=more,
        audit_text=audit_text,
        links=AUDIT_LINKS,
        kinds=AUDIT_KINDS,
        parameters={"kind": kind, "about": about},
    )
