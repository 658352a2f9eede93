"""Set prices: of variants in the catalog, from where they go to every channel, or by hand in a price list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from entrepot.agents.actions import (
    Action,
    ActionInput,
    CannotUndo,
    Change,
    Look,
    Measure,
    NothingToDo,
    Outcome,
    Receipt,
    Verdict,
)
from entrepot.agents.library.common import (
    LINES_MOST,
    Amount,
    Item,
    minor_of,
    money,
    percent_change,
    plural,
    variants_named,
    verdict_of,
)
from entrepot.catalog import editing
from entrepot.catalog import reading as catalog_reading
from entrepot.catalog.editing import ProductEdit, VariantEdit
from entrepot.catalog.reading import VariantView
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, Scope
from entrepot.identity.facade import record as audit
from entrepot.sync import field_status


class NewPrice(Item):
    """A variant and its new price, in major units of the variant's currency."""

    price: Amount


class SetPriceInput(ActionInput):
    """The variants and their new prices."""

    prices: Annotated[list[NewPrice], Field(min_length=1, max_length=LINES_MOST)]


class SetPrice(Action[SetPriceInput]):
    """Set the catalog's price of variants; every channel that shows it follows."""

    name, title, input, scope = "price.set", "Set prices", SetPriceInput, Scope.PRODUCTS_WRITE

    async def look(self, tx: Tx, given: SetPriceInput) -> Look:
        """Say which prices change, and on which channels. See Action.look."""
        wanted = await self._wanted(tx, given)
        changing = [(variant, price) for variant, price in wanted if variant.price_minor != price]
        if not changing:
            raise NothingToDo("These prices are as they would be set.")
        listings = await catalog_reading.listings_of(tx, [variant.id for variant, _ in changing])
        live = [each for each in listings if each.active]
        currencies = {variant.currency for variant, _ in changing}
        percents = [percent_change(variant.price_minor, price) for variant, price in changing]
        known = [each for each in percents if each is not None]
        largest = max(known) if len(known) == len(percents) else None
        amount = max(abs(price - variant.price_minor) for variant, price in changing)
        currency = currencies.pop() if len(currencies) == 1 else None
        facts = [("Listings that follow", str(len(live)))]
        facts += _margins(changing)
        return Look(
            f"{plural(len(changing), 'price')} set" + (f", by up to {largest}%" if largest is not None else ""),
            tuple(
                Change(f"{v.sku}: price", money(v.price_minor, v.currency), money(price, v.currency))
                for v, price in changing
            ),
            {
                "prices": {str(v.id): [v.price_minor, v.currency, v.compare_at_minor] for v, _ in changing},
                "wanted": {str(v.id): price for v, price in changing},
                "channels": sorted({str(each.connection_id) for each in live}),
            },
            Measure(amount if currency else None, currency, largest, len(changing), _channels(live)),
            tuple(facts),
        )

    async def _wanted(self, tx: Tx, given: SetPriceInput) -> list[tuple[VariantView, int]]:
        variants = await variants_named(tx, given.prices)
        return [(v, minor_of(each.price, v.currency)) for v, each in zip(variants, given.prices, strict=True)]

    async def perform(self, tx: Tx, actor: Actor, given: SetPriceInput, key: str) -> Receipt:
        """Set the prices."""
        wanted = await self._wanted(tx, given)
        before = {str(v.id): v.price_minor for v, price in wanted if v.price_minor != price}
        after = {str(v.id): price for v, price in wanted if v.price_minor != price}
        await _put(tx, actor, [v for v, _ in wanted if str(v.id) in after], before, after)
        return {"before": before, "after": after}

    async def verify(self, tx: Tx, given: SetPriceInput, receipt: Receipt) -> Verdict:
        """Read the prices back, in the catalog and on every channel."""
        return await _read_back(tx, receipt["after"])

    async def undo(self, tx: Tx, actor: Actor, given: SetPriceInput, receipt: Receipt) -> Receipt:
        """Put the former prices back. Raises CannotUndo where somebody has set another one since."""
        known = await catalog_reading.variants_by_id(tx, [UUID(id) for id in receipt["after"]])
        variants = [known[UUID(id)] for id in receipt["after"] if UUID(id) in known]
        changed = [v.sku for v in variants if v.price_minor != receipt["after"][str(v.id)]]
        if changed or len(variants) < len(receipt["after"]):
            raise CannotUndo(f"Somebody has changed the price since: {', '.join(changed[:5]) or 'a variant is gone'}.")
        await _put(tx, actor, variants, receipt["after"], receipt["before"])
        return {"after": receipt["before"]}

    async def verify_undone(self, tx: Tx, given: SetPriceInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read the former prices back."""
        return await _read_back(tx, undone["after"])


async def _put(
    tx: Tx, actor: Actor, variants: Sequence[VariantView], before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    by_product: defaultdict[UUID, list[VariantView]] = defaultdict(list)
    for variant in variants:
        by_product[variant.product_id].append(variant)
    # Products are locked in the order of their ids, everywhere.
    for product_id in sorted(by_product):
        edits = tuple(VariantEdit(v.id, {"price_minor": after[str(v.id)]}) for v in by_product[product_id])
        base: dict[str, Any] = {f"variants.{v.id}.price_minor": before[str(v.id)] for v in by_product[product_id]}
        saved = await editing.save(tx, product_id, ProductEdit(variants=edits), base=base)
        await audit(tx, actor, "product.update", "product", product_id, saved.before, saved.after)


async def _read_back(tx: Tx, wanted: Mapping[str, int]) -> Verdict:
    known = await catalog_reading.variants_by_id(tx, [UUID(id) for id in wanted])
    statuses = []
    for id, price in wanted.items():
        variant = known.get(UUID(id))
        if variant is None or variant.price_minor != price:
            sku = variant.sku if variant else "A variant"
            return Verdict(Outcome.DIFFERENT, f"{sku} has another price in the hub by now.")
        value = {"minor": price, "currency": variant.currency}
        statuses += [(variant.sku, each) for each in await field_status.of_variants(tx, [variant.id], "price", value)]
    return verdict_of(statuses)


def _channels(listings: Sequence[catalog_reading.ListingView]) -> tuple[str, ...]:
    return tuple(sorted({each.channel for each in listings}))


def _margins(changing: Sequence[tuple[VariantView, int]]) -> list[tuple[str, str]]:
    """Return the least margin before and after, where costs are known."""
    known = [(v.price_minor, price, v.cost_minor) for v, price in changing if v.cost_minor is not None]
    if not known:
        return [("Margin", "no cost is known")]

    def least(prices: Sequence[tuple[int, int]]) -> str:
        shares = [Decimal(price - cost) / price * 100 for price, cost in prices if price]
        return f"{min(shares):.1f}%" if shares else "none"

    before = least([(price, cost) for price, _, cost in known if cost is not None])
    after = least([(price, cost) for _, price, cost in known if cost is not None])
    return [("Least margin", f"{before}, then {after}")]
