"""Which policy and which limits count for a variant: the nearest. Pure.

A policy is of the shop, of a category or of a product; the product's goes before its category's, that before those of the
category's parents, all before the shop's. A limit is of a product or a variant, on one connection or on all; the variant's goes
before the product's, one connection's before all, each of buffer, cap and least for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from entrepot.allocation.contracts import Policy
from entrepot.kernel.errors import InvalidInput

SHOP, CATEGORY, PRODUCT, VARIANT = "shop", "category", "product", "variant"
DEFAULT = Policy("fixed_shares", {})


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy or limit is about. `id`: of the category, product or variant; None for the shop."""

    kind: str = SHOP
    id: UUID | None = None


WHOLE_SHOP = Scope()


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy and whose it is. `stored`: somebody set it; else it is what the hub does by itself."""

    policy: Policy
    scope: Scope
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of an organisation by scope."""

    by_scope: Mapping[Scope, Policy] = field(default_factory=dict)

    @property
    def has_categories(self) -> bool:
        """Whether any category has a policy, so that it matters where a product is filed."""
        return any(scope.kind == CATEGORY for scope in self.by_scope)

    def of(self, product_id: UUID | None = None, categories: Sequence[UUID] = ()) -> InForce:
        """Return the policy in force for a product; `categories`: its own first, then the parents up to the root."""
        nearest = [Scope(PRODUCT, product_id)] if product_id is not None else []
        for scope in (*nearest, *(Scope(CATEGORY, id) for id in categories), WHOLE_SHOP):
            if scope in self.by_scope:
                return InForce(self.by_scope[scope], scope)
        return InForce(DEFAULT, WHOLE_SHOP, stored=False)

    def with_policy(self, scope: Scope, policy: Policy) -> Policies:
        """Return the policies as they would be with this one."""
        return Policies({**self.by_scope, scope: policy})


class InvalidLimit(InvalidInput):
    """A limit is a whole number of units, and the most that is shown is not less than the least."""


UNITS_MOST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """Units kept back (`buffer`), the most a listing shows (`cap`) and the least (`least`); None: not said here."""

    buffer: int | None = None
    cap: int | None = None
    least: int | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether it limits nothing."""
        return self.buffer is None and self.cap is None and self.least is None


def check_limit(limit: Limit) -> None:
    """Raise InvalidLimit if a number is out of bounds or the least is above the cap."""
    for name, value in (("buffer", limit.buffer), ("cap", limit.cap), ("least", limit.least)):
        if value is not None and not 0 <= value <= UNITS_MOST:
            raise InvalidLimit(f"The {name} must be 0 to {UNITS_MOST:,} units.", field=name)
    if limit.cap is not None and limit.least is not None and limit.least > limit.cap:
        raise InvalidLimit(
            f"The least shown ({limit.least:,}) is above the most shown ({limit.cap:,}), so nothing ever would be.",
            field="least",
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of some variants, by (scope, connection or None for all)."""

    by_place: Mapping[tuple[Scope, UUID | None], Limit] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, rows: Iterable[Any]) -> Limits:
        """Return the limits that rows with scope, scope_id, connection_id, buffer, cap and least say."""
        return cls(
            {
                (Scope(r["scope"], r["scope_id"]), r["connection_id"]): Limit(r["buffer"], r["cap"], r["least"])
                for r in rows
            }
        )

    def kept_of(self, product_id: UUID, variant_id: UUID) -> int:
        """Return the units that are kept back from all listings of a variant together."""
        for scope in (Scope(VARIANT, variant_id), Scope(PRODUCT, product_id)):
            limit = self.by_place.get((scope, None))
            if limit is not None and limit.buffer is not None:
                return limit.buffer
        return 0

    def on(self, product_id: UUID, variant_id: UUID, connection_id: UUID) -> Limit:
        """Return what limits a variant's listing on a connection; its buffer is None where the connection's own counts."""
        variant, product = Scope(VARIANT, variant_id), Scope(PRODUCT, product_id)
        here = [self.by_place.get((scope, connection_id)) for scope in (variant, product)]
        nearest = [here[0], self.by_place.get((variant, None)), here[1], self.by_place.get((product, None))]
        return Limit(
            next((x.buffer for x in here if x is not None and x.buffer is not None), None),
            next((x.cap for x in nearest if x is not None and x.cap is not None), None),
            next((x.least for x in nearest if x is not None and x.least is not None), None),
        )
