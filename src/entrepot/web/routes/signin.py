"""Signing in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from entrepot.identity.facade import (
    NewSession,
    TooManyAttempts,
    cookie_name,
    session_cookie,
    sign_in,
    use_sign_in_link,
)
from entrepot.kernel.errors import EntrepotError, NotSignedIn
from entrepot.web.services import PageServices
from entrepot.web.templating import render
from entrepot.web.visit import HEADERS, Visit, page


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of signing in and out."""

    async def show(request: Request) -> Response:
        token = request.query_params.get("token")
        if token:
            return await _by_link(services, request, token)
        try:
            await services.authenticator.session(request.cookies.get(cookie_name(services.secure), ""))
        except NotSignedIn:
            return _form(services, wanted=_local(request.query_params.get("next", "")))
        return RedirectResponse("/", status_code=303, headers=HEADERS)

    async def by_link(request: Request) -> Response:
        return await _by_link(services, request, request.path_params["token"])

    async def by_password(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=10)
        email, password = str(form.get("email", ""))[:300], str(form.get("password", ""))[:1000]
        wanted = _local(str(form.get("next", "")))
        if not _from_here(request):
            return _form(services, wanted, email, "That form came from another site. Try again here.", 403)
        address = request.client.host if request.client else ""
        try:
            new = await sign_in(services.database, email, password, address=address)
        except (NotSignedIn, TooManyAttempts) as error:
            return _form(services, wanted, email, error.detail, error.status)
        return _begun(services, new, wanted or "/")

    async def sign_out(visit: Visit) -> Response:
        await services.authenticator.sign_out(visit.session)
        response = RedirectResponse("/sign-in", status_code=303, headers=HEADERS)
        response.delete_cookie(cookie_name(services.secure), path="/")
        return response

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", by_password, methods=["POST"]),
        Route("/sign-in/{token}", by_link, methods=["GET"]),
        Route("/sign-out", page(services, sign_out), methods=["POST"]),
    ]


async def _by_link(services: PageServices, request: Request, token: str) -> Response:
    try:
        new = await use_sign_in_link(services.database, token)
    except EntrepotError as error:
        return _form(services, error=error.detail, status=error.status)
    return _begun(services, new, "/")


def _begun(services: PageServices, new: NewSession, path: str) -> Response:
    response = RedirectResponse(path, status_code=303, headers=HEADERS)
    response.set_cookie(**session_cookie(new.token, services.secure))
    return response


def _form(services: PageServices, wanted: str = "", email: str = "", error: str = "", status: int = 200) -> Response:
    text = render(services.templates, "sign_in.html", {"wanted": wanted, "email": email, "error": error})
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def _local(path: str) -> str:
    """Return the path if it stays in the hub, else nothing."""
    parts = urlsplit(path)
    local = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if local and "\\" not in path else ""


def _from_here(request: Request) -> bool:
    """Return whether the form was on a page of this hub: there is no session yet that could carry a token."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
