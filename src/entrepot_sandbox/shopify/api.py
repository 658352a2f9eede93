"""The GraphQL endpoint: access token, cost bucket, execution."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.limits import Bucket
from entrepot_sandbox.shopify import ids, queries
from entrepot_sandbox.shopify.cost import SINGLE_QUERY_MAX, Costs
from entrepot_sandbox.shopify.state import API_VERSION, State

BUCKET_POINTS, RESTORE_PER_S = 2_000, 100
"""The standard plan."""
WRITE_POINTS = 10
"""What a quantity mutation costs at least."""
_DOCUMENTS_MAX = 200


@cache
def schema() -> GraphQLSchema:
    """Return the served part of the Admin API's schema."""
    return build_schema(resources.files(__package__).joinpath("schema.graphql").read_text())


@dataclass(frozen=True, slots=True)
class _Asked:
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: dict[str, Any]
    operation_name: str | None


class _Invalid(Exception):
    """The request cannot be executed: the channel answers with errors alone."""

    def __init__(self, errors: list[dict[str, Any]], status: int = 200) -> None:
        super().__init__()
        self.errors, self.status = errors, status


class Endpoint:
    """POST /admin/api/{version}/graphql.json."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.bucket: Bucket = state.desk.bucket(
            "graphql", capacity=BUCKET_POINTS, refill_per_s=RESTORE_PER_S, writes=True, unit=WRITE_POINTS
        )
        self._root = queries.root(state)
        self._documents: OrderedDict[str, DocumentNode | list[GraphQLError]] = OrderedDict()
        self._request_count = 0

    async def __call__(self, request: Request) -> Response:
        if request.headers.get("x-shopify-access-token") != self._state.access_token:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return self.answer({"errors": message}, 401)
        if request.path_params["version"] != API_VERSION:
            return self.answer({"errors": "Not Found"}, 404)
        try:
            asked = self._read(await request.body())
            return self._run(request, asked)
        except _Invalid as invalid:
            return self.answer({"errors": invalid.errors}, invalid.status)

    def answer(self, body: Mapping[str, Any], status: int = 200) -> Response:
        """Return a JSON answer with the channel's headers."""
        self._request_count += 1
        headers = {
            "X-Request-Id": f"{self._state.desk.world.seed:08x}-0000-4000-8000-{self._request_count:012x}",
            "X-Shopify-API-Version": API_VERSION,
            "X-ShopId": str(ids.SHOP),
        }
        return Response(msgspec.json.encode(body), status, headers, "application/json; charset=utf-8")

    def _read(self, raw: bytes) -> _Asked:
        try:
            body = json.loads(raw)
        except ValueError:
            raise _Invalid([{"message": "The request body is not valid JSON"}], 400) from None
        query = body.get("query") if isinstance(body, dict) else None
        if not isinstance(query, str):
            raise _Invalid([{"message": "Required parameter missing or invalid: query"}], 400)
        document = self._document(query)
        name = body.get("operationName")
        operation = get_operation_ast(document, name)
        if operation is None:
            raise _Invalid([{"message": "An operation name is required"}])
        variables = body.get("variables") or {}
        return _Asked(document, operation, variables if isinstance(variables, dict) else {}, name)

    def _document(self, query: str) -> DocumentNode:
        """Parse and validate, once for each text."""
        known = self._documents.get(query)
        if known is None:
            try:
                document = parse(query)
                known = validate(schema(), document) or document
            except GraphQLError as error:
                known = [error]
            self._documents[query] = known
            if len(self._documents) > _DOCUMENTS_MAX:
                self._documents.popitem(last=False)
        if isinstance(known, list):
            raise _Invalid([dict(error.formatted) for error in known])
        return known

    def _run(self, request: Request, asked: _Asked) -> Response:
        fragments = {
            node.name.value: node for node in asked.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        costs = Costs(schema(), asked.operation, fragments, asked.variables)
        requested = costs.requested()
        if requested > SINGLE_QUERY_MAX:
            raise _Invalid([_too_costly(requested)])
        if not self.bucket.take(requested).ok:
            return self.answer({"errors": [_THROTTLED], "extensions": self._cost(requested, None)})
        result = execute_sync(
            schema(),
            asked.document,
            root_value=self._root,
            context_value=request,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
        )
        actual = costs.actual(result.data) if result.data is not None else 0
        self.bucket.give_back(max(0, requested - actual))
        body: dict[str, Any] = {}
        if result.errors:
            body["errors"] = [dict(error.formatted) for error in result.errors]
        if result.data is not None:
            body["data"] = result.data
        return self.answer({**body, "extensions": self._cost(requested, actual)})

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        return {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": actual,
                "throttleStatus": {
                    "maximumAvailable": float(self.bucket.capacity),
                    "currentlyAvailable": int(self.bucket.available),
                    "restoreRate": float(self.bucket.refill_per_s),
                },
            }
        }


_THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
}


def _too_costly(requested: int) -> dict[str, Any]:
    return {
        "message": f"Query cost is {requested}, which exceeds the single query max cost limit ({SINGLE_QUERY_MAX}).",
        "extensions": {
            "code": "MAX_COST_EXCEEDED",
            "cost": requested,
            "maxCost": SINGLE_QUERY_MAX,
            "documentation": "https://shopify.dev/api/usage/rate-limits#rate-limits",
        },
    }
