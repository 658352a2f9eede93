"""Every name, type, argument and default that the simulated shop serves is the official schema's."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_client_schema,
    print_ast,
    validate_schema,
)

from entrepot_sandbox.shopify.api import schema

SPEC = Path(os.environ.get("ENTREPOT_SPECS", "../shared/specs")) / "shopify/admin_2026-10.json.gz"


@pytest.fixture(scope="session")
def official() -> GraphQLSchema:
    if not SPEC.exists():
        pytest.skip(f"no official schema at {SPEC}")
    with gzip.open(SPEC) as file:
        return build_client_schema(json.load(file)["data"], assume_valid=True)


def _default(argument: Any) -> str | None:
    default = argument.default
    if default is None:
        return None
    return print_ast(default.literal) if default.literal is not None else repr(default.value)


def test_the_schema_is_valid() -> None:
    assert validate_schema(schema()) == []


def test_every_type_is_the_official_one(official: GraphQLSchema) -> None:
    wrong = []
    for name, ours in schema().type_map.items():
        theirs = official.type_map.get(name)
        if theirs is None or type(theirs) is not type(ours):
            wrong.append(name)
        elif isinstance(ours, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
            wrong += [f"{name}.{value}" for value in ours.values if value not in theirs.values]
        elif isinstance(ours, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            assert isinstance(theirs, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType)
            wrong += _differing_fields(name, ours, theirs)
    assert wrong == []


def _differing_fields(name: str, ours: Any, theirs: Any) -> list[str]:
    wrong = []
    for field_name, field in ours.fields.items():
        official_field = theirs.fields.get(field_name)
        if official_field is None or str(field.type) != str(official_field.type):
            wrong.append(f"{name}.{field_name}")
            continue
        if isinstance(ours, GraphQLInputObjectType):
            if _default(field) != _default(official_field):
                wrong.append(f"{name}.{field_name}: default")
            continue
        for argument_name, argument in field.args.items():
            official_argument = official_field.args.get(argument_name)
            if official_argument is None or str(argument.type) != str(official_argument.type):
                wrong.append(f"{name}.{field_name}({argument_name})")
            elif _default(argument) != _default(official_argument):
                wrong.append(f"{name}.{field_name}({argument_name}): default")
        required = [key for key, argument in official_field.args.items() if str(argument.type).endswith("!")]
        wrong += [f"{name}.{field_name}({key}) is missing" for key in required if key not in field.args]
    if isinstance(ours, GraphQLInputObjectType):
        required = [key for key, field in theirs.fields.items() if str(field.type).endswith("!")]
        wrong += [f"{name}.{key} is missing" for key in required if key not in ours.fields]
    return wrong


def test_the_directive_is_the_official_one(official: GraphQLSchema) -> None:
    ours, theirs = schema().get_directive("idempotent"), official.get_directive("idempotent")
    assert ours is not None
    assert theirs is not None
    assert ours.locations == theirs.locations
    assert {name: str(argument.type) for name, argument in ours.args.items()} == {
        name: str(argument.type) for name, argument in theirs.args.items()
    }
