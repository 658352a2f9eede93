"""What an import of products is, to whoever starts one or looks at one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec

from entrepot.catalog.files.contracts import Look
from entrepot.catalog.intake_rules import Finding
from entrepot.jobs.facade import JobKind, JobState, JobView
from entrepot.kernel.errors import Conflict, NotFound


class ImportNotFound(NotFound):
    """There is no such import."""


class ImportIsBusy(Conflict):
    """The import is at work: wait until it is through, or stop it."""


class ImportIsOver(Conflict):
    """The import is through, or its file cannot be read: there is nothing to go on with."""


class FileIsGone(Conflict):
    """The file of this import is deleted already: send it again."""


class NotATable(Conflict):
    """What was sent is no table with rows: mend it where it comes from; the list of problems says what."""


class Stage(StrEnum):
    """How far an import is: NEW (being read), READ, LOOKING, LOOKED (a dry run is through), APPLYING, APPLIED, REFUSED."""

    NEW = "new"
    READ = "read"
    LOOKING = "looking"
    LOOKED = "looked"
    APPLYING = "applying"
    APPLIED = "applied"
    REFUSED = "refused"


OVER = frozenset({Stage.APPLIED, Stage.REFUSED})
Source = Literal["file", "paste", "api", "channel", "supplier"]


class ImportOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an import is done.

    `currency`: where the file names none (ISO 4217). `decimal`: the decimal separator. `stock`: take it for `new` variants
    only, `set` it for all that the file tells, or `leave` it. `connection_id`: the channel that is read. `supplier_id`:
    whose price list it is. `end_listings`: products that it archives end on their channels as well.
    """

    currency: str
    decimal: Literal[".", ","] = "."
    stock: Literal["new", "set", "leave"] = "new"
    connection_id: UUID | None = None
    supplier_id: UUID | None = None
    end_listings: bool = True


class Counts(msgspec.Struct):
    """What an import did or would do. `variants`, `images`, `blank`: rows of that kind; `problems`: all that were found.

    `archived`: products that were in use or drafts before.
    """

    rows: int = 0
    variants: int = 0
    images: int = 0
    blank: int = 0
    products: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    variants_new: int = 0
    variants_changed: int = 0
    stock_set: int = 0
    listings_matched: int = 0
    archived: int = 0
    problems_read: int = 0
    problems_compared: int = 0

    @property
    def problems(self) -> int:
        """How many problems there are."""
        return self.problems_read + self.problems_compared

    def begin_comparing(self) -> None:
        """Forget what an earlier comparison found."""
        for name in ("new", "changed", "unchanged", "refused", "variants_new", "variants_changed", "stock_set",
                     "listings_matched", "archived", "problems_compared"):  # fmt: skip
            setattr(self, name, 0)


class ProductImport(msgspec.Struct, frozen=True):
    """The payload of the job. `apply`: change what the file tells; else only say what would be changed."""

    import_id: UUID
    apply: bool


PRODUCT_IMPORT = JobKind("product-import", "Product import", ProductImport)


@dataclass(frozen=True, slots=True)
class ImportDetail:
    """An import as it stands. `job`: the latest one at work on it."""

    id: UUID
    name: str
    source: Source
    options: ImportOptions
    look: Look
    size_bytes: int
    stage: Stage
    position: int
    counts: Counts
    error: str
    actor: str
    actor_reference: str
    """`kind:id`, whom stock movements name."""
    created_at: datetime
    finished_at: datetime | None
    has_file: bool
    job: JobView | None

    @property
    def is_open(self) -> bool:
        """Whether a job is at it."""
        return self.job is not None and self.job.is_open

    @property
    def state(self) -> str:
        """The state of its job while that is open or held, else `done`, `looked`, `refused` or `stopped`."""
        if self.job is not None and (self.job.is_open or self.job.state is JobState.HELD):
            return self.job.state.value
        ends = {Stage.APPLIED: "done", Stage.LOOKED: "looked", Stage.REFUSED: "refused"}
        return ends.get(self.stage, "stopped")

    @property
    def state_words(self) -> str:
        """The state in words."""
        return {
            "queued": "Waits", "running": "At work", "held": "Failed", "done": "Imported", "looked": "Only looked at",
            "refused": "Not readable",
        }.get(self.state, "Stopped")  # fmt: skip

    @property
    def may_apply(self) -> bool:
        """Whether it can be begun or gone on with."""
        held = self.job is not None and self.job.state is JobState.HELD
        return not self.is_open and not held and self.stage not in OVER


@dataclass(frozen=True, slots=True)
class ChangedProduct:
    """What an import does with one product. `changes`: (SKU or empty, field, before, after)."""

    number: int
    outcome: str
    product_id: UUID | None
    handle: str
    title: str
    changes: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a part of an import comes to, product by product."""

    findings: tuple[Finding, ...]
    stock_set: int = 0
    listings_matched: int = 0
