"""Buy from a supplier, and move stock between locations."""

from __future__ import annotations

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
    Outcome,
    Receipt,
    Verdict,
)
from entrepot.agents.library.common import (
    LINES_MOST,
    Amount,
    Item,
    Units,
    Words,
    minor_of,
    money,
    plural,
    variants_named,
)
from entrepot.catalog.reading import VariantView
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, Scope, record
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.stock import facade as stock
from entrepot.stock import reading_papers
from entrepot.stock.reading import locations
from entrepot.stock.reading_papers import PurchaseRow, TransferRow


class BuyLine(Item):
    """So many units of a variant; `cost` of one in the supplier's currency, left out: what the supplier asks."""

    quantity: Units
    cost: Amount | None = None


class BuyInput(ActionInput):
    """What to buy from whom. `order`: say that it is ordered, so that it is expected; else it is a draft."""

    supplier_id: UUID
    location_id: UUID
    lines: Annotated[list[BuyLine], Field(min_length=1, max_length=LINES_MOST)]
    order: bool = False
    note: Words = ""


class CreatePurchase(Action[BuyInput]):
    """Write a purchase order, and order it if that is said."""

    name, title, input, scope = "purchase.create", "Buy from a supplier", BuyInput, Scope.STOCK_WRITE

    async def look(self, tx: Tx, given: BuyInput) -> Look:
        """Say what is bought at which price, and what is on its way already. See Action.look."""
        supplier = await reading_papers.supplier(tx, given.supplier_id)
        if not supplier.active:
            raise Conflict(f"Nothing is bought from {supplier.name} any more.")
        location = await _location(tx, given.location_id)
        variants = await variants_named(tx, given.lines)
        costs = await self._costs(tx, given, supplier.currency, variants)
        incoming = await _incoming(tx, given.location_id, variants)
        units = sum(line.quantity for line in given.lines)
        known = [cost * line.quantity for cost, line in zip(costs, given.lines, strict=True) if cost is not None]
        whole = sum(known) if len(known) == len(costs) else None
        said = money(whole, supplier.currency) if whole is not None else "an unknown price"
        return Look(
            f"{plural(units, 'unit')} from {supplier.name} for {said}",
            tuple(
                Change(f"{v.sku}: on its way to {location}", str(incoming[v.id]), str(incoming[v.id] + line.quantity))
                for v, line in zip(variants, given.lines, strict=True)
            ),
            {"costs": [[v.id, cost] for v, cost in zip(variants, costs, strict=True)],
             "incoming": {str(id): units for id, units in incoming.items()}, "currency": supplier.currency},
            Measure(whole, supplier.currency, None, units),
            tuple((f"Price of {v.sku}", money(cost, supplier.currency)) for v, cost in zip(variants, costs, strict=True)),
        )  # fmt: skip

    async def _costs(self, tx: Tx, given: BuyInput, currency: str, variants: list[VariantView]) -> list[int | None]:
        offers = await stock.offers_for(tx, given.supplier_id, [v.id for v in variants])
        return [
            minor_of(line.cost, currency) if line.cost is not None
            else offers[v.id].cost_minor if v.id in offers else None
            for v, line in zip(variants, given.lines, strict=True)
        ]  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: BuyInput, key: str) -> Receipt:
        """Write the purchase order; with `order` it is ordered."""
        variants = await variants_named(tx, given.lines)
        currency = await stock.supplier_currency(tx, given.supplier_id)
        costs = await self._costs(tx, given, currency, variants)
        units = {v.id: line.quantity for v, line in zip(variants, given.lines, strict=True)}
        id = await stock.draft_purchase(
            tx, given.supplier_id, given.location_id, units,
            costs={v.id: cost for v, cost in zip(variants, costs, strict=True)}, note=given.note, actor=actor.reference,
        )  # fmt: skip
        if given.order:
            await stock.order_purchase(tx, id, actor=actor.reference)
        row, _ = await reading_papers.purchase(tx, id)
        await record(
            tx, actor, "purchase_order.create", "purchase_order", id, None, {"state": row.state, "units": row.units}
        )
        return {"id": str(id), "number": row.number, "units": row.units}

    async def verify(self, tx: Tx, given: BuyInput, receipt: Receipt) -> Verdict:
        """Read the purchase order back."""
        row, _ = await reading_papers.purchase(tx, UUID(receipt["id"]))
        return _paper(f"Purchase order {row.number}", row, receipt)

    async def undo(self, tx: Tx, actor: Actor, given: BuyInput, receipt: Receipt) -> Receipt:
        """Cancel the purchase order. Raises CannotUndo once something of it came."""
        id = UUID(receipt["id"])
        row, _ = await reading_papers.purchase(tx, id)
        if row.state not in ("draft", "ordered"):
            raise CannotUndo(f"Purchase order {row.number} is {row.state.replace('_', ' ')}.")
        state = await stock.cancel_purchase(tx, id, actor=actor.reference)
        await record(tx, actor, "purchase_order.cancel", "purchase_order", id, {"state": row.state}, {"state": state})
        return {"id": receipt["id"], "ordered": row.state == "ordered"}

    async def verify_undone(self, tx: Tx, given: BuyInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read the cancelled purchase order back."""
        row, _ = await reading_papers.purchase(tx, UUID(receipt["id"]))
        if row.state != "cancelled":
            return Verdict(Outcome.DIFFERENT, f"Purchase order {row.number} is {row.state}.")
        tell = " Tell the supplier, who may have it." if undone["ordered"] else ""
        return Verdict(Outcome.AS_WANTED, f"Purchase order {row.number} is cancelled.{tell}")


class MoveLine(Item):
    """So many units of a variant."""

    quantity: Units


class TransferInput(ActionInput):
    """What goes from where to where. `ship`: it leaves at once; else the transfer is a draft."""

    from_location_id: UUID
    to_location_id: UUID
    lines: Annotated[list[MoveLine], Field(min_length=1, max_length=LINES_MOST)]
    ship: bool = False
    note: Words = ""


class TransferStock(Action[TransferInput]):
    """Write a transfer between two locations, and send it if that is said."""

    name, title, input, scope = "stock.transfer", "Move stock", TransferInput, Scope.STOCK_WRITE

    async def look(self, tx: Tx, given: TransferInput) -> Look:
        """Say what is where before and after. See Action.look."""
        if given.from_location_id == given.to_location_id:
            raise InvalidInput("A transfer goes from one location to another.")
        source, target = await _location(tx, given.from_location_id), await _location(tx, given.to_location_id)
        variants = await variants_named(tx, given.lines)
        levels = {(lv.variant_id, lv.location_id): lv for lv in await stock.levels(tx, [v.id for v in variants])}
        changes: list[Change] = []
        short: list[str] = []
        for v, line in zip(variants, given.lines, strict=True):
            here, there = levels.get((v.id, given.from_location_id)), levels.get((v.id, given.to_location_id))
            free = 0 if here is None else here.available_to_sell
            if free < line.quantity:
                short.append(f"{v.sku}: {free:,} of {line.quantity:,}")
            expected = 0 if there is None else there.incoming
            changes.append(Change(f"{v.sku}: at {source}, free", f"{free:,}", f"{free - line.quantity:,}"))
            changes.append(Change(f"{v.sku}: on its way to {target}", f"{expected:,}", f"{expected + line.quantity:,}"))
        if short:
            raise Conflict(f"There is not enough at {source}: {'; '.join(short[:5])}.")
        units = sum(line.quantity for line in given.lines)
        incoming = await _incoming(tx, given.to_location_id, variants)
        return Look(
            f"{plural(units, 'unit')} from {source} to {target}", tuple(changes),
            # What is free moves with every sale; it only has to be enough. What is on its way must be as it was seen.
            {"enough": True, "incoming": {str(id): n for id, n in incoming.items()}},
            Measure(units=units),
        )  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: TransferInput, key: str) -> Receipt:
        """Write the transfer; with `ship` it leaves."""
        variants = await variants_named(tx, given.lines)
        units = {v.id: line.quantity for v, line in zip(variants, given.lines, strict=True)}
        id = await stock.draft_transfer(
            tx, given.from_location_id, given.to_location_id, units, note=given.note, actor=actor.reference
        )
        if given.ship:
            await stock.ship_transfer(tx, id, actor=actor.reference)
        row, _ = await reading_papers.transfer(tx, id)
        await record(tx, actor, "transfer.create", "transfer", id, None, {"state": row.state, "units": row.units})
        return {"id": str(id), "number": row.number, "units": row.units}

    async def verify(self, tx: Tx, given: TransferInput, receipt: Receipt) -> Verdict:
        """Read the transfer back."""
        row, _ = await reading_papers.transfer(tx, UUID(receipt["id"]))
        return _paper(f"Transfer {row.number}", row, receipt)

    async def undo(self, tx: Tx, actor: Actor, given: TransferInput, receipt: Receipt) -> Receipt:
        """Cancel the transfer; what is on its way goes back. Raises CannotUndo once something of it arrived."""
        id = UUID(receipt["id"])
        row, _ = await reading_papers.transfer(tx, id)
        if row.state not in ("draft", "in_transit"):
            raise CannotUndo(f"Transfer {row.number} is {row.state.replace('_', ' ')}.")
        state = await stock.cancel_transfer(tx, id, actor=actor.reference)
        await record(tx, actor, "transfer.cancel", "transfer", id, {"state": row.state}, {"state": state})
        return {"id": receipt["id"]}

    async def verify_undone(self, tx: Tx, given: TransferInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read the cancelled transfer back."""
        row, _ = await reading_papers.transfer(tx, UUID(receipt["id"]))
        if row.state != "cancelled":
            return Verdict(Outcome.DIFFERENT, f"Transfer {row.number} is {row.state}.")
        return Verdict(Outcome.AS_WANTED, f"Transfer {row.number} is cancelled.")


def _paper(name: str, row: PurchaseRow | TransferRow, receipt: Receipt) -> Verdict:
    if row.units != receipt["units"] or row.state == "cancelled":
        return Verdict(Outcome.DIFFERENT, f"{name} was changed since: it is {row.state}.")
    return Verdict(Outcome.AS_WANTED, f"{name}: {plural(row.units, 'unit')}, {row.state.replace('_', ' ')}.")


async def _location(tx: Tx, location_id: UUID) -> str:
    """Return the name of a location in use. Raises LocationNotFound."""
    for id, name in await locations(tx):
        if id == location_id:
            return name
    raise stock.LocationNotFound(location_id=str(location_id))


async def _incoming(tx: Tx, location_id: UUID, variants: list[VariantView]) -> dict[UUID, Any]:
    found = {v.id: 0 for v in variants}
    for level in await stock.levels(tx, list(found)):
        if level.location_id == location_id:
            found[level.variant_id] = level.incoming
    return found
