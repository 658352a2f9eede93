"""Values and errors of matching that cross the wall of the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from entrepot.jobs.contracts import JobKind
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound

LISTINGS_UNMATCHED = "catalog.listings_unmatched"
"""Event: {"listings": [id], "variant_ids": [id]}: these listings have no variant any more; those they had."""

PPM = 1_000_000
"""Scores are kept in millionths."""
PROPOSE_FROM_PPM = 300_000
"""What is less likely than this is not shown to anybody."""
PROPOSED_MOST = 3
"""Variants proposed for one listing."""
ACCEPT_AT_ONCE_MOST = 200
"""Listings that one bulk accept takes."""


@dataclass(frozen=True, slots=True)
class MatchRound:
    """The payload of the job; which listings are due, the tables say."""


MATCHING: JobKind[MatchRound] = JobKind("listing-match", "Match listings", MatchRound)


@dataclass(frozen=True, slots=True)
class Matched:
    """A listing that has a variant now. `sku`: the channel's, by which order lines may have waited; empty if it has none."""

    listing_id: UUID
    variant_id: UUID
    sku: str


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How listings are matched. `sure_from_ppm` None: people's decisions do not show yet from which score on to trust it."""

    by_barcode: bool = True
    by_itself: bool = False
    sure_from_ppm: int | None = None
    learned_from: int = 0


class CandidateNotFound(NotFound):
    """There is no such match candidate: the listing or our variant changed since."""


class ListingNotFound(NotFound):
    """There is no such listing."""


class AlreadyMatched(Conflict):
    """The listing has a variant already."""


class AlreadyDecided(Conflict):
    """Somebody has decided that already."""


class NotMatched(Conflict):
    """The listing has no variant."""


class InvalidScore(InvalidInput):
    """A score is a number from 0.5 to 1."""
