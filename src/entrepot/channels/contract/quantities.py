"""Quantities of listings: what is to be written, what became of it, what the channel shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from entrepot.channels.contract.listings import ListingRef


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """Make listing `ref` show `to_quantity`. `from_quantity`: what we believe it shows now (never None for
    COMPARE_AND_SET and DELTA)."""

    ref: ListingRef
    sku: str
    to_quantity: int
    from_quantity: int | None


@dataclass(frozen=True, slots=True)
class QuantityBatch:
    """Changes sent together. Sent again after a lost answer, it is the same batch with the same key and time.

    `at`: when the hub made the batch (aware UTC); channels that keep a ledger want to know. `not_after`: on a channel that
    overwrites, until when (by our clock) what was read before counts; a change that cannot be sent by then is FAILED.
    """

    idempotency_key: str
    changes: tuple[QuantityChange, ...]
    at: datetime
    not_after: datetime | None = None


class PushOutcome(StrEnum):
    """What became of one change."""

    APPLIED = "applied"
    STALE = "stale"
    """The channel did not show `from_quantity`: nothing was written."""
    PENDING = "pending"
    """Accepted; `follow` the handle for the end."""
    REFUSED = "refused"
    """This change can never work as it is: a person must look."""
    FAILED = "failed"
    """Not done this time, certainly not written; try again."""
    UNKNOWN = "unknown"
    """May or may not have been written."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """The outcome for one change, by its listing's external id. `reported`: what the channel says it shows."""

    external_id: str
    outcome: PushOutcome
    reported: int | None = None
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PushReceipt:
    """One result per change of the batch; `handle` where outcomes are PENDING."""

    results: tuple[PushResult, ...]
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedQuantity:
    """What the channel shows for a listing now; None: it does not know the listing.

    A webhook may name a listing by further ids only: then `external_id` is empty, and the listing is the one whose
    `ref.keys` contain all of `keys` (none of ours, perhaps).
    """

    external_id: str
    quantity: int | None
    keys: Mapping[str, str] = field(default_factory=dict)
