"""Stripe's OpenAPI document: forms and nested queries, which other channels do not have, checked by our own code."""

from __future__ import annotations

import functools
import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT4
from tests.connectors.specs import OpenApi, _adapted, _typed, spec_bytes

from entrepot.channels.contract import Call, Reply

SPEC = "stripe/spec3-2023-09-12.json"
_FORM = "application/x-www-form-urlencoded"


class StripeSpec(OpenApi):
    """`check_call` also of forms and of `created[gte]`; null allowed beside `anyOf` and `$ref` where the document says so."""

    def __init__(self) -> None:
        document: dict[str, Any] = msgspec.json.decode(spec_bytes(SPEC))
        self.name = SPEC
        self._is_swagger = False
        self._document = _adapted(_nullable(document), set())
        self._registry: Registry[Any] = Registry().with_resource("urn:spec", DRAFT4.create_resource(self._document))
        self._routes = [
            (re.compile("^" + re.sub(r"\\\{[^/]+?\\\}", "([^/]+)", re.escape(template)) + "$"), template, item)
            for template, item in self._document["paths"].items()
        ]
        self._routes.sort(key=lambda route: route[1].count("{"))

    def check_call(self, call: Call) -> None:
        """Assert that path, method, query and form are what the document allows; unknown names are errors."""
        template, operation, parameters = self._operation(call)
        where = f"{call.method} {template}"
        known = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
        required = {p["name"] for p in parameters if p["in"] == "query" and p.get("required")}
        told = _nested(call.query)
        assert required <= told.keys(), f"{where}: query {required - told.keys()} is required"
        self._check_fields(known, told, f"{where} query")
        form = operation.get("requestBody", {}).get("content", {}).get(_FORM, {}).get("schema", {})
        pairs = parse_qsl((call.body or b"").decode(), keep_blank_values=True, strict_parsing=bool(call.body))
        given = _nested(pairs)
        assert set(form.get("required", ())) <= given.keys(), f"{where}: {form['required']} are required"
        self._check_fields(form.get("properties", {}), given, f"{where} form")
        if call.method == "POST":
            assert call.headers["content-type"] == _FORM
        assert call.headers["stripe-version"] == self._document["info"]["version"]

    def check_reply(self, call: Call, reply: Reply) -> None:
        """Assert that the answer's body is what the document says, expanded or not; every refusal is an `error`."""
        if reply.status >= 400:
            self._operation(call)
            self.check_object("error", msgspec.json.decode(reply.body))
        else:
            super().check_reply(call, reply)

    def check_object(self, name: str, value: Any) -> None:
        """Assert that a value is a schema's object."""
        schema = {"$ref": f"urn:spec#/components/schemas/{name}"}
        validator = Draft4Validator(schema, registry=self._registry, format_checker=FormatChecker())
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(value)]
        assert not errors, errors[:5]

    def _check_fields(self, known: dict[str, Any], told: dict[str, Any], where: str) -> None:
        assert not told.keys() - known.keys(), f"{where}: unknown {sorted(told.keys() - known.keys())}"
        for name, value in told.items():
            self._check(known[name], self._as_type(known[name], value), f"{where} {name}")

    def _as_type(self, schema: dict[str, Any], value: Any) -> Any:
        schema = self._deref(schema)
        if isinstance(value, dict):
            kinds = [self._deref(each) for each in schema.get("anyOf", [schema])]
            shape = next((each for each in kinds if each.get("type") == "object"), {})
            inner, rest = shape.get("properties", {}), shape.get("additionalProperties") or {}
            return {k: self._as_type(inner.get(k, rest if isinstance(rest, dict) else {}), v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._as_type(schema.get("items", {}), each) for each in value]
        kind = schema.get("type")
        return _typed(value, kind[0] if isinstance(kind, list) else kind)


@functools.cache
def stripe_spec() -> StripeSpec:
    """Return the loaded document, or skip the test with a word if it is absent."""
    return StripeSpec()


def _nested(pairs: Any) -> dict[str, Any]:
    """Return `a[b]=1` as {"a": {"b": "1"}} and `a[]=1` as {"a": ["1"]}."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        first, *others = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        if not others:
            assert first not in found, f"{first} is given twice"
            found[first] = value
        elif others == [""]:
            found.setdefault(first, []).append(value)
        else:
            assert len(others) == 1, f"{name} is nested deeper than these tests know"
            found.setdefault(first, {})[others[0]] = value
    return found


def _nullable(value: Any) -> Any:
    """Return the document with `nullable` beside anyOf spelled out."""
    if isinstance(value, list):
        return [_nullable(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: _nullable(each) for name, each in value.items() if name != "x-expansionResources"}
    if made.get("nullable") is True and isinstance(made.get("anyOf"), list):
        made["anyOf"] = [*made["anyOf"], {"enum": [None]}]
    return made
