"""A request to a page: who asks, what they may do, how the answer is rendered, what an error looks like."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from entrepot.database.pool import Tx
from entrepot.identity.facade import (
    CSRF_FIELD,
    CSRF_HEADER,
    Actor,
    Organisation,
    Scope,
    Session,
    check_csrf,
    cookie_name,
    get_organisation,
)
from entrepot.kernel.errors import EntrepotError, InvalidInput, NotFound, NotSignedIn
from entrepot.web import formats
from entrepot.web.needs import needs_of
from entrepot.web.services import PageServices
from entrepot.web.templating import render

log = logging.getLogger(__name__)

BROKEN = "Something went wrong in the hub. Nothing was changed."
AWAY = "The database does not answer at the moment. Nothing was changed."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Visit:
    """A signed-in person's request."""

    request: Request
    services: PageServices
    session: Session
    organisation: Organisation
    _form: FormData | None = None

    @property
    def actor(self) -> Actor:
        """Who asks."""
        return self.session.actor

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true" and "hx-boosted" not in self.request.headers

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction of the organisation."""
        return self.services.database.transaction(self.organisation.id)

    def parameter(self, name: str) -> str:
        """Return a query parameter, trimmed; empty if it is not there."""
        return self.request.query_params.get(name, "").strip()[:200]

    def id_of(self, name: str) -> UUID:
        """Return an id in the path. Raises NotFound."""
        return parse_id(self.request.path_params[name])

    async def form(self) -> Mapping[str, str]:
        """Return the text fields of the form, trimmed."""
        form = await self.files()
        return {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}

    async def files(self) -> FormData:
        """Return the form with its files."""
        if self._form is None:
            self._form = await self.request.form(max_files=1, max_fields=2000)
        return self._form

    async def page(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Render a whole page, with what the frame around it shows."""
        async with self.transaction() as tx:
            needs = await needs_of(tx)
        return self.part(template, status=status, needs=needs, **context)

    def part(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Render a part of a page."""
        text = render(self.services.templates, template, self._context() | context)
        return HTMLResponse(text, status_code=status, headers=HEADERS)

    def _context(self) -> dict[str, Any]:
        return {
            "request": self.request,
            "path": self.request.url.path,
            "actor": self.actor,
            "may": lambda scope: self.actor.may(Scope(scope)),
            "csrf": self.session.csrf_token,
            "organisation": self.organisation,
            "zone": formats.zone(self.organisation.timezone),
            "partial": self.is_partial,
        }

    def go(self, path: str, message: str = "") -> Response:
        """Send the browser to a page of the hub, which then says `message`."""
        if self.is_partial:
            response = Response(status_code=204, headers={**HEADERS, "HX-Redirect": path})
        else:
            response = RedirectResponse(path, status_code=303, headers=HEADERS)
        if message:
            response.set_cookie("said", quote(message), max_age=10, path="/", samesite="lax")
        return response

    def done(self, message: str = "", *, patches: Mapping[str, Any] | None = None, refresh: bool = False) -> Response:
        """Answer an htmx request without a swap: say `message`, patch cells, or read the page again."""
        if not self.is_partial:
            return self.go(back_to(self.request), message)
        events: dict[str, Any] = {}
        if message:
            events["said"] = message
        if patches:
            events["patched"] = dict(patches)
        headers = {**HEADERS, "HX-Trigger": json.dumps(events)}
        if refresh:
            headers["HX-Refresh"] = "true"
        return Response(status_code=204, headers=headers)

    async def close(self) -> None:
        """Close uploaded files."""
        if self._form is not None:
            await self._form.close()


def back_to(request: Request) -> str:
    """Return the path of the page that the form was on, or the first page."""
    referrer = request.headers.get("referer", "")
    prefix = f"{request.url.scheme}://{request.url.netloc}/"
    return "/" + referrer.removeprefix(prefix) if referrer.startswith(prefix) else "/"


def parse_id(text: str) -> UUID:
    """Return the id that the text is. Raises NotFound."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None


def whole_number(text: str, what: str, *, minimum: int = 0, maximum: int = 1_000_000_000) -> int:
    """Return the whole number that a person typed. Raises InvalidInput, naming `what`."""
    plain = text.replace(",", "").replace(" ", "").replace("\u00a0", "").replace("−", "-")
    try:
        value = int(plain)
    except ValueError:
        raise InvalidInput(f"{what} must be a whole number.") from None
    if not minimum <= value <= maximum:
        raise InvalidInput(f"{what} must be {minimum:,} to {maximum:,}.")
    return value


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def page(services: PageServices, handler: Handler, scope: Scope | None = None) -> Endpoint:
    """Return the endpoint of a page: signed in, with the scope, CSRF checked on changes, errors made readable."""

    async def endpoint(request: Request) -> Response:
        visit: Visit | None = None
        try:
            visit = await _open(services, request)
            await _check_csrf(visit)
            if scope is not None:
                visit.actor.require(scope)
            return await handler(visit)
        except NotSignedIn:
            return _to_sign_in(request)
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
            log.warning("the database does not answer", exc_info=True)
            return await _failed(services, request, visit, 503, AWAY)
        except EntrepotError as error:
            return await _failed(services, request, visit, error.status, error.detail)
        except Exception:
            reference = uuid4().hex[:12]
            log.exception("page failed", extra={"reference": reference, "path": request.url.path})
            return await _failed(services, request, visit, 500, BROKEN, reference)
        finally:
            if visit is not None:
                await visit.close()

    return endpoint


async def _open(services: PageServices, request: Request) -> Visit:
    token = request.cookies.get(cookie_name(services.secure))
    if not token:
        raise NotSignedIn
    session = await services.authenticator.session(token)
    organisation = await get_organisation(services.database, session.actor.organisation_id)
    return Visit(request, services, session, organisation)


async def _check_csrf(visit: Visit) -> None:
    if visit.request.method in SAFE_METHODS:
        return
    given = visit.request.headers.get(CSRF_HEADER)
    if given is None:
        given = (await visit.form()).get(CSRF_FIELD)
    check_csrf(visit.session, given)


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    path = "/sign-in"
    if request.method in SAFE_METHODS and wanted != "/" and "hx-request" not in request.headers:
        path += f"?next={quote(wanted)}"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={**HEADERS, "HX-Redirect": path})
    return RedirectResponse(path, status_code=303, headers=HEADERS)


async def _failed(
    services: PageServices, request: Request, visit: Visit | None, status: int, detail: str, reference: str = ""
) -> Response:
    """Return what a person sees of an error: a message over the page for a part of it, else a page."""
    if request.headers.get("hx-request") == "true":
        said = {"said": {"text": f"{detail}{f' (id {reference})' if reference else ''}", "tone": "bad"}}
        return Response(status_code=204, headers={**HEADERS, "HX-Trigger": json.dumps(said), "X-Failed": str(status)})
    shown = {"code": status, "detail": detail, "reference": reference}
    if visit is not None and status != 503:
        try:
            return await visit.page("error.html", status=status, **shown)
        except Exception:
            # The frame needs the database as well: then the page without it.
            log.warning("the frame around an error could not be shown", exc_info=True)
    text = render(services.templates, "error_plain.html", {"path": request.url.path, **shown})
    return HTMLResponse(text, status, HEADERS)


def upload_of(form: FormData, name: str) -> UploadFile:
    """Return an uploaded file. Raises InvalidInput if none was chosen."""
    value = form.get(name)
    if not isinstance(value, UploadFile) or not value.filename:
        raise InvalidInput("Choose a file first.")
    return value
