"""Square's manner of speaking: errors, money, times, ids, cursors."""

from __future__ import annotations

import base64
import binascii
import random
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Json = dict[str, Any]

_CATEGORY = {
    401: "AUTHENTICATION_ERROR",
    429: "RATE_LIMIT_ERROR",
    500: "API_ERROR",
    503: "API_ERROR",
}
_LETTERS = string.ascii_uppercase + string.digits


class SquareError(Exception):
    """Square refuses a request."""

    def __init__(self, status: int, code: str, detail: str, field: str = "") -> None:
        self.status, self.code, self.detail, self.field = status, code, detail, field
        super().__init__(detail)

    @property
    def answer(self) -> Response:
        """The answer that says so."""
        error = {
            "category": _CATEGORY.get(self.status, "INVALID_REQUEST_ERROR"),
            "code": self.code,
            "detail": self.detail,
        }
        if self.field:
            error["field"] = self.field
        return ok({"errors": [error]}, self.status)


def bad(code: str, detail: str, field: str = "") -> SquareError:
    """Return a 400."""
    return SquareError(400, code, detail, field)


def not_found(detail: str) -> SquareError:
    """Return a 404."""
    return SquareError(404, "NOT_FOUND", detail)


def ok(content: Mapping[str, Any], status: int = 200) -> Response:
    """Return an answer; what is None is left out at the top."""
    body = {key: value for key, value in content.items() if value is not None}
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def body_of(request: Request) -> Json:
    """Return the JSON object of a request. Raises SquareError."""
    try:
        found = msgspec.json.decode(await request.body() or b"{}")
    except msgspec.DecodeError as error:
        raise bad("BAD_REQUEST", f"Unable to parse JSON body: {error}") from error
    if not isinstance(found, dict):
        raise bad("EXPECTED_JSON_BODY", "The request body must be a JSON object.")
    return found


def list_of(body: Mapping[str, Any], name: str, *, at_most: int, required: bool = False) -> list[Any]:
    """Return a list field. Raises SquareError if it is none, too long, or absent though required."""
    found = body.get(name)
    if found is None and not required:
        return []
    if found is None:
        raise bad("MISSING_REQUIRED_PARAMETER", f"Field must be set: {name}", name)
    if not isinstance(found, list):
        raise bad("EXPECTED_ARRAY", "Expected an array.", name)
    if len(found) > at_most:
        raise bad("ARRAY_LENGTH_TOO_LONG", f"Array must contain at most {at_most} values.", name)
    if required and not found:
        raise bad("ARRAY_EMPTY", "Array must not be empty.", name)
    return found


def object_of(body: Mapping[str, Any], name: str) -> Json:
    """Return an object field, empty if it is absent. Raises SquareError if it is something else."""
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise bad("EXPECTED_OBJECT", "Expected an object.", name)
    return found


def limit_of(body: Mapping[str, Any], *, usual: int, at_most: int) -> int:
    """Return the page size. Raises SquareError."""
    found = body.get("limit", usual)
    if not isinstance(found, int) or isinstance(found, bool):
        raise bad("EXPECTED_INTEGER", "Expected an integer value.", "limit")
    if not 1 <= found <= at_most:
        raise bad("VALUE_TOO_HIGH" if found > at_most else "VALUE_TOO_LOW", f"Use 1 to {at_most}.", "limit")
    return found


def money(amount: Decimal, currency: str) -> Json:
    """Return an amount in the smallest unit (all currencies here have two decimals)."""
    return {"amount": int((amount * 100).to_integral_value()), "currency": currency}


def stamp(moment: datetime) -> str:
    """Return a time as Square writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(value: object, field: str) -> datetime:
    """Return the time of an RFC 3339 text. Raises SquareError."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise bad("INVALID_TIME", "The timestamp is not valid RFC 3339.", field) from error
    if moment.tzinfo is None:
        raise bad("INVALID_TIME", "The timestamp needs an offset.", field)
    return moment


def read_cursor(value: object) -> str:
    """Return what an own cursor holds. Raises SquareError for another's."""
    try:
        return base64.urlsafe_b64decode(str(value).encode()).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise bad("INVALID_CURSOR", "The cursor is not valid.", "cursor") from error


def cursor(content: str) -> str:
    """Return a cursor that holds `content`."""
    return base64.urlsafe_b64encode(content.encode()).decode()


class Ids:
    """Ids like Square's, the same for the same seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def letters(self, length: int = 24) -> str:
        """Return capitals and digits."""
        return "".join(self._chance.choices(_LETTERS, k=length))

    def mixed(self, length: int = 29) -> str:
        """Return letters of both cases and digits."""
        return "".join(self._chance.choices(string.ascii_letters + string.digits, k=length))

    def uuid(self) -> str:
        """Return a UUID."""
        return str(UUID(int=self._chance.getrandbits(128), version=4))


class Keys:
    """Answers given under an idempotency key: the same request gets the same answer, another one is refused."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[bytes, Json]] = {}

    def earlier(self, key: object, request: Mapping[str, Any], *, at_most: int = 128) -> Json | None:
        """Return the answer already given, or None. Raises SquareError if the key is unfit or was used for another."""
        if not isinstance(key, str) or not key:
            raise bad("MISSING_REQUIRED_PARAMETER", "Field must be set: idempotency_key", "idempotency_key")
        if len(key) > at_most:
            raise bad("VALUE_TOO_LONG", f"Field must not be longer than {at_most}.", "idempotency_key")
        given = self._given.get(key)
        if given is None:
            return None
        if given[0] != _canonical(request):
            detail = "Different request parameters used for the same idempotency_key."
            raise bad("IDEMPOTENCY_KEY_REUSED", detail, "idempotency_key")
        return given[1]

    def keep(self, key: object, request: Mapping[str, Any], answer: Json) -> None:
        """Remember the answer."""
        self._given[str(key)] = (_canonical(request), answer)


def _canonical(request: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(request, order="sorted")


def page_of(items: Sequence[Any], start: int, limit: int) -> tuple[Sequence[Any], str | None]:
    """Return a slice and the cursor to the next one, None at the end."""
    end = start + limit
    return items[start:end], cursor(str(end)) if end < len(items) else None


def start_of(value: object) -> int:
    """Return where a cursor of `page_of` points; 0 without one. Raises SquareError."""
    if value in (None, ""):
        return 0
    content = read_cursor(value)
    if not content.isdecimal():
        raise bad("INVALID_CURSOR", "The cursor is not valid.", "cursor")
    return int(content)
