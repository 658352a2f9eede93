"""Routing rules as data: what a person writes and the hub keeps. Checked here, carried out in `rules.py`.

{"rules": [{"name": "Iberia from Lisbon", "if": {"country": ["PT", "ES"]},
            "then": {"from": {"groups": ["iberia"]}, "sort": ["distance", "cost"], "split": "lines", "else": "next"}}],
 "otherwise": {"split": "units"}}
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from entrepot.fulfilment.contracts import InvalidRouting

RULES_MOST = 50
PARCELS_MOST = 5
HOURS_MOST = 24 * 90
AMOUNT_MOST = 10**15
LOCATION_KINDS = ("warehouse", "store", "supplier", "dropship")


class Sort(StrEnum):
    """By what places are preferred; the first that differs decides, then their own priority."""

    DISTANCE = "distance"
    """The same region, the same country, others; within these by kilometres where both ends are known."""
    COST = "cost"
    STOCK = "stock"
    """Those with most of what is asked first."""
    CAPACITY = "capacity"
    PRIORITY = "priority"


class Split(StrEnum):
    """Into what an order may be parted."""

    NEVER = "never"
    LINES = "lines"
    """Lines may come from different places, a line from one."""
    UNITS = "units"


class Else(StrEnum):
    """What follows where a rule cannot place all it was asked for."""

    NEXT = "next"
    PARK = "park"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Words = Annotated[tuple[Word, ...], Field(min_length=1, max_length=300)]


class Amount(_Model):
    """A range of money in minor units of the order's currency: at least, and below."""

    at_least: int | None = Field(default=None, ge=0, le=AMOUNT_MOST)
    below: int | None = Field(default=None, ge=1, le=AMOUNT_MOST)

    @model_validator(mode="after")
    def _some(self) -> Amount:
        if self.at_least is None and self.below is None:
            raise ValueError("name at_least, below or both")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError("at_least must be less than below")
        return self


Hours = Annotated[int, Field(ge=0, le=HOURS_MOST)]


class When(_Model):
    """Conditions on an order. All that are named must hold; of a list, one."""

    channel: Words | None = None
    connection: tuple[UUID, ...] | None = Field(default=None, min_length=1)
    country: Words | None = None
    not_country: Words | None = None
    region: Words | None = None
    method: Words | None = None
    """Part of the shipping method's name, in any case."""
    tag: Words | None = None
    product_tag: Words | None = None
    """A line has a product with one of these tags."""
    sku: Words | None = None
    """A line's SKU begins so."""
    risk: Words | None = None
    total: Amount | None = None
    promised_within_hours: Hours | None = None
    older_than_hours: Hours | None = None

    @field_validator("country", "not_country", mode="after")
    @classmethod
    def _codes(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = next((code for code in value or () if len(code) != 2 or not code.isalpha()), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a country's two letters, such as PT")
        return None if value is None else tuple(code.upper() for code in value)


class From(_Model):
    """Which places may send: of those named in any of these, the ones in all that are named."""

    places: tuple[UUID, ...] | None = Field(default=None, min_length=1)
    groups: Words | None = None
    kinds: Words | None = None
    within_km: float | None = Field(default=None, gt=0, le=25_000)

    @field_validator("kinds", mode="after")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = next((kind for kind in value or () if kind not in LOCATION_KINDS), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a kind of location. Known: {', '.join(LOCATION_KINDS)}")
        return value


class Then(_Model):
    """What to do with an order for which a rule holds."""

    source: From = Field(default=From(), validation_alias="from", serialization_alias="from")
    sort: tuple[Sort, ...] = (Sort.DISTANCE,)
    split: Split = Split.LINES
    parcels: int = Field(default=3, ge=1, le=PARCELS_MOST)
    """Places that one order comes from, at most."""
    safety: int = Field(default=0, ge=0, le=1_000_000)
    """Units of each variant that stay at each place."""
    partly: bool = False
    """Send what is there, and let the rest wait."""
    otherwise: Else = Field(default=Else.NEXT, validation_alias="else", serialization_alias="else")
    park_hours: Annotated[int, Field(ge=1, le=HOURS_MOST)] | None = None
    cancel_after_hours: Hours | None = None


class Rule(_Model):
    """A rule: its name, conditions and what follows."""

    name: Word
    when: When = Field(default=When(), validation_alias="if", serialization_alias="if")
    then: Then = Then()


class RuleSet(_Model):
    """Rules in order, and what holds for orders that none of them placed."""

    rules: tuple[Rule, ...] = Field(default=(), max_length=RULES_MOST)
    otherwise: Then | None = Then(split=Split.UNITS)
    """None: such orders wait for a person."""

    @model_validator(mode="after")
    def _names_differ(self) -> RuleSet:
        names = [rule.name for rule in self.rules]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two rules are named {twice!r}")
        return self


def read(told: Mapping[str, Any]) -> RuleSet:
    """Return the rules as typed values. Raises InvalidRouting, which names the rule, the field and what is wrong."""
    try:
        return RuleSet.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidRouting(f"{_where(told, first['loc'])}: {_plain(first['msg'])}") from None


def write(rules: RuleSet) -> dict[str, Any]:
    """Return the rules as they are kept: what `read` takes."""
    return rules.model_dump(mode="json", by_alias=True, exclude_none=False, exclude_defaults=True)


def _where(told: Mapping[str, Any], path: tuple[str | int, ...]) -> str:
    if len(path) >= 2 and path[0] == "rules" and isinstance(path[1], int):
        rule = told["rules"][path[1]]
        name = rule.get("name") if isinstance(rule, Mapping) else None
        return " ".join([f"Rule {name!r}" if name else f"Rule {path[1] + 1}", *(["at"] if path[2:] else [])]) + (
            " " + ".".join(map(str, path[2:])) if path[2:] else ""
        )
    return ".".join(map(str, path)) or "The rules"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
