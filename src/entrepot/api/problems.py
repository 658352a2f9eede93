"""Every error as problem+json (RFC 9457), the same shape whether a rule, the validation or a bug raised it.

Members: type, title, status, detail, code (stable, for programs), requestId, `errors` where single fields are
wrong, and what the error's context adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from entrepot.kernel.errors import EntrepotError, InvalidInput, NotSignedIn, Unavailable

MEDIA_TYPE = "application/problem+json"
_RESERVED = frozenset({"type", "title", "status", "detail", "code", "requestId"})
_TITLES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 413: "Too large", 500: "Internal error"}

log = structlog.get_logger(__name__)


class BodyTooLarge(HTTPException):
    """The request is larger than this address accepts.

    An HTTPException, because FastAPI turns everything else that reading a body raises into a 400.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, f"The request is larger than {limit_bytes:,} bytes.")


class InvalidBody(InvalidInput):
    """The request body is not valid."""

    def __init__(self, detail: str, pointer: str = "#") -> None:
        super().__init__(detail, errors=[{"pointer": pointer, "detail": detail}])


def problem(
    status: int, code: str, title: str, detail: str, request_id: str, context: Mapping[str, Any] | None = None
) -> Response:
    """Return a problem+json answer."""
    body: dict[str, Any] = {
        "type": f"urn:entrepot:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }
    body.update({name: value for name, value in (context or {}).items() if name not in _RESERVED})
    return Response(msgspec.json.encode(body, enc_hook=str), status, media_type=MEDIA_TYPE)


def request_id(request: Request) -> str:
    """Return the id of this request, which the answer carries as X-Request-Id."""
    return str(getattr(request.state, "request_id", ""))


def of_error(error: EntrepotError, identifier: str) -> Response:
    """Return the answer for one of the hub's own errors."""
    title = (type(error).__doc__ or "").strip().splitlines()[0].rstrip(".")
    response = problem(error.status, error.code(), title, error.detail, identifier, camel_context(error.context))
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = 'Bearer realm="entrepot"'
    if "retry_after_s" in error.context:
        response.headers["Retry-After"] = str(error.context["retry_after_s"])
    return response


def of_http_error(error: HTTPException, identifier: str) -> Response:
    """Return the answer for an error of the framework: no such path, wrong method, too large."""
    title = _TITLES.get(error.status_code, "Request failed")
    code = title.lower().replace(" ", "-")
    response = problem(error.status_code, code, title, str(error.detail), identifier)
    response.headers.update(error.headers or {})
    return response


def camel_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context with its names as JSON has them: `retry_after_s` is `retryAfterS`."""
    return {_camel(name): value for name, value in context.items()}


def unexpected(error: BaseException, identifier: str) -> Response:
    """Log an error that nobody foresaw and return an answer that says nothing but where to find it."""
    log.error("request_failed", request_id=identifier, exc_info=error)
    detail = f"Something went wrong in the hub. Its log has more under the id {identifier}."
    return problem(500, "internal-error", _TITLES[500], detail, identifier)


def install(app: FastAPI) -> None:
    """Make the application answer errors this way."""

    async def on_known(request: Request, error: Exception) -> Response:
        assert isinstance(error, EntrepotError)
        if error.status >= 500:
            log.error("request_failed", request_id=request_id(request), exc_info=error)
        return of_error(error, request_id(request))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [_field_error(one) for one in error.errors()]
        detail = "; ".join(_in_words(one) for one in errors[:5])
        title = "The request is not valid"
        return problem(422, "invalid-request", title, detail, request_id(request), {"errors": errors})

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return of_http_error(error, request_id(request))

    async def on_database(request: Request, error: Exception) -> Response:
        return of_error(_database_error(error), request_id(request))

    for kind in (*_NOT_TEXT, *_MET, *_AWAY):
        app.add_exception_handler(kind, on_database)
    app.add_exception_handler(EntrepotError, on_known)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


_NOT_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError, UnicodeEncodeError)
_MET = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_AWAY = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError, ConnectionError)


def _database_error(error: Exception) -> EntrepotError:
    """Return what an error of the database means to the caller."""
    if isinstance(error, _NOT_TEXT):
        return InvalidInput("Text holds a character that cannot be stored (U+0000, half a surrogate pair).")
    if isinstance(error, _MET):
        return Unavailable("Two changes met and this one was undone: send it again.", retry_after_s=1)
    log.error("database_away", exc_info=error)
    return Unavailable("The database does not answer at the moment: send it again.", retry_after_s=2)


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    """Return {pointer | parameter | header, detail} of one of pydantic's errors."""
    where, *path = error["loc"]
    detail = str(error["msg"])
    if where == "body":
        return {"pointer": _pointer(path), "detail": detail}
    return {{"query": "parameter", "path": "parameter"}.get(str(where), str(where)): str(path[0]), "detail": detail}


def _pointer(path: Sequence[Any]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901, 6)."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _in_words(error: Mapping[str, str]) -> str:
    name = error.get("parameter") or error.get("pointer", "#").removeprefix("#/") or "body"
    return f"{name}: {error['detail']}"


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
