"""What waits for somebody: shortages, low stock, reorder suggestions; and the rules behind them; bundles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Text255
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.items import ItemUnits, SomeUnits, Units, units_of
from entrepot.api.paging import PagingDep
from entrepot.api.problems import InvalidBody
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import facade as stock
from entrepot.stock import reading, reading_papers, reading_queues


class ShortageView(Resource):
    """Units that were sold and are not there. `remedy` is empty until somebody has chosen one."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    quantity: int
    reason: str
    reference_id: UUID | None
    state: str
    remedy: str
    remedy_id: UUID | None
    remedy_by: str
    note: str
    created_at: datetime
    closed_at: datetime | None


class Shortages(Resource):
    """Shortages: the open ones oldest first, closed ones newest first."""

    shortages: list[ShortageView]
    next_cursor: str | None


class Remedy(Input):
    """What to do about a shortage.

    `location`: reserve what is free at `locationId`. `purchase`: draft a purchase order from `supplierId` (to
    `locationId`, or where goods usually come). `supplier`: the supplier sends it from `locationId`, a location of the
    kind supplier or dropship. `cancel`: the sale is given up.
    """

    remedy: Literal["location", "purchase", "supplier", "cancel"]
    location_id: UUID | None = None
    supplier_id: UUID | None = None
    note: Text255 = ""


class Remedied(Resource):
    """What was done. `purchaseOrderId`: the draft that was made; `short`: units still short."""

    shortage_id: UUID
    remedy: str
    short: int
    purchase_order_id: UUID | None = None


class AlertView(Resource):
    """A variant with few units left to sell: at most `lowAt`."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    available: int
    low_at: int
    seen_by: str
    created_at: datetime


class Alerts(Resource):
    """Open alerts, newest first."""

    alerts: list[AlertView]
    next_cursor: str | None


class Threshold(Input):
    """At how many units to sell it is low; null takes the threshold away."""

    low_at: Units | None


class Rule(Input):
    """When a variant is bought for a location, and how many: `reorderQuantity`, or up to `maxLevel`; null: no rule."""

    reorder_point: Units | None
    reorder_quantity: SomeUnits | None = None
    max_level: SomeUnits | None = None


class RuleView(Resource):
    """When a variant is bought for a location."""

    location_id: UUID
    location: str
    reorder_point: int
    reorder_quantity: int | None
    max_level: int | None


class Replenishment(Resource):
    """The reorder rules of a variant, and where it is low by itself or by its product (null: by the shop)."""

    rules: list[RuleView]
    low_at: int | None
    low_at_of_product: int | None


class SuggestionView(Resource):
    """What to buy, and why in `steps`."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    location_id: UUID
    location: str
    supplier_id: UUID | None
    supplier: str | None
    quantity: int
    position: int
    steps: list[str]
    state: str
    purchase_order_id: UUID | None
    created_at: datetime


class Suggestions(Resource):
    """Reorder suggestions, newest first."""

    suggestions: list[SuggestionView]
    next_cursor: str | None


class Chosen(Input):
    """Suggestions to buy."""

    suggestion_ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]


class Bought(Resource):
    """The purchase orders that were drafted, one for each supplier and location."""

    purchase_order_ids: list[UUID]


class BundleInput(Input):
    """The parts of a bundle; none: it is no bundle any more."""

    parts: Annotated[list[ItemUnits], Field(max_length=50)]


class PartView(Resource):
    """Units of a variant in one bundle."""

    variant_id: UUID
    sku: str
    title: str
    quantity: int


class Bundle(Resource):
    """A bundle: `available` as many as its scarcest part makes. Without parts it is none."""

    variant_id: UUID
    parts: list[PartView]
    available: int


async def list_shortages(
    call: CallDep, paging: PagingDep, state: Annotated[Literal["open", "closed"], Query()] = "open"
) -> Response:
    """Return units that were sold and are not there."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading_queues.list_shortages(tx, state, cursor, limit))
    return respond(Shortages(shortages=[ShortageView.model_validate(r) for r in found], next_cursor=found.next_cursor))


async def remedy_shortage(shortage_id: UUID, body: Remedy, call: CallDep) -> Response:
    """Do something about a shortage: another location, a purchase, the supplier sends it, or the sale is given up."""

    async def work(tx: Tx) -> Answer:
        done = await _remedy(tx, shortage_id, body, call.actor.reference)
        after = {"remedy": body.remedy, "note": body.note, "short": done.short}
        await identity.record(tx, call.actor, "shortage.remedy", "shortage", shortage_id, None, after)
        return answer(done)

    return await once(call, work)


async def _remedy(tx: Tx, id: UUID, body: Remedy, actor: str) -> Remedied:
    match body.remedy:
        case "location":
            left = await stock.take_from_location(tx, id, _given(body.location_id, "locationId"), actor=actor)
            return Remedied(shortage_id=id, remedy=body.remedy, short=left)
        case "supplier":
            await stock.send_from_supplier(tx, id, _given(body.location_id, "locationId"), note=body.note, actor=actor)
        case "purchase":
            supplier_id = _given(body.supplier_id, "supplierId")
            made = await stock.buy_for(tx, id, supplier_id, body.location_id, actor=actor)
            _, lines = await reading_papers.purchase(tx, made)
            short = sum(line.quantity for line in lines)
            return Remedied(shortage_id=id, remedy=body.remedy, short=short, purchase_order_id=made)
        case "cancel":
            await stock.give_up(tx, id, note=body.note, actor=actor)
    return Remedied(shortage_id=id, remedy=body.remedy, short=0)


def _given(value: UUID | None, name: str) -> UUID:
    if value is None:
        raise InvalidBody(f"This remedy needs {name}.", f"#/{name}")
    return value


# ---- low stock -------------------------------------------------------------------------------------------


async def list_alerts(call: CallDep, paging: PagingDep) -> Response:
    """Return variants with few units left."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading_queues.list_alerts(tx, cursor, limit))
    return respond(Alerts(alerts=[AlertView.model_validate(row) for row in found], next_cursor=found.next_cursor))


async def see_alert(alert_id: UUID, call: CallDep) -> Response:
    """Note that you have seen an alert; it ends by itself when the stock is back."""
    async with call.transaction() as tx:
        await stock.see_alert(tx, alert_id, actor=call.actor.reference)
    return empty()


async def set_product_threshold(product_id: UUID, body: Threshold, call: CallDep) -> Response:
    """Set at how many units the variants of a product are low."""
    return await _threshold(call, "product", product_id, body.low_at)


async def set_variant_threshold(variant_id: UUID, body: Threshold, call: CallDep) -> Response:
    """Set at how many units a variant is low."""
    return await _threshold(call, "variant", variant_id, body.low_at)


async def _threshold(call: CallDep, scope: str, id: UUID, low_at: int | None) -> Response:
    async with call.transaction() as tx:
        await stock.set_threshold(tx, scope, id, low_at)
        await identity.record(tx, call.actor, "stock.threshold", scope, id, None, {"lowAt": low_at})
    return empty()


# ---- reordering ------------------------------------------------------------------------------------------


async def get_replenishment(variant_id: UUID, call: CallDep) -> Response:
    """Return when a variant is bought, for which location and how many, and where it is low."""
    async with call.transaction() as tx:
        return respond(await _replenishment(tx, variant_id))


async def set_rule(variant_id: UUID, location_id: UUID, body: Rule, call: CallDep) -> Response:
    """Set when a variant is bought for a location, and how many."""
    async with call.transaction() as tx:
        await stock.set_reorder_rule(
            tx, variant_id, location_id, point=body.reorder_point, quantity=body.reorder_quantity,
            max_level=body.max_level,
        )  # fmt: skip
        after = body.model_dump(mode="json", by_alias=True) | {"locationId": str(location_id)}
        await identity.record(tx, call.actor, "stock.reorder-rule", "variant", variant_id, None, after)
        return respond(await _replenishment(tx, variant_id))


async def _replenishment(tx: Tx, variant_id: UUID) -> Replenishment:
    await reading.stock_row(tx, variant_id)
    low_at = await reading_queues.thresholds_of(tx, variant_id)
    rules = [RuleView.model_validate(row) for row in await reading_queues.rules_of(tx, variant_id)]
    return Replenishment(rules=rules, low_at=low_at.get("variant"), low_at_of_product=low_at.get("product"))


async def list_suggestions(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal[reading_queues.SUGGESTION_STATES], Query()] = "open",  # type: ignore[valid-type]
) -> Response:
    """Return what to buy, and why."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading_queues.list_suggestions(tx, state, cursor, limit))
    items = [SuggestionView.model_validate(row) for row in found]
    return respond(Suggestions(suggestions=items, next_cursor=found.next_cursor))


async def buy_suggested(body: Chosen, call: CallDep) -> Response:
    """Draft purchase orders for suggestions, one for each supplier and location."""

    async def work(tx: Tx) -> Answer:
        made = await stock.buy_suggested(tx, body.suggestion_ids, actor=call.actor.reference)
        for id in made:
            after = {"suggestions": [str(each) for each in body.suggestion_ids]}
            await identity.record(tx, call.actor, "purchase.create", "purchase_order", id, None, after)
        return answer(Bought(purchase_order_ids=made), 201)

    return await once(call, work)


async def dismiss_suggestion(suggestion_id: UUID, call: CallDep) -> Response:
    """Do not suggest this again until there has been enough of it once."""
    async with call.transaction() as tx:
        await stock.dismiss(tx, suggestion_id, actor=call.actor.reference)
        await identity.record(tx, call.actor, "suggestion.dismiss", "suggestion", suggestion_id)
    return empty()


# ---- bundles ---------------------------------------------------------------------------------------------


async def get_bundle(variant_id: UUID, call: CallDep) -> Response:
    """Return the parts of a bundle."""
    async with call.transaction() as tx:
        return respond(await _bundle(tx, variant_id))


async def set_bundle(variant_id: UUID, body: BundleInput, call: CallDep) -> Response:
    """Make a variant a bundle of others: what there is of it follows its parts."""
    async with call.transaction() as tx:
        before = await _bundle(tx, variant_id)
        await stock.set_bundle(tx, variant_id, await units_of(tx, body.parts))
        after = await _bundle(tx, variant_id)
        await identity.record(
            tx, call.actor, "bundle.set", "variant", variant_id, {part.sku: part.quantity for part in before.parts},
            {part.sku: part.quantity for part in after.parts},
        )  # fmt: skip
        return respond(after)


async def _bundle(tx: Tx, variant_id: UUID) -> Bundle:
    row = await reading.stock_row(tx, variant_id)
    parts = [PartView.model_validate(part) for part in await catalog.part_views(tx, variant_id)]
    return Bundle(variant_id=variant_id, parts=parts, available=row.ats)
