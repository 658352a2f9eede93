"""Every kind of writer of stock, each as one transaction on a small shop: for races and for load."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from tests.stock.support import hold, make_variants

from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import Hold, SaleClaim
from entrepot.stock.documents import Receipt


@dataclass
class Shop:
    """Variants at two locations, a bundle of two of them, holds, order lines, papers that wait."""

    variants: list[UUID] = field(default_factory=list)
    bundle: UUID = field(default_factory=new_id)
    main: UUID = field(default_factory=new_id)
    store: UUID = field(default_factory=new_id)
    supplier: UUID = field(default_factory=new_id)
    held: list[Hold] = field(default_factory=list)
    lines: list[UUID] = field(default_factory=list)
    drafts: list[UUID] = field(default_factory=list)
    transit: list[UUID] = field(default_factory=list)
    ordered: list[UUID] = field(default_factory=list)
    sheets: list[UUID] = field(default_factory=list)


async def open_shop(database: Database, organisation_id: UUID, *, papers: int = 5, units: int = 60) -> Shop:
    """Fill an organisation."""
    shop = Shop(variants=await make_variants(database, organisation_id, [units] * 3))
    a, b, c = shop.variants
    async with database.transaction(organisation_id) as tx:
        shop.main = await tx.fetch_value("select id from location")
        shop.store = await stock.create_location(tx, "Store", "store")
        shop.supplier = await stock.create_supplier(tx, "Acme", "EUR")
        await stock.put_offers(tx, shop.supplier, [stock.Offer(v) for v in shop.variants])
        await tx.execute(
            "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
            " select organisation_id, $1, product_id, 'KIT', 100, 'EUR' from variant limit 1",
            shop.bundle,
        )
        await stock.set_bundle(tx, shop.bundle, {a: 1, b: 2})
        back = [stock.StockChange(v, "x", on_hand=20, location_id=shop.store) for v in shop.variants]
        await stock.change_on_hand(tx, back, kind="count", actor="test")
        shop.held = [hold((v, 1), minutes=0) for v in shop.variants for _ in range(6)]
        await stock.place_holds(tx, shop.held)
        shop.lines = [new_id() for _ in range(18)]
        some = [*shop.variants, shop.bundle]
        claims = [SaleClaim(line, some[n % 4], 2) for n, line in enumerate(shop.lines)]
        await stock.claim_sales(tx, claims, actor="test")
        for number in range(papers):
            shop.drafts.append(await stock.draft_transfer(tx, shop.main, shop.store, {a: 1, c: 1}, actor="test"))
            shop.transit.append(await stock.draft_transfer(tx, shop.store, shop.main, {b: 1, c: 1}, actor="test"))
            await stock.ship_transfer(tx, shop.transit[-1], actor="test")
            shop.ordered.append(await stock.draft_purchase(tx, shop.supplier, shop.main, {a: 3, b: 3}, actor="test"))
            await stock.order_purchase(tx, shop.ordered[-1], actor="test")
            shop.sheets.append(await stock.open_count(tx, shop.main, shop.variants, actor="test"))
            await stock.record_counts(tx, shop.sheets[-1], {a: 50 + number, b: 55}, actor="test")
    return shop


Writer = Callable[[Tx, Shop, int, random.Random], Awaitable[object]]


async def _hold(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    some = chance.sample(shop.variants, 2)
    return await stock.place_holds(tx, [hold((some[0], 2), (some[1], 2)), hold((shop.bundle, 1), (some[0], 1))])


async def _release(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.end_holds(tx, [shop.held[n].id, shop.held[-n - 1].id], state="released", actor="test")


async def _expire(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.expire_holds(tx, utc_now(), limit=3)


async def _sell(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    some = [*chance.sample(shop.variants, 2), shop.bundle]
    return await stock.claim_sales(tx, [SaleClaim(new_id(), v, 2) for v in some], actor="test")


async def _cancel(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.release_sales(tx, {shop.lines[n]: 1, shop.lines[-n - 1]: 2}, actor="test")


async def _place(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    """Sell, and send from elsewhere, beside moving an old line that may be gone by now."""
    line, variant = new_id(), chance.choice(shop.variants)
    await stock.lock_for_sales(tx, [shop.lines[n], shop.lines[-n - 1]], [variant])
    await stock.claim_sales(tx, [SaleClaim(line, variant, 1)], actor="test")
    wanted = {line: {chance.choice((shop.main, shop.store)): 1}}
    if chance.random() < 0.5:
        wanted |= {shop.lines[n]: {shop.store: 1}, shop.lines[-n - 1]: {shop.main: 1}}
    return await stock.place_sales(tx, wanted, actor="test")


async def _ship(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.ship_sales(tx, {shop.lines[n]: 1, shop.lines[-n - 1]: 1}, actor="test")


async def _count(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    counted = [
        stock.StockChange(v, "count", on_hand=chance.randint(0, 60), location_id=chance.choice((shop.main, shop.store)))
        for v in chance.sample(shop.variants, 2)
    ]
    return await stock.change_on_hand(tx, counted, kind="count", actor="test")


async def _return(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    back = [stock.StockChange(v, "back", delta=1) for v in chance.sample(shop.variants, 2)]
    return await stock.change_on_hand(tx, back, kind="return", actor="test")


async def _damage(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    variant = chance.choice(shop.variants)
    return await stock.set_damaged(tx, variant, shop.main, chance.randint(0, 3), reason="wet", actor="test")


async def _send(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.ship_transfer(tx, shop.drafts[n], actor="test")


async def _arrive(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    receipts = [Receipt(v, chance.randint(0, 2)) for v in shop.variants[1:]]
    return await stock.receive_transfer(tx, shop.transit[n], receipts, close=chance.random() < 0.5, actor="test")


async def _call_back(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.cancel_transfer(tx, shop.transit[n], actor="test")


async def _receive(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    receipts = [Receipt(v, 2, chance.randint(0, 1)) for v in chance.sample(shop.variants[:2], 2)]
    return await stock.receive_purchase(tx, shop.ordered[n], receipts, close=chance.random() < 0.3, actor="test")


async def _unbuy(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.cancel_purchase(tx, shop.ordered[n], actor="test")


async def _confirm(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.confirm_count(tx, shop.sheets[n], actor="test")


async def _safety(tx: Tx, shop: Shop, n: int, chance: random.Random) -> object:
    return await stock.set_safety_stock(tx, chance.choice(shop.variants), chance.randint(0, 5))


WRITERS: dict[str, Writer] = {
    "hold": _hold, "release": _release, "expire": _expire, "sell": _sell, "cancel": _cancel, "ship": _ship,
    "count": _count, "return": _return, "damage": _damage, "send": _send, "arrive": _arrive, "call back": _call_back,
    "receive": _receive, "unbuy": _unbuy, "confirm": _confirm, "safety": _safety, "place": _place,
}  # fmt: skip


async def act(database: Database, organisation_id: UUID, shop: Shop, kind: str, n: int, chance: random.Random) -> bool:
    """Let one writer do its work; return whether it was done or refused (a document in another state, no stock)."""
    try:
        async with database.transaction(organisation_id) as tx:
            await WRITERS[kind](tx, shop, n, chance)
    except EntrepotError:
        return False
    return True


async def check(database: Database, organisation_id: UUID, shop: Shop) -> None:
    """The ledger proves every balance, and nobody has what is not there."""
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        for level in await stock.levels(tx, shop.variants):
            assert level.on_hand >= level.reserved
            assert level.on_hand >= level.unavailable
            assert min(level.on_hand, level.reserved, level.held, level.incoming, level.unavailable) >= 0
