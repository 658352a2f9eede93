"""Values that cross the wall of the fulfilment room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from entrepot.kernel.errors import Conflict, InvalidInput, NotFound


class InvalidRouting(InvalidInput):
    """These routing rules cannot be used."""


class RulesNotFound(NotFound):
    """There is no such version of the routing rules."""


class WorkNotFound(NotFound):
    """There is no such fulfilment order."""


class WorkMoved(Conflict):
    """This fulfilment order is not in a state for that."""


@dataclass(frozen=True, slots=True)
class Place:
    """A location as routing sees it.

    `priority`: the lower is served first. `cost_minor`: what a parcel from there costs, in the organisation's currency.
    `capacity_left`: orders that it may still take today; None: no limit. Latitude and longitude in degrees.
    """

    id: UUID
    name: str
    kind: str = "warehouse"
    country: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None
    priority: int = 100
    cost_minor: int = 0
    capacity_left: int | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RouteLine:
    """Open units of an order line. `parts`: units of each variant in one unit; a plain variant is one part of 1.

    `maker`: the connection that makes it to order. `by_channel`: the channel ships it from its own stock. `sent_by`: the
    supplier's or dropship location that alone may send it.
    """

    id: UUID
    sku: str
    quantity: int
    parts: Mapping[UUID, int]
    tags: frozenset[str] = frozenset()
    maker: UUID | None = None
    by_channel: bool = False
    sent_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class RouteOrder:
    """An order as routing sees it: only what rules may ask about."""

    id: UUID
    channel: str
    connection_id: UUID
    placed_at: datetime
    lines: tuple[RouteLine, ...]
    country: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None
    method: str = ""
    tags: frozenset[str] = frozenset()
    total_minor: int = 0
    currency: str = ""
    promised_at: datetime | None = None
    risk: str = ""


Stock = Mapping[tuple[UUID, UUID], int]
"""Units by (variant, place) that this order may take: what is free, and what is reserved for it already."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """So many units of a line go from a place, are made by a maker, or (neither) are sent by the channel."""

    line_id: UUID
    quantity: int
    place_id: UUID | None = None
    maker: UUID | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """So many units of a line wait. `until`: not looked at again before, but for a change of stock; None: at any change.

    `cancel_at`: from then on a person is asked to cancel them.
    """

    line_id: UUID
    quantity: int
    reason: str
    until: datetime | None = None
    cancel_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """What rules decided for an order. `rule`: the name of the rule that placed lines, if one did; `steps` say why."""

    assignments: tuple[Assignment, ...]
    parked: tuple[Parked, ...]
    rule: str | None
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sending:
    """A fulfilment order that has not left whole: units by line that it has yet to send. `pinned`: a person chose its place."""

    id: UUID
    order_id: UUID
    location_id: UUID
    status: str
    pinned: bool
    created_at: datetime
    lines: Mapping[UUID, int]

    @property
    def is_fixed(self) -> bool:
        """Whether rules leave it where it is: work on it has begun, or a person chose its place."""
        return self.pinned or self.status != "open"
