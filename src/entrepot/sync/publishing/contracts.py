"""Values of publishing that pages, the API and the lane share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from entrepot.kernel.errors import InvalidInput, NotFound


class Wanted(StrEnum):
    """What is asked of a product on a channel."""

    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    """Not shown, but kept there."""
    ARCHIVE = "archive"
    DELETE = "delete"


class State(StrEnum):
    """How far that is."""

    DRAFT = "draft"
    """Something is missing, so it is not sent. It goes out by itself once that is there."""
    PUBLISHING = "publishing"
    LIVE = "live"
    ERROR = "error"
    """The channel refused it; it is tried again when a person says so, or publishes it again."""
    ENDING = "ending"
    ENDED = "ended"


class InvalidPublication(InvalidInput):
    """That cannot be published or ended so."""


class IntentNotFound(NotFound):
    """Nobody asked for this product on this channel yet."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks of products on connections.

    `category`, `attributes`: the channel's own (attributes as text, several values with `|` between them); None: what was
    said before stays.
    """

    wanted: Wanted
    connection_ids: tuple[UUID, ...]
    category: str | None = None
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a product from being on a channel. `where`: empty for the product, else the SKU or the image."""

    field: str
    what: str
    where: str = ""
    how: str = ""

    @property
    def words(self) -> str:
        """It in a sentence."""
        name = self.field.replace("_", " ")
        if not name and not self.what:  # The channel's own words, of no field.
            return f"{self.where}: {self.how}" if self.where else self.how
        head = f"{name} {self.what}".strip() if self.what else name
        head = head[:1].upper() + head[1:] if self.what else head
        place = f" ({self.where})" if self.where else ""
        end = "" if head.endswith(".") else "."
        return f"{head}{place}{end} {self.how}".strip()


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing a product to a connection would meet. `done`: it is there already, nothing would be sent."""

    product_id: UUID
    title: str
    connection_id: UUID
    completeness: int
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]
    done: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of an archived product on a connection. `wanted` None: it cannot be ended there, `words` say why."""

    connection_id: UUID
    connection: str
    wanted: Wanted | None
    words: str


@dataclass(frozen=True, slots=True)
class IntentView:
    """What is asked of a product on a connection, and how far that is. `state` unmapped: listed there without a product.

    Of its fields there: how many are in conflict (`conflicts`), on their way (`moving`), or could not be written (`parked`).
    """

    id: UUID
    connection_id: UUID
    connection: str
    channel: str
    product_id: UUID
    title: str
    handle: str
    wanted: str
    state: str
    external_id: str
    category: str
    attributes: Mapping[str, str]
    completeness: int | None
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]
    detail: str
    attempts: int
    next_attempt_at: datetime | None
    asked_by: str
    asked_at: datetime
    done_at: datetime | None
    listings: int = 0
    conflicts: int = 0
    moving: int = 0
    parked: int = 0
    ends: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """Why it is not as wanted, in words."""
        return " ".join(each.words for each in self.problems) or self.detail


def problem_of(kept: Mapping[str, Any]) -> Problem:
    """Return a problem from how it is stored."""
    return Problem(kept["field"], kept["what"], kept.get("where", ""), kept.get("how", ""))
