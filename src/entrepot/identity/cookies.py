"""The session cookie: one place for its name and flags, used by pages and API alike."""

from __future__ import annotations

from typing import Literal, TypedDict

from entrepot.identity.sessions import BROWSER_LIFE

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
"""Changes that a browser asks for carry the session's CSRF token in this header or form field."""


class CookieArguments(TypedDict):
    """Keyword arguments of Starlette's `Response.set_cookie`."""

    key: str
    value: str
    max_age: int
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["lax"]


def cookie_name(secure: bool) -> str:
    """Return the cookie's name; over HTTPS the `__Host-` prefix keeps other subdomains from setting it."""
    return "__Host-entrepot_session" if secure else "entrepot_session"


def session_cookie(token: str, secure: bool) -> CookieArguments:
    """Return how to set the session cookie. `secure`: the hub is reached over HTTPS."""
    return {
        "key": cookie_name(secure),
        "value": token,
        "max_age": int(BROWSER_LIFE.total_seconds()),
        "path": "/",
        "secure": secure,
        "httponly": True,
        # Lax: a link from elsewhere arrives signed in; a form posted from elsewhere does not, and CSRF tokens back it.
        "samesite": "lax",
    }
