"""What the pages of stock share: what people type as lines, and work whose refusal is shown where it was asked for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from uuid import UUID

from starlette.responses import Response

from entrepot.catalog import editing
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.kernel.money import to_decimal, to_minor
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock
from entrepot.web.visit import Visit, whole_number

Done = tuple[str, str]
"""Where to go, and what to say there."""


class Typed(dict[str, str]):
    """What a person typed, to be shown again with what is wrong with it; empty where nothing was."""

    def __missing__(self, name: str) -> str:
        return ""


async def attempt(
    visit: Visit, work: Callable[[Tx], Awaitable[Done]], show: Callable[[str], Awaitable[Response]]
) -> Response:
    """Do the work in one transaction and go where it says; if it is refused, show the page again with the reason."""
    try:
        async with visit.transaction() as tx:
            path, said = await work(tx)
    except NotEnoughStock as refusal:
        return await show(await _in_words(visit, refusal))
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await show(error.detail)
    return visit.go(path, said)


async def _in_words(visit: Visit, refusal: NotEnoughStock) -> str:
    async with visit.transaction() as tx:
        skus = await editing.skus_of(tx, [line.variant_id for line in refusal.shortfalls])
    lines = [
        f"{skus.get(line.variant_id, '?')}: asked for {line.asked:,}, available {line.available:,}"
        for line in refusal.shortfalls[:10]
    ]
    more = f" and {len(refusal.shortfalls) - 10} more" if len(refusal.shortfalls) > 10 else ""
    return f"There is not enough. {'; '.join(lines)}{more}."


def typed_lines(text: str, *, parts: int) -> list[tuple[str, list[str]]]:
    """Return (SKU, the `parts` or fewer values after it) of each line that a person typed.

    Values are parted by a tab, semicolon or comma, else by spaces (then the last ones are the values, so a SKU may have
    spaces). Raises InvalidInput naming the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        mark = next((mark for mark in ("\t", ";", ",") if mark in line), None)
        cells = [cell.strip() for cell in line.split(mark)] if mark else line.split()
        if mark is None and len(cells) > parts + 1:
            cells = [" ".join(cells[:-parts]), *cells[-parts:]]
        cells = [*cells[:1], *(cell for cell in cells[1:] if cell)]
        if len(cells) < 2 or len(cells) > parts + 1 or not cells[0]:
            raise InvalidInput(f"Line {number}, {line.strip()[:60]!r}: write the SKU and the units.")
        found.append((cells[0], cells[1:]))
    if not found:
        raise InvalidInput("Write at least one line with a SKU and units.")
    return found


async def units_typed(tx: Tx, text: str, *, minimum: int = 1) -> dict[UUID, int]:
    """Return variant -> units of what a person typed. Raises InvalidInput, VariantNotFound."""
    lines = typed_lines(text, parts=1)
    ids = await known_variants(tx, [sku for sku, _ in lines])
    units: dict[UUID, int] = {}
    for sku, cells in lines:
        units[ids[sku]] = units.get(ids[sku], 0) + whole_number(cells[0], f"Units of {sku}", minimum=minimum)
    return units


async def bought_typed(tx: Tx, text: str, currency: str) -> tuple[dict[UUID, int], dict[UUID, int | None]]:
    """Return units and costs (minor units, None where none is given) by variant. Raises InvalidInput, VariantNotFound."""
    lines = typed_lines(text, parts=2)
    ids = await known_variants(tx, [sku for sku, _ in lines])
    units: dict[UUID, int] = {}
    costs: dict[UUID, int | None] = {}
    for sku, cells in lines:
        units[ids[sku]] = units.get(ids[sku], 0) + whole_number(cells[0], f"Units of {sku}", minimum=1)
        costs[ids[sku]] = amount_typed(cells[1], currency, f"The price of {sku}") if len(cells) > 1 else None
    return units, costs


def amount_typed(text: str, currency: str, what: str) -> int:
    """Return an amount in minor units. Raises InvalidInput, naming `what`."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"{what} must be an amount such as 12.50.") from None
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise InvalidInput(f"{what} is out of bounds.")
    minor = to_minor(amount, currency)
    if to_decimal(minor, currency) != amount:
        raise InvalidInput(f"{what} has more decimal places than {currency} has.")
    return minor


async def known_variants(tx: Tx, skus: list[str]) -> Mapping[str, UUID]:
    """Return the variants of these SKUs. Raises VariantNotFound for the first that does not exist."""
    found = await catalog.known_skus(tx, list(set(skus)))
    for sku in skus:
        if sku not in found:
            raise VariantNotFound(f"There is no variant with the SKU {sku[:60]!r}.")
    return found


def receipts_typed(form: Mapping[str, str], outstanding: Mapping[UUID, int]) -> list[stock.Receipt]:
    """Return what a person says came in; the button `all` means everything that was outstanding."""
    if form.get("do") == "all":
        return [stock.Receipt(id, units) for id, units in outstanding.items() if units]
    receipts = []
    for name, text in form.items():
        match = re.fullmatch(r"received_([0-9a-f-]{36})", name)
        if match and text:
            id = UUID(match[1])
            damaged = form.get(f"damaged_{id}", "")
            receipts.append(
                stock.Receipt(id, whole_number(text, "Received"), whole_number(damaged, "Damaged") if damaged else 0)
            )
    if not receipts and form.get("do") != "close":
        raise InvalidInput("Say what came in, or press Everything came.")
    return receipts
