"""What a task must be to be stored. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from entrepot.agents.contracts import HOURS_MAX, TAGS_MAX, InvalidTask, Proposal

MARKETPLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
TITLE_MAX = 300
TEXT_MAX = 20_000
NAME_MAX = 200
TAG_MAX = 100
METADATA_MAX = 20_000
DUE_MOST = timedelta(days=3650)
LEAST_HOURS = Decimal("0.01")


def check_proposal(given: Proposal, at: datetime) -> None:
    """Raise InvalidTask, saying what is wrong and where."""
    if not MARKETPLACE.fullmatch(given.marketplace):
        raise InvalidTask(
            "A marketplace is named by 1 to 63 lower-case letters, digits, - and _, such as amazon.",
            field="marketplace",
        )
    _text("title", given.title, TITLE_MAX, required=True)
    for name in ("description", "why", "expected"):
        _text(name, getattr(given, name), TEXT_MAX)
    _text("createdBy", given.created_as, NAME_MAX)
    check_hours(given.estimated_hours, "estimatedHours")
    check_tags(given.tags)
    try:
        size = len(json.dumps(given.metadata, allow_nan=False))
        # As it is stored: this one knows no numbers beyond 64 bits.
        msgspec.json.encode(given.metadata)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        raise InvalidTask("The metadata is not JSON.", field="metadata") from None
    if size > METADATA_MAX:
        raise InvalidTask(
            f"The metadata takes {size:,} characters of JSON; at most {METADATA_MAX:,}.", field="metadata"
        )
    check_due(given.due_at, at)


def check_due(due_at: datetime | None, at: datetime) -> None:
    """Raise InvalidTask unless the time is none, or aware and within ten years."""
    if due_at is not None and (due_at.tzinfo is None or not at - DUE_MOST < due_at < at + DUE_MOST):
        raise InvalidTask("A task is due at a time with its zone, at most ten years from now.", field="dueAt")


def check_tags(tags: Sequence[str]) -> None:
    """Raise InvalidTask unless there are few tags, each a short word."""
    if len(tags) > TAGS_MAX or any(not 0 < len(tag) <= TAG_MAX or "\x00" in tag for tag in tags):
        raise InvalidTask(f"At most {TAGS_MAX} tags of 1 to {TAG_MAX} characters each.", field="tags")


def check_hours(hours: Decimal, field: str) -> None:
    """Raise InvalidTask unless it is a number of hours above zero."""
    if not hours.is_finite() or not LEAST_HOURS <= hours <= HOURS_MAX:
        raise InvalidTask(f"Hours are {LEAST_HOURS} to {HOURS_MAX:,}.", field=field)


def _text(name: str, value: str, most: int, *, required: bool = False) -> None:
    if len(value) > most or "\x00" in value or (required and not value.strip()):
        raise InvalidTask(f"The {name} has {'1 to' if required else 'at most'} {most:,} characters.", field=name)


def searched(title: str, description: str, marketplace: str, tags: Sequence[str]) -> tuple[str, ...]:
    """Return the texts that a task is found by, the telling ones first."""
    return (title, marketplace, *tags, description)
