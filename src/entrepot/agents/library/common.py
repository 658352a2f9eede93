"""What actions share: how variants are named, and what several places say as one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from entrepot.agents.actions import ActionInput, Outcome, Verdict
from entrepot.catalog import facade as catalog
from entrepot.catalog import reading as catalog_reading
from entrepot.catalog.contracts import VariantNotFound
from entrepot.catalog.reading import VariantView
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import Money, to_decimal, to_minor
from entrepot.sync.field_status import FieldStatus, Shown

LINES_MOST = 200
Units = Annotated[int, Field(ge=1, le=1_000_000_000)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=15, allow_inf_nan=False, description="Major units, such as 12.50")]
Words = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class Item(ActionInput):
    """A variant, by one of `sku` and `variantId`."""

    sku: Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")] = None
    variant_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.sku is None) == (self.variant_id is None):
            raise ValueError("Name one of sku and variantId.")
        return self


async def variants_named(tx: Tx, items: Sequence[Item]) -> list[VariantView]:
    """Return the variants that are named, in their order. Raises VariantNotFound, InvalidInput for one named twice."""
    by_sku = await catalog.known_skus(tx, [each.sku for each in items if each.sku is not None])
    ids = []
    for each in items:
        found = each.variant_id or by_sku.get(each.sku or "")
        if found is None:
            raise VariantNotFound(f"There is no variant with the SKU {each.sku!r}.", sku=each.sku)
        ids.append(found)
    if len(set(ids)) < len(ids):
        raise InvalidInput("A variant is named twice: put it in one line.")
    known = await catalog_reading.variants_by_id(tx, ids)
    for id in ids:
        if id not in known:
            raise VariantNotFound(variant_id=str(id))
    return [known[id] for id in ids]


def minor_of(amount: Decimal, currency: str) -> int:
    """Return an amount in minor units. Raises InvalidInput if it has more decimals than the currency."""
    value = to_minor(amount, currency)
    if to_decimal(value, currency) != amount:
        raise InvalidInput(f"{amount} has more decimal places than {currency} has.")
    return value


def money(minor: int | None, currency: str) -> str:
    """Return an amount in words."""
    return "none" if minor is None else str(Money(minor, currency))


def percent_change(before: int, after: int) -> Decimal | None:
    """Return by how many percent a number changes, without its sign; None from zero, where that cannot be told."""
    if before == after:
        return Decimal(0)
    return None if before == 0 else (abs(Decimal(after) - before) / before * 100).quantize(Decimal("0.01"))


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


_SHOWN = {
    Shown.AGREED: "shows it", Shown.UNDER_WAY: "not there yet", Shown.OPPOSED: "says otherwise", Shown.APART: "left alone",
}  # fmt: skip


def verdict_of(statuses: Sequence[tuple[str, FieldStatus]]) -> Verdict:
    """Return what all places together say; (what, status) each. Done in the hub, it is read back on each channel."""
    lines = tuple(
        (f"{status.connection}: {what}", f"{_SHOWN[status.shown]}. {status.detail}".strip().removesuffix(".") + ".")
        for what, status in statuses
    )
    counts = {shown: sum(status.shown is shown for _, status in statuses) for shown in Shown}
    reached = counts[Shown.AGREED]
    if counts[Shown.OPPOSED]:
        words = f"Done in the hub, but {plural(counts[Shown.OPPOSED], 'listing')} on channels say otherwise."
        return Verdict(Outcome.DIFFERENT, words, lines)
    if counts[Shown.UNDER_WAY]:
        words = f"Done in the hub; {plural(counts[Shown.UNDER_WAY], 'listing')} on channels do not show it yet."
        return Verdict(Outcome.WAITING, words, lines)
    where = f", and shown by {plural(reached, 'listing')} on channels" if reached else "; no channel had to change"
    return Verdict(Outcome.AS_WANTED, f"Done in the hub{where}.", lines)


def said(value: Any) -> str:
    """Return a value of a product in words."""
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in sorted(value.items()))
    return str(value)
