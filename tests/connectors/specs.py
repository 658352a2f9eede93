"""Checks of requests and answers against the channels' official specifications. Each is loaded once a run."""

from __future__ import annotations

import functools
import gzip
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from graphql import GraphQLError, GraphQLSchema, build_client_schema, parse, validate
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT4

from entrepot.channels.contract import Call, Reply

SPECS = Path(os.environ.get("ENTREPOT_SPECS", "../shared/specs"))
DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data"))


def spec_bytes(name: str) -> bytes:
    """Return a specification file, or skip the test with a word if it is absent."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"the official specification {name} is not here (ENTREPOT_SPECS)")
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def published_payloads(channel: str) -> list[Path]:
    """Return the sample payloads that the channel publishes; empty where absent."""
    return sorted((DATA / "payloads" / channel).glob("*.json"))


# ---- GraphQL -------------------------------------------------------------------------------------------


@functools.cache
def graphql_schema(name: str) -> GraphQLSchema:
    """Return the schema of an introspection file."""
    return build_client_schema(msgspec.json.decode(spec_bytes(name))["data"], assume_valid=True)


@functools.cache
def graphql_errors(name: str, query: str) -> tuple[GraphQLError, ...]:
    """Return what is wrong with a query by the official schema."""
    return tuple(validate(graphql_schema(name), parse(query)))


# ---- OpenAPI 3 and Swagger 2 ---------------------------------------------------------------------------

_METHODS = ("get", "put", "post", "delete", "patch")


class OpenApi:
    """One OpenAPI 3 or Swagger 2 document: `check_call` and `check_reply` assert that they obey it."""

    def __init__(self, name: str) -> None:
        document: dict[str, Any] = msgspec.json.decode(spec_bytes(name))
        self.name = name
        self._is_swagger = "swagger" in document
        self._document = _adapted(document, _refs_in_all_of(document))
        self._registry: Registry[Any] = Registry().with_resource("urn:spec", DRAFT4.create_resource(self._document))
        self._routes = [
            (re.compile("^" + re.sub(r"\\\{[^/]+?\\\}", "([^/]+)", re.escape(template)) + "$"), template, item)
            for template, item in self._document["paths"].items()
        ]
        # A literal path wins over one with a parameter in the same place.
        self._routes.sort(key=lambda route: route[1].count("{"))

    def check_call(self, call: Call) -> None:
        """Assert that path, method, query and body are what the document allows; unknown names are errors."""
        template, operation, parameters = self._operation(call)
        where = f"{call.method} {template}"
        self._check_parameters(where, call, template, parameters)
        schema, required = self._body_schema(operation, parameters)
        if call.body is None:
            assert not required, f"{where}: a body is required"
            return
        assert schema is not None, f"{where}: takes no body"
        self._check(schema, msgspec.json.decode(call.body), f"{where} body")

    def check_reply(self, call: Call, reply: Reply) -> None:
        """Assert that the answer's body is what the document says for its status."""
        template, operation, _ = self._operation(call)
        responses = operation["responses"]
        response = self._deref(responses.get(str(reply.status)) or responses.get("default") or {})
        schema = response.get("schema") if self._is_swagger else _json_schema(response.get("content", {}))
        if schema is not None and reply.body:
            self._check(schema, msgspec.json.decode(reply.body), f"{call.method} {template} answer {reply.status}")

    def _operation(self, call: Call) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        for pattern, template, item in self._routes:
            if pattern.match(call.path) and call.method.lower() in item:
                operation = item[call.method.lower()]
                parameters = [self._deref(p) for p in (*item.get("parameters", []), *operation.get("parameters", []))]
                return template, operation, parameters
        raise AssertionError(f"{self.name} has no {call.method} {call.path}")

    def _check_parameters(self, where: str, call: Call, template: str, parameters: list[dict[str, Any]]) -> None:
        query: dict[str, list[str]] = {}
        for name, value in call.query:
            query.setdefault(name, []).append(value)
        known = {p["name"]: p for p in parameters if p["in"] == "query"}
        assert not query.keys() - known.keys(), f"{where}: unknown query {sorted(query.keys() - known.keys())}"
        for name, parameter in known.items():
            if name not in query:
                assert not parameter.get("required"), f"{where}: query {name} is required"
                continue
            self._check_text(parameter, query[name], f"{where} query {name}")
        pattern = next(p for p, t, _ in self._routes if t == template)
        match = pattern.match(call.path)
        assert match is not None
        in_path = {p["name"]: p for p in parameters if p["in"] == "path"}
        for name, value in zip(re.findall(r"\{([^/]+?)\}", template), match.groups(), strict=True):
            if name in in_path:
                self._check_text(in_path[name], [unquote(value)], f"{where} path {name}")

    def _check_text(self, parameter: dict[str, Any], texts: list[str], where: str) -> None:
        schema = self._deref(parameter.get("schema", parameter))
        kinds = schema.get("type")
        kind = kinds[0] if isinstance(kinds, list) else kinds
        if kind == "array":
            parts = [part for text in texts for part in text.split(",")]
            item = self._deref(schema.get("items", {}))
            value: Any = [_typed(part, item.get("type")) for part in parts]
        else:
            assert len(texts) == 1, f"{where} is given {len(texts)} times"
            value = _typed(texts[0], kind)
        keywords = {k: v for k, v in schema.items() if k not in ("name", "in", "required", "description", "schema")}
        self._check(keywords, value, where)

    def _body_schema(self, operation: dict[str, Any], parameters: list[dict[str, Any]]) -> tuple[Any, bool]:
        if self._is_swagger:
            body = next((p for p in parameters if p["in"] == "body"), None)
            return (None, False) if body is None else (body["schema"], bool(body.get("required")))
        request = self._deref(operation.get("requestBody", {}))
        return _json_schema(request.get("content", {})), bool(request.get("required"))

    def _deref(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            value = self._registry.resolver().lookup(value["$ref"]).contents
        return value

    def _check(self, schema: Any, value: Any, where: str) -> None:
        validator = Draft4Validator(schema, registry=self._registry, format_checker=FormatChecker())
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(value)]
        assert not errors, f"{self.name}: {where}: {errors[:5]}"


@functools.cache
def openapi(name: str) -> OpenApi:
    """Return a loaded OpenAPI or Swagger document."""
    return OpenApi(name)


def _json_schema(content: dict[str, Any]) -> Any:
    return next((media.get("schema") for kind, media in content.items() if "json" in kind), None)


def _typed(text: str, kind: Any) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def _refs_in_all_of(value: Any) -> set[str]:
    """Return every `$ref` under an allOf: those objects are parts, so further properties must stay allowed."""
    found: set[str] = set()
    if isinstance(value, dict):
        for part in value.get("allOf") or ():
            if isinstance(part, dict) and "$ref" in part:
                found.add(part["$ref"])
        for each in value.values():
            found |= _refs_in_all_of(each)
    elif isinstance(value, list):
        for each in value:
            found |= _refs_in_all_of(each)
    return found


def _adapted(value: Any, open_refs: set[str], pointer: str = "#", in_all_of: bool = False) -> Any:
    """Return the document as JSON Schema draft 4: refs absolute, `nullable` spelled out, unknown properties refused."""
    if isinstance(value, list):
        part = pointer.endswith("/allOf")
        return [_adapted(each, open_refs, f"{pointer}/{i}", part) for i, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        ref = value["$ref"]
        return {"$ref": f"urn:spec{ref}" if ref.startswith("#") else ref}
    is_map = pointer.endswith("/properties")
    adapted = {
        name: each
        if not is_map and (name in ("example", "examples", "default", "enum") or name.startswith("x-"))
        else _adapted(each, open_refs, f"{pointer}/{name}")
        for name, each in value.items()
    }
    if is_map:
        return adapted
    is_schema = isinstance(value.get("properties"), dict)
    is_open = in_all_of or pointer in open_refs or any(k in value for k in ("allOf", "oneOf", "anyOf"))
    if is_schema and not is_open and "additionalProperties" not in value:
        adapted["additionalProperties"] = False
    if value.get("nullable") is True and isinstance(value.get("type"), str):
        adapted["type"] = [value["type"], "null"]
        if isinstance(value.get("enum"), list):
            adapted["enum"] = [*value["enum"], None]
    return adapted
