"""What a request costs in points.

The channel does not publish its formula exactly. This one follows its published rules (scalars nothing, objects 1,
mutations 10, connections by their size) with connections growing slowly, fitted to costs that the real channel has
been seen to report: a page of 250 variants with their inventory items costs 24.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MUTATION_POINTS = 10
SINGLE_QUERY_MAX = 1_000
VARIANT_POINTS, FILE_POINTS = 0.2, 1.9
"""What each variant and file of a productSet costs (the schema's own words)."""
_ASSUMED_PAGE = 10


class Costs:
    """Costs of one operation with its variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema, self._operation = schema, operation
        self._fragments, self._variables = fragments, variables
        self._mutates = operation.operation is OperationType.MUTATION

    def requested(self) -> int:
        """Return the most that the operation can cost, with what is sent."""
        return self._root(None) + math.ceil(self._sent() - 1e-9)

    def actual(self, data: Mapping[str, Any]) -> int:
        """Return what it cost, by what it returned and what was sent."""
        return self._root(data) + math.ceil(self._sent() - 1e-9)

    def _sent(self) -> float:
        """What products in the variables cost."""
        points = 0.0
        for value in self._variables.values():
            rows = value.get("variants") if isinstance(value, Mapping) else None
            files = value.get("files") if isinstance(value, Mapping) else None
            points += VARIANT_POINTS * len(rows) if isinstance(rows, list) else 0
            points += FILE_POINTS * len(files) if isinstance(files, list) else 0
        return points

    def _root(self, data: Mapping[str, Any] | None) -> int:
        root = self._schema.mutation_type if self._mutates else self._schema.query_type
        assert root is not None
        points = self._selection(self._operation.selection_set, root, data, top=self._mutates)
        return max(1, math.ceil(points - 1e-9)) if points else 0

    def _selection(
        self, selection: SelectionSetNode | None, parent: GraphQLNamedType, data: Any, *, top: bool = False
    ) -> float:
        points = 0.0
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                points += self._field(node, parent, data, top=top)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.type_map[condition.name.value] if condition else parent
                points += self._selection(node.selection_set, inner, data, top=top)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                inner = self._schema.type_map[fragment.type_condition.name.value]
                points += self._selection(fragment.selection_set, inner, data, top=top)
        return points

    def _field(self, node: FieldNode, parent: GraphQLNamedType, data: Any, *, top: bool) -> float:
        name = node.name.value
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) or name not in parent.fields:
            return 0.0
        returns = parent.fields[name].type
        kind = get_named_type(returns)
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            return 0.0
        value = data.get(node.alias.value if node.alias else name) if isinstance(data, Mapping) else None
        if data is not None and value is None:
            return float(MUTATION_POINTS if top else 0)
        if kind.name.endswith("Connection"):
            return self._connection(node, kind, value)
        if name in ("nodes", "edges", "pageInfo", "node", "userErrors") and parent.name != "QueryRoot":
            return self._selection(node.selection_set, kind, _one(value))
        own = MUTATION_POINTS if top else 1
        times = self._times(node, returns, value)
        return times * (own + self._selection(node.selection_set, kind, _one(value)))

    def _times(self, node: FieldNode, returns: GraphQLType, value: Any) -> int:
        inner = returns.of_type if isinstance(returns, GraphQLNonNull) else returns
        if not isinstance(inner, GraphQLList) or node.name.value != "nodes":
            return 1
        if isinstance(value, list):
            return sum(1 for one in value if one is not None)
        ids = next((argument.value for argument in node.arguments or () if argument.name.value == "ids"), None)
        given = self._variables.get(ids.name.value) if isinstance(ids, VariableNode) else None
        return len(given) if isinstance(given, list) else len(getattr(ids, "values", ())) or 1

    def _connection(self, node: FieldNode, kind: GraphQLNamedType, value: Any) -> float:
        inner = self._selection(node.selection_set, kind, value)
        told = value.get("nodes") or value.get("edges") or () if isinstance(value, Mapping) else None
        count = self._first(node) if told is None else len(told)
        return 2 + 2 * math.log(1 + count) * (1 + inner)

    def _first(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "first":
                given = argument.value
                if isinstance(given, VariableNode):
                    number = self._variables.get(given.name.value)
                    return number if isinstance(number, int) and number >= 0 else _ASSUMED_PAGE
                if isinstance(given, IntValueNode):
                    return int(given.value)
        return _ASSUMED_PAGE


def _one(value: Any) -> Any:
    """Stand for the things of a list by its first."""
    if isinstance(value, list):
        return next((one for one in value if one is not None), {})
    return value
