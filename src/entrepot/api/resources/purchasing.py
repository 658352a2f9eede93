"""Suppliers and purchase orders."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Amount, Currency, Text255, optional_minor, text
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.items import Item, ItemUnits, SomeUnits, variants_of
from entrepot.api.paging import PagingDep
from entrepot.api.resources.papers import DocumentLine, Received, receipts_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import facade as stock
from entrepot.stock import reading_papers as reading

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Days = Annotated[int, Field(ge=0, le=730)]


class SupplierView(Resource):
    """Who sells to us. `skus`: how many; `openOrders`: ordered and not yet received."""

    id: UUID
    name: str
    email: str
    currency: str
    lead_time_days: int
    note: str
    active: bool
    skus: int
    open_orders: int


class Suppliers(Resource):
    """Suppliers by name."""

    suppliers: list[SupplierView]
    next_cursor: str | None


class OneSupplier(Resource):
    """A supplier."""

    supplier: SupplierView


class NewSupplier(Input):
    """A supplier to be made."""

    name: Name
    currency: Currency
    email: Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")] = ""
    lead_time_days: Days = 7
    note: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""


class SupplierChanges(Input):
    """What to change."""

    name: Name | None = None
    email: Annotated[str | None, Field(max_length=320, pattern=r"^[^\x00]*$")] = None
    lead_time_days: Days | None = None
    note: Annotated[str | None, Field(max_length=2000, pattern=r"^[^\x00]*$")] = None
    active: bool | None = None


class OfferInput(Item):
    """That the supplier sells a variant: its SKU there, price, lead time, packs, least order; `preferred`: buy here."""

    supplier_sku: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""
    cost: Amount | None = None
    lead_time_days: Days | None = None
    pack_units: SomeUnits = 1
    minimum_units: SomeUnits = 1
    preferred: bool = False


class NewOffers(Input):
    """What the supplier sells; what it sold besides stays."""

    items: Annotated[list[OfferInput], Field(min_length=1, max_length=5000)]


class OfferView(Resource):
    """What a supplier sells. Amounts in its currency."""

    variant_id: UUID
    sku: str
    title: str
    supplier_sku: str
    cost: str | None
    lead_time_days: int | None
    pack_units: int
    minimum_units: int
    preferred: bool


class Offers(Resource):
    """What a supplier sells."""

    items: list[OfferView]
    next_cursor: str | None


class PurchaseView(Resource):
    """A purchase order: draft, ordered, partly_received, received or cancelled. `cost`: of lines with a known price."""

    id: UUID
    number: int
    state: str
    supplier_id: UUID
    supplier: str
    location_id: UUID
    location: str
    currency: str
    expected_on: date | None
    note: str
    actor: str
    created_at: datetime
    ordered_at: datetime | None
    closed_at: datetime | None
    lines: int
    units: int
    received: int
    outstanding: int
    cost: str | None


class PurchaseLine(DocumentLine):
    """Units of a variant on a purchase order, and what one costs."""

    cost: str | None


class Purchases(Resource):
    """Purchase orders, newest first."""

    purchase_orders: list[PurchaseView]
    next_cursor: str | None


class OnePurchase(Resource):
    """A purchase order with its lines."""

    purchase_order: PurchaseView
    lines: list[PurchaseLine]


class BoughtItem(ItemUnits):
    """So many units of a variant; `cost` of one, else the supplier's price."""

    cost: Amount | None = None


class NewPurchase(Input):
    """Goods to be bought."""

    supplier_id: UUID
    location_id: UUID
    lines: Annotated[list[BoughtItem], Field(min_length=1, max_length=2000)]
    note: Text255 = ""


class PurchaseLines(Input):
    """The lines that a draft shall have."""

    lines: Annotated[list[BoughtItem], Field(min_length=1, max_length=2000)]


class Ordered(Input):
    """When the goods are expected; else after the supplier's lead time."""

    expected_on: date | None = None


# ---- suppliers -------------------------------------------------------------------------------------------


async def list_suppliers(
    call: CallDep, paging: PagingDep, search: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Return suppliers by name."""
    wanted = search.replace("\x00", "")
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_suppliers(tx, wanted, cursor, limit))
    return respond(Suppliers(suppliers=[SupplierView.model_validate(r) for r in found], next_cursor=found.next_cursor))


async def get_supplier(supplier_id: UUID, call: CallDep) -> Response:
    """Return a supplier."""
    async with call.transaction() as tx:
        return respond(await _supplier(tx, supplier_id))


async def create_supplier(body: NewSupplier, call: CallDep) -> Response:
    """Make a supplier."""

    async def work(tx: Tx) -> Answer:
        id = await stock.create_supplier(
            tx, body.name, body.currency, email=body.email, lead_time_days=body.lead_time_days, note=body.note
        )
        made = await _supplier(tx, id)
        await identity.record(
            tx, call.actor, "supplier.create", "supplier", id, None, made.supplier.model_dump(mode="json")
        )
        return answer(made, 201)

    return await once(call, work)


async def update_supplier(supplier_id: UUID, body: SupplierChanges, call: CallDep) -> Response:
    """Change a supplier; `active: false`: nothing is bought there any more."""
    async with call.transaction() as tx:
        before = await _supplier(tx, supplier_id)
        values = {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}
        await stock.change_supplier(tx, supplier_id, **values)
        after = await _supplier(tx, supplier_id)
        await identity.record(
            tx, call.actor, "supplier.update", "supplier", supplier_id, before.supplier.model_dump(mode="json"),
            after.supplier.model_dump(mode="json"),
        )  # fmt: skip
        return respond(after)


async def list_offers(supplier_id: UUID, call: CallDep, paging: PagingDep) -> Response:
    """Return what a supplier sells."""
    async with call.transaction() as tx:
        currency = (await reading.supplier(tx, supplier_id)).currency
        found = await paging.read(lambda cursor, limit: reading.offers(tx, supplier_id, cursor, limit))
    items = [
        OfferView(
            **{n: getattr(row, n) for n in OfferView.model_fields if n != "cost"}, cost=text(row.cost_minor, currency)
        )
        for row in found
    ]
    return respond(Offers(items=items, next_cursor=found.next_cursor))


async def put_offers(supplier_id: UUID, body: NewOffers, call: CallDep) -> Response:
    """Write what a supplier sells, at which price."""
    async with call.transaction() as tx:
        currency = (await reading.supplier(tx, supplier_id)).currency
        ids = await variants_of(tx, body.items)
        offers = [
            stock.Offer(id, each.supplier_sku, optional_minor(each.cost, currency), each.lead_time_days,
                        each.pack_units, each.minimum_units, each.preferred)
            for id, each in zip(ids, body.items, strict=True)
        ]  # fmt: skip
        await stock.put_offers(tx, supplier_id, offers)
        await identity.record(tx, call.actor, "supplier.items", "supplier", supplier_id, None, {"items": len(offers)})
        return respond(await _supplier(tx, supplier_id))


async def drop_offer(supplier_id: UUID, variant_id: UUID, call: CallDep) -> Response:
    """Forget that a supplier sells a variant."""
    async with call.transaction() as tx:
        await stock.drop_offers(tx, supplier_id, [variant_id])
        await identity.record(tx, call.actor, "supplier.drop", "supplier", supplier_id, {"variantId": str(variant_id)})
        return respond(await _supplier(tx, supplier_id))


async def _supplier(tx: Tx, id: UUID) -> OneSupplier:
    return OneSupplier(supplier=SupplierView.model_validate(await reading.supplier(tx, id)))


# ---- purchase orders -------------------------------------------------------------------------------------


async def list_purchases(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["", *reading.PURCHASE_STATES], Query()] = "",  # type: ignore[valid-type]
    supplier_id: Annotated[UUID | None, Query(alias="supplierId")] = None,
) -> Response:
    """Return purchase orders, newest first."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_purchases(tx, state, supplier_id, cursor, limit))
    return respond(Purchases(purchase_orders=[_view(row) for row in found], next_cursor=found.next_cursor))


async def get_purchase(purchase_order_id: UUID, call: CallDep) -> Response:
    """Return a purchase order with its lines."""
    async with call.transaction() as tx:
        return respond(await _purchase(tx, purchase_order_id))


async def create_purchase(body: NewPurchase, call: CallDep) -> Response:
    """Draft a purchase order."""

    async def work(tx: Tx) -> Answer:
        currency = (await reading.supplier(tx, body.supplier_id)).currency
        units, costs = await _bought(tx, body.lines, currency)
        id = await stock.draft_purchase(
            tx, body.supplier_id, body.location_id, units, costs=costs, note=body.note, actor=call.actor.reference
        )
        return answer(await _told(tx, call, "purchase.create", id), 201)

    return await once(call, work)


async def change_purchase(purchase_order_id: UUID, body: PurchaseLines, call: CallDep) -> Response:
    """Set the lines of a draft."""
    async with call.transaction() as tx:
        row, _ = await reading.purchase(tx, purchase_order_id)
        units, costs = await _bought(tx, body.lines, row.currency)
        await stock.change_purchase(tx, purchase_order_id, units, costs=costs)
        return respond(await _told(tx, call, "purchase.update", purchase_order_id))


async def order_purchase(purchase_order_id: UUID, body: Ordered, call: CallDep) -> Response:
    """Say that a draft has been ordered: its units are incoming."""

    async def work(tx: Tx) -> Answer:
        await stock.order_purchase(tx, purchase_order_id, expected_on=body.expected_on, actor=call.actor.reference)
        return answer(await _told(tx, call, "purchase.order", purchase_order_id))

    return await once(call, work)


async def receive_purchase(purchase_order_id: UUID, body: Received, call: CallDep) -> Response:
    """Take in what came of a purchase order."""

    async def work(tx: Tx) -> Answer:
        receipts = await receipts_of(tx, body)
        await stock.receive_purchase(tx, purchase_order_id, receipts, close=body.close, actor=call.actor.reference)
        return answer(await _told(tx, call, "purchase.receive", purchase_order_id))

    return await once(call, work)


async def cancel_purchase(purchase_order_id: UUID, call: CallDep) -> Response:
    """Give a purchase order up: nothing more of it is expected."""

    async def work(tx: Tx) -> Answer:
        await stock.cancel_purchase(tx, purchase_order_id, actor=call.actor.reference)
        return answer(await _told(tx, call, "purchase.cancel", purchase_order_id))

    return await once(call, work)


async def _bought(tx: Tx, items: list[BoughtItem], currency: str) -> tuple[dict[UUID, int], dict[UUID, int | None]]:
    """Return units and costs by variant. Raises VariantNotFound, TooManyDecimals."""
    units: dict[UUID, int] = {}
    costs: dict[UUID, int | None] = {}
    for variant_id, each in zip(await variants_of(tx, items), items, strict=True):
        units[variant_id] = units.get(variant_id, 0) + each.quantity
        costs[variant_id] = optional_minor(each.cost, currency)
    return units, costs


def _view(row: reading.PurchaseRow) -> PurchaseView:
    names = [name for name in PurchaseView.model_fields if name != "cost"]
    return PurchaseView(**{name: getattr(row, name) for name in names}, cost=text(row.cost_minor, row.currency))


async def _purchase(tx: Tx, id: UUID) -> OnePurchase:
    row, lines = await reading.purchase(tx, id)
    names = [name for name in PurchaseLine.model_fields if name != "cost"]
    return OnePurchase(
        purchase_order=_view(row),
        lines=[
            PurchaseLine(**{name: getattr(line, name) for name in names}, cost=text(line.cost_minor, row.currency))
            for line in lines
        ],
    )


async def _told(tx: Tx, call: Call, action: str, id: UUID) -> OnePurchase:
    made = await _purchase(tx, id)
    order = made.purchase_order
    after = {"number": order.number, "state": order.state, "units": order.units, "received": order.received}
    await identity.record(tx, call.actor, action, "purchase_order", id, None, after)
    return made
