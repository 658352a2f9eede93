"""Policies of allocation by scope, limits, what a policy would change, and what was learned of lags and sales."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.allocation import csv_out, reading
from entrepot.allocation import facade as allocation
from entrepot.api.amounts import SkuText
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.items import Item, variants_of
from entrepot.api.paging import PagingDep
from entrepot.database.csv_lists import text_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.clock import utc_now
from entrepot.sync import facade as sync
from entrepot.sync import reading as sync_reading

Search = Annotated[str, Query(max_length=200)]


class PolicyInput(Input):
    """A strategy and its parameters, such as `{"shares": {"shopify": 0.4}}` or `{"buffer": 2}`."""

    strategy: Annotated[str, Field(min_length=1, max_length=80)]
    parameters: dict[str, Any] = Field(default_factory=dict)


class ScopedPolicy(Resource):
    """The policy in force, and whose it is: the shop's (`scopeId` null), a category's or a product's.

    `stored`: somebody set it; else it is what the hub does by itself.
    """

    scope: str
    scope_id: UUID | None
    name: str
    stored: bool
    strategy: str
    parameters: dict[str, Any]


class OneScopedPolicy(Resource):
    """The policy in force somewhere."""

    policy: ScopedPolicy


class StoredPolicy(Resource):
    """A policy that somebody set."""

    scope: str
    scope_id: UUID | None
    name: str
    strategy: str
    parameters: dict[str, Any]
    updated_at: datetime


class StoredPolicies(Resource):
    """The policies that were set: the shop's, those of categories, those of products."""

    policies: list[StoredPolicy]
    next_cursor: str | None


class LimitView(Resource):
    """Units kept back (`buffer`), shown at most (`cap`) and at least (`least`) on one connection or, with null, on all."""

    scope: str
    scope_id: UUID
    name: str
    connection_id: UUID | None
    buffer: int | None
    cap: int | None
    least: int | None
    updated_at: datetime


class LimitViews(Resource):
    """Limits, by name."""

    limits: list[LimitView]
    next_cursor: str | None


Units = Annotated[int | None, Field(ge=0, le=1_000_000_000)]


class LimitInput(Input):
    """A limit to set; with nothing in `buffer`, `cap` and `least` it is removed."""

    scope: Literal["product", "variant"]
    scope_id: UUID
    connection_id: UUID | None = None
    buffer: Units = None
    cap: Units = None
    least: Units = None


class DraftInput(PolicyInput):
    """A policy to try. For the whole shop, or for one category or product; `sku`: look at this one only."""

    category_id: UUID | None = None
    product_id: UUID | None = None
    sku: SkuText | None = None


class PreviewedListing(Resource):
    """What a listing shows under the policies in force and would show under the draft.

    `todayTarget` and `draftTarget`: in the end, where that waits until other listings show less.
    """

    listing_id: UUID
    variant_id: UUID
    sku: str
    connection_id: UUID
    connection: str
    pool: int
    today: int
    today_target: int
    draft: int
    draft_target: int
    change: int
    steps: list[str]


class RuleView(Resource):
    """For how many of the listings that were looked at a rule holds, and what mostly fails elsewhere."""

    name: str
    holds: int
    listings: int
    why_not: str


class PreviewView(Resource):
    """What a draft would change; nothing is saved. `concerned`: SKUs that it is for; `examined`: those worked out."""

    concerned: int
    examined: int
    changed: int
    listings: list[PreviewedListing]
    rules: list[RuleView]


class OnePreview(Resource):
    """A preview."""

    preview: PreviewView


class LagView(Resource):
    """How long a connection takes, in seconds: until a sale is `heard` of, or until it has `shown` a lower number.

    Below `least` measurements in the window it is not `known`, and the policy's `lag_s` is taken.
    """

    connection_id: UUID
    connection: str
    channel: str
    kind: str
    count: int
    p50_s: float | None
    p99_s: float | None
    known: bool
    least: int
    window_s: float


class Lags(Resource):
    """The lags of all connections."""

    lags: list[LagView]


class RateView(Resource):
    """Units a day of a SKU on a connection: by its own sales (`own`), and as reckoned with (`used`, after shrinkage)."""

    connection_id: UUID
    channel: str
    sold_30_days: int | None
    counted: float
    own: float
    used: float


class SkuRatesView(Resource):
    """A SKU's rates, and how the risk strategy shows it.

    `lot`: units bought at once; `inLag`: units that sell after a sale before every channel knows of it (`inLagAtMean`: by the
    mean rate alone, as if sales came steadily).
    """

    variant_id: UUID
    sku: str
    title: str
    strategy: str
    rates: list[RateView]
    used: float
    lot: float
    lag_p99_s: float
    lag_known: bool
    in_lag: float
    in_lag_at_mean: float
    mode: str
    chance: float


class FollowersView(Resource):
    """Sales of a SKU that follow one of its sales within so many seconds, beyond what its rate and the hours say."""

    within_s: float
    sales: float


class HabitsView(Resource):
    """How customers buy, counted each night from the times of orders; the risk strategy reckons with it.

    `hours`: how many times the mean rate a sale meets by the hour of the week (1: steady). `byHour`: orders by hour of the week
    from Monday midnight, in the organisation's time zone. `lot`: units at once, taken for a SKU that sold little. `sales`: how
    many are behind it.
    """

    hours: float
    by_hour: list[int]
    followers: list[FollowersView]
    lot: float | None
    sales: int
    made_on: date


class Rates(Resource):
    """Sales rates by SKU, and how customers buy in all (null until a night's count)."""

    habits: HabitsView | None
    rates: list[SkuRatesView]
    next_cursor: str | None


# ---- policies --------------------------------------------------------------------------------------------


async def list_policies(call: CallDep, paging: PagingDep) -> Response:
    """Return all policies that were set."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_policies(tx, cursor, limit))
    policies = [StoredPolicy.model_validate(row) for row in found]
    return respond(StoredPolicies(policies=policies, next_cursor=found.next_cursor))


async def get_category_policy(category_id: UUID, call: CallDep) -> Response:
    """Return the policy in force for a category's products."""
    return await _get(call, allocation.Scope(allocation.CATEGORY, category_id))


async def set_category_policy(category_id: UUID, body: PolicyInput, call: CallDep) -> Response:
    """Give a category a policy of its own; its products and those of categories under it are worked out anew."""
    return await _set(call, allocation.Scope(allocation.CATEGORY, category_id), body)


async def drop_category_policy(category_id: UUID, call: CallDep) -> Response:
    """Take a category's own policy away."""
    return await _drop(call, allocation.Scope(allocation.CATEGORY, category_id))


async def get_product_policy(product_id: UUID, call: CallDep) -> Response:
    """Return the policy in force for a product."""
    return await _get(call, allocation.Scope(allocation.PRODUCT, product_id))


async def set_product_policy(product_id: UUID, body: PolicyInput, call: CallDep) -> Response:
    """Give a product a policy of its own."""
    return await _set(call, allocation.Scope(allocation.PRODUCT, product_id), body)


async def drop_product_policy(product_id: UUID, call: CallDep) -> Response:
    """Take a product's own policy away."""
    return await _drop(call, allocation.Scope(allocation.PRODUCT, product_id))


async def drop_shop_policy(call: CallDep) -> Response:
    """Take the shop's policy away; what the hub does by itself (fixed shares) counts then."""
    return await _drop(call, allocation.WHOLE_SHOP)


async def _get(call: Call, scope: allocation.Scope) -> Response:
    async with call.transaction() as tx:
        return respond(await _in_force(tx, scope))


async def _in_force(tx: Tx, scope: allocation.Scope) -> OneScopedPolicy:
    found = await allocation.in_force(tx, scope)
    name = await reading.name_of(tx, found.scope.kind, found.scope.id)
    view = ScopedPolicy(
        scope=found.scope.kind, scope_id=found.scope.id, name=name, stored=found.stored,
        strategy=found.policy.strategy, parameters=dict(found.policy.parameters),
    )  # fmt: skip
    return OneScopedPolicy(policy=view)


async def _set(call: Call, scope: allocation.Scope, body: PolicyInput) -> Response:
    async with call.transaction() as tx:
        before = (await allocation.in_force(tx, scope)).policy
        policy = await allocation.set_policy(tx, body.strategy, body.parameters, scope=scope)
        await _record(tx, call, "allocation.set_policy", scope, _json(before), _json(policy))
        return respond(await _in_force(tx, scope))


async def _drop(call: Call, scope: allocation.Scope) -> Response:
    async with call.transaction() as tx:
        before = (await allocation.in_force(tx, scope)).policy
        await allocation.drop_policy(tx, scope)
        await _record(tx, call, "allocation.drop_policy", scope, _json(before), None)
    return empty()


async def _record(
    tx: Tx, call: Call, action: str, scope: allocation.Scope, before: Mapping[str, Any], after: Mapping[str, Any] | None
) -> None:
    subject = scope.id or call.actor.organisation_id
    await identity.record(tx, call.actor, action, scope.kind, subject, before, after)


def _json(policy: allocation.Policy) -> dict[str, Any]:
    return {"strategy": policy.strategy, "parameters": dict(policy.parameters)}


async def preview(
    body: DraftInput, call: CallDep, form: Annotated[Literal["json", "csv"], Query()] = "json"
) -> Response:
    """Return what each listing would show under a draft of a policy, those first that change most; nothing is saved."""
    draft = allocation.check_policy(body.strategy, body.parameters)
    if body.category_id and body.product_id:
        raise allocation.InvalidPolicy("Name one of categoryId and productId.")
    kind = allocation.PRODUCT if body.product_id else allocation.CATEGORY if body.category_id else allocation.SHOP
    scope = allocation.Scope(kind, body.product_id or body.category_id)
    async with call.transaction() as tx:
        await allocation.in_force(tx, scope)
        [variant_id] = await variants_of(tx, [Item(sku=body.sku)]) if body.sku else [None]
        services = call.services
        found = await sync.preview(
            tx, draft, scope, services.find_connector, services.learning, variant_id=variant_id
        )  # fmt: skip
        named = await sync_reading.listing_names(tx, [d.today.listing_id for d in found.differences])
    if form == "csv":
        export = csv_out.preview(found, named)
        parts = [part async for part in text_of(services.database, call.actor.organisation_id, export)]
        headers = {"Content-Disposition": f'attachment; filename="{export.name}.csv"'}
        return Response("".join(parts), media_type="text/csv; charset=utf-8", headers=headers)
    return respond(OnePreview(preview=_preview(found, named)))


def _preview(found: allocation.Preview, named: Mapping[UUID, tuple[str, str]]) -> PreviewView:
    listings = [
        PreviewedListing(
            listing_id=d.today.listing_id, variant_id=d.today.variant_id, sku=named[d.today.listing_id][0],
            connection_id=d.today.connection_id, connection=named[d.today.listing_id][1], pool=d.draft.pool,
            today=d.today.quantity, today_target=d.today.final, draft=d.draft.quantity, draft_target=d.draft.final,
            change=d.change, steps=list(d.draft.steps),
        )
        for d in found.differences
    ]  # fmt: skip
    rules = [RuleView.model_validate(rule) for rule in found.rules]
    return PreviewView(
        concerned=found.concerned, examined=found.examined, changed=found.changed, listings=listings, rules=rules
    )


# ---- limits ----------------------------------------------------------------------------------------------


async def list_limits(call: CallDep, paging: PagingDep, q: Search = "") -> Response:
    """Return buffers, caps and least quantities of products and SKUs."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_limits(tx, cursor, limit, q))
    limits = [LimitView.model_validate(row) for row in found]
    return respond(LimitViews(limits=limits, next_cursor=found.next_cursor))


async def set_limit(body: LimitInput, call: CallDep) -> Response:
    """Set or remove the limit of a product or SKU on a connection or on all; what is under it is worked out anew."""

    async def work(tx: Tx) -> Answer:
        scope = allocation.Scope(body.scope, body.scope_id)
        limit = allocation.Limit(body.buffer, body.cap, body.least)
        await allocation.set_limit(tx, scope, body.connection_id, limit)
        after = body.model_dump(mode="json", by_alias=True)
        await identity.record(tx, call.actor, "allocation.set_limit", body.scope, body.scope_id, None, after)
        name = await reading.name_of(tx, body.scope, body.scope_id)
        view = LimitView(**body.model_dump(), name=name, updated_at=utc_now())
        return answer(LimitViews(limits=[] if limit.says_nothing else [view], next_cursor=None))

    return await once(call, work)


# ---- what was learned ------------------------------------------------------------------------------------


async def list_lags(call: CallDep) -> Response:
    """Return how long channels take to tell of sales and to show lower numbers, as the hub measured it."""
    async with call.transaction() as tx:
        rows = await reading.list_lags(tx, utc_now(), call.services.learning)
    return respond(Lags(lags=[LagView.model_validate(row) for row in rows]))


async def list_rates(call: CallDep, paging: PagingDep, q: Search = "") -> Response:
    """Return how fast SKUs sell on each channel, what shrinkage made of it, and what the risk strategy concludes."""
    async with call.transaction() as tx:
        found = await paging.read(
            lambda cursor, limit: reading.list_rates(tx, call.services.learning, cursor, limit, q)
        )
        habits = await reading.habits(tx, utc_now())
    rates = [SkuRatesView.model_validate(row) for row in found]
    return respond(Rates(habits=_habits(habits), rates=rates, next_cursor=found.next_cursor))


def _habits(row: reading.HabitRow | None) -> HabitsView | None:
    if row is None:
        return None
    followers = [FollowersView(within_s=within_s, sales=sales) for within_s, sales in row.followers]
    return HabitsView(
        hours=row.hours,
        by_hour=list(row.by_hour),
        followers=followers,
        lot=row.lot,
        sales=row.sales,
        made_on=row.made_on,
    )
