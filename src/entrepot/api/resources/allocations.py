"""Allocation: how much of the stock each listing may show, and why."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response

from entrepot.allocation import facade as allocation
from entrepot.api.answers import Answer, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep, Services
from entrepot.api.resources.policies import PolicyInput
from entrepot.catalog import reading as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.sync import facade as sync
from entrepot.sync import reading as sync_reading


class PolicyView(Resource):
    """How stock is divided."""

    strategy: str
    parameters: dict[str, Any]


class ShareView(Resource):
    """What a listing may show (`quantity`), what it is meant to show and shows by now, and the steps that led there."""

    listing_id: UUID
    connection_id: UUID
    quantity: int
    steps: list[str]
    desired: int | None
    published: int | None
    reported: int | None
    state: str | None


class VariantShares(Resource):
    """A variant's pool and its listings."""

    variant_id: UUID
    sku: str
    pool: int
    listings: list[ShareView]


class AllocationView(Resource):
    """How a product's stock is divided over its listings now."""

    product_id: UUID
    policy: PolicyView
    variants: list[VariantShares]


class OneAllocation(Resource):
    """An allocation."""

    allocation: AllocationView


class OnePolicy(Resource):
    """The policy of the shop."""

    policy: PolicyView
    strategies: list[str]


async def get_allocation(product_id: UUID, call: CallDep) -> Response:
    """Return what each listing of a product may show, and why."""
    async with call.transaction() as tx:
        return respond(OneAllocation(allocation=await _allocation(tx, call.services, product_id)))


async def allocate(product_id: UUID, call: CallDep, body: PolicyInput | None = None) -> Response:
    """Work a product's allocation out anew, under a policy of its own if one is sent."""

    async def work(tx: Tx) -> Answer:
        await catalog.product_detail(tx, product_id)
        if body is None:
            await allocation.reallocate(tx, allocation.Scope(allocation.PRODUCT, product_id))
        else:
            await _set_policy(tx, call, body, product_id)
        return answer(OneAllocation(allocation=await _allocation(tx, call.services, product_id)))

    return await once(call, work)


async def get_policy(call: CallDep) -> Response:
    """Return the shop's allocation policy."""
    async with call.transaction() as tx:
        return respond(_one(await allocation.get_policy(tx)))


async def set_policy(body: PolicyInput, call: CallDep) -> Response:
    """Set the shop's allocation policy; everything under it is worked out anew."""
    async with call.transaction() as tx:
        return respond(_one(await _set_policy(tx, call, body, None)))


async def _set_policy(tx: Tx, call: Call, body: PolicyInput, product_id: UUID | None) -> allocation.Policy:
    before = await allocation.get_policy(tx, product_id)
    policy = await allocation.set_policy(tx, body.strategy, body.parameters, product_id=product_id)
    kind, subject = ("shop", call.actor.organisation_id) if product_id is None else ("product", product_id)
    await identity.record(tx, call.actor, "allocation.set_policy", kind, subject, _json(before), _json(policy))
    return policy


async def _allocation(tx: Tx, services: Services, product_id: UUID) -> AllocationView:
    detail = await catalog.product_detail(tx, product_id)
    ids = [variant.id for variant in detail.variants]
    shares = await sync.allot(tx, ids, services.find_connector, services.learning)
    cells = {cell.listing_id: cell for cell in await sync_reading.listing_cells(tx, ids)}
    pools = {share.variant_id: share.pool for share in shares}
    variants = [
        VariantShares(
            variant_id=variant.id,
            sku=variant.sku,
            pool=pools.get(variant.id, 0),
            listings=[_share(share, cells.get(share.listing_id)) for share in shares if share.variant_id == variant.id],
        )
        for variant in detail.variants
    ]
    policy = await allocation.get_policy(tx, product_id)
    view = PolicyView(strategy=policy.strategy, parameters=dict(policy.parameters))
    return AllocationView(product_id=product_id, policy=view, variants=variants)


def _share(share: allocation.Share, cell: sync_reading.ListingCell | None) -> ShareView:
    return ShareView(
        listing_id=share.listing_id,
        connection_id=share.connection_id,
        quantity=share.quantity,
        steps=list(share.steps),
        desired=cell.desired if cell else None,
        published=cell.published if cell else None,
        reported=cell.reported if cell else None,
        state=cell.badge if cell else None,
    )


def _one(policy: allocation.Policy) -> OnePolicy:
    view = PolicyView(strategy=policy.strategy, parameters=dict(policy.parameters))
    return OnePolicy(policy=view, strategies=sorted(allocation.STRATEGIES))


def _json(policy: allocation.Policy) -> dict[str, Any]:
    return {"strategy": policy.strategy, "parameters": dict(policy.parameters)}
