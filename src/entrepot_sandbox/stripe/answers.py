"""Stripe's manner of speaking: forms, errors, lists, ids."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Json = dict[str, Any]


class StripeError(ValueError):
    """Stripe refuses a request. `kept`: the refusal is the answer of its Idempotency-Key from now on."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str = "",
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
        kept: bool = False,
    ) -> None:
        self.status, self.code, self.kept = status, code, kept
        self._headers = dict(headers or {})
        self._error = {"type": kind, "message": message}
        if code:
            self._error["code"] = code
        if param:
            self._error["param"] = param
        super().__init__(message)

    @property
    def answer(self) -> Response:
        """The answer that says so."""
        return ok({"error": self._error}, self.status, self._headers)


def missing(what: str, id: str, param: str = "id") -> StripeError:
    """Return a 404."""
    return StripeError(404, f"No such {what}: '{id}'", code="resource_missing", param=param)


def bad(message: str, *, code: str = "", param: str = "", kept: bool = True) -> StripeError:
    """Return a 400 of what was looked at."""
    return StripeError(400, message, code=code, param=param, kept=kept)


def ok(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), status, dict(headers or {}), media_type="application/json")


class Form:
    """The fields of a form or a query: `a`, `a[]` and `a[b]`. What nobody asks for is refused as Stripe does."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._plain: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._maps: dict[str, dict[str, str]] = {}
        for name, value in pairs:
            inner = re.fullmatch(r"(\w+)\[([^\[\]]*)\]", name)
            if inner is None:
                self._plain[name] = value
            elif not inner[2]:
                self._lists.setdefault(inner[1], []).append(value)
            else:
                self._maps.setdefault(inner[1], {})[inner[2]] = value

    def text(self, name: str) -> str:
        """Return a field, empty where it is absent."""
        return self._plain.pop(name, "")

    def whole(self, name: str) -> int | None:
        """Return a whole number above zero, None where it is absent."""
        value = self._plain.pop(name, "")
        if not value:
            return None
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise bad(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name, kept=False)
        return int(value)

    def several(self, name: str) -> list[str]:
        """Return a list."""
        return self._lists.pop(name, [])

    def map(self, name: str) -> dict[str, str]:
        """Return a map."""
        return self._maps.pop(name, {})

    def done(self) -> None:
        """Raise StripeError where there is more than was asked for."""
        rest = [*self._plain, *self._lists, *self._maps]
        if rest:
            raise bad(f"Received unknown parameter: {rest[0]}", code="parameter_unknown", param=rest[0], kept=False)


def query_of(request: Request) -> Form:
    """Return the query."""
    return Form(request.query_params.multi_items())


async def form_of(request: Request) -> Form:
    """Return the form. Raises StripeError where the body is none."""
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        raise bad("Invalid request: the body must be a form.", kept=False)
    return Form(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def page_of(things: Iterable[Json], form: Form, url: str) -> Json:
    """Return a list as Stripe does, newest first, by `limit`, `starting_after` and `created[gte]`."""
    limit, after, created = form.whole("limit") or 10, form.text("starting_after"), form.map("created")
    form.done()
    if limit > 100:
        raise bad("Invalid integer: at most 100", param="limit", kept=False)
    if created.keys() - {"gte"}:
        raise bad("This simulator knows created[gte] only.", param="created", kept=False)
    found = [each for each in reversed(list(things)) if each["created"] >= int(created.get("gte", "0"))]
    if after:
        places = [place for place, each in enumerate(found) if each["id"] == after]
        if not places:
            raise missing("object", after, "starting_after")
        found = found[places[0] + 1 :]
    return {"object": "list", "url": url, "data": found[:limit], "has_more": len(found) > limit}


class Ids:
    """Ids like Stripe's, the same for the same seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def new(self, prefix: str, length: int = 24) -> str:
        """Return an id such as `pi_3Kl36g...`."""
        return f"{prefix}_{''.join(self._chance.choices(string.ascii_letters + string.digits, k=length))}"
