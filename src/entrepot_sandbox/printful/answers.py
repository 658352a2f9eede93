"""Printful's manner of speaking: envelopes, errors, pages, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Json = dict[str, Any]

_REASONS = {400: "BadRequest", 401: "Unauthorized", 403: 403, 404: "NotFound", 409: 409, 429: "TooManyRequests"}


class PrintfulError(Exception):
    """Printful refuses a request. `code`: its own, which only the first version tells."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        self.status, self.message, self.code = status, message, code
        super().__init__(message)

    @property
    def answer(self) -> Response:
        """The answer that says so."""
        if self.status >= 500:
            problem = {
                "type": "https://developers.printful.com/docs/v2-beta/#errors/internal-server-error",
                "status": self.status,
                "details": self.message,
            }
            return respond(problem, self.status)
        error: Json = {"reason": _REASONS.get(self.status, "BadRequest"), "message": self.message}
        if self.code:
            error["api_error_code"] = self.code
        return respond({"code": self.status, "result": self.message, "error": error}, self.status)


def bad(message: str) -> PrintfulError:
    """Return a 400."""
    return PrintfulError(400, message)


def not_found(message: str = "Not found") -> PrintfulError:
    """Return a 404."""
    return PrintfulError(404, message)


def respond(content: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def data(content: Any, **more: Any) -> Response:
    """Return an answer of the second version."""
    return respond({"data": content, **more})


def result(content: Any, **more: Any) -> Response:
    """Return an answer of the first version."""
    return respond({"code": 200, "result": content, "extra": [], **more})


def paged(
    request: Request, things: Sequence[Any], *, usual: int = 20, old: bool = False, counted: bool = True
) -> Response:
    """Return the page of a list that the query asks for; `counted`: the answer says how many there are."""
    limit = _whole(request, "limit", usual, 1, 100)
    offset = _whole(request, "offset", 0, 0, 10**9)
    paging = {"total": len(things), "offset": offset, "limit": limit}
    part = list(things[offset : offset + limit])
    if old:
        return result(part, paging=paging)
    here = str(request.url).partition("?")[0]
    links = {"self": {"href": f"{here}?limit={limit}&offset={offset}"}}
    if offset + limit < len(things):
        links["next"] = {"href": f"{here}?limit={limit}&offset={offset + limit}"}
    return data(part, paging=paging, _links=links) if counted else data(part, _links=links)


def _whole(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isdigit() or not least <= int(text) <= most:
        raise bad(f"The {name} must be {least} to {most}.")
    return int(text)


async def body_of(request: Request) -> Json:
    """Return the JSON object of a request. Raises PrintfulError."""
    try:
        found = msgspec.json.decode(await request.body() or b"{}")
    except msgspec.DecodeError as error:
        raise bad("The request is not valid JSON.") from error
    if not isinstance(found, dict):
        raise bad("The request must be a JSON object.")
    return found


def list_of(body: Mapping[str, Any], name: str) -> list[Json]:
    """Return a list of objects. Raises PrintfulError."""
    found = body.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise bad(f"{name} must be a list of objects.")
    return found


def object_of(body: Mapping[str, Any], name: str) -> Json:
    """Return an object, empty if it is absent. Raises PrintfulError."""
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise bad(f"{name} must be an object.")
    return found


def stamp(moment: datetime) -> str:
    """Return a time as the second version writes it: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def amount(value: Decimal) -> str:
    """Return money as text with two decimals."""
    return format(value.quantize(Decimal("0.01")), "f")
