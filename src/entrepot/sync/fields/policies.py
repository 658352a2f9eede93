"""Which rule and policy hold for a field of a connection: the narrowest that somebody set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.sync.merge.fields import FIELDS, Field
from entrepot.sync.merge.policies import Policy
from entrepot.sync.merge.rules import FieldRule, Flow
from entrepot.sync.merge.values import NUMERIC

SWING_PERCENT = Decimal(50)
"""Most that a price may change by itself where nobody set another limit."""


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """How a field of a connection is merged, and how its conflicts are decided."""

    rule: FieldRule
    policy: Policy = Policy.MANUAL


def field_policies(rows: Iterable[Mapping[str, Any]], connection_id: UUID) -> dict[str, FieldPolicy]:
    """Return the policy of every field of a connection. Pure.

    Of the given rows the narrowest holds: connection and field, then connection, then field, then all.
    """
    chosen: dict[tuple[bool, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["connection_id"] in (None, connection_id):
            chosen[(row["connection_id"] is not None, row["field"])] = row
    return {name: _of(field, _narrowest(chosen, name)) for name, field in FIELDS.items()}


def _narrowest(chosen: Mapping[tuple[bool, str], Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    for key in ((True, name), (True, ""), (False, name), (False, "")):
        if key in chosen:
            return chosen[key]
    return None


def _of(field: Field, row: Mapping[str, Any] | None) -> FieldPolicy:
    numeric = field.kind in NUMERIC
    if row is None:
        return FieldPolicy(FieldRule(field.kind, Flow.BOTH, field.required, SWING_PERCENT if numeric else None))
    rule = FieldRule(field.kind, Flow(row["flow"]), field.required, row["swing_percent"] if numeric else None)
    return FieldPolicy(rule, Policy(row["policy"]))
