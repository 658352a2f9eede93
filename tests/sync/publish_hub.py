"""A hub whose channels are the simulated marketplaces, over real HTTP, moved step by step by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from tests.connectors.http_api import HttpApi
from tests.orders.support import make_connection

from entrepot.catalog import bulk
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.channels.contract import (
    Api,
    Call,
    Capability,
    ChannelListing,
    Connector,
    OutcomeUnknown,
    Reply,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import Connection
from entrepot.connectors.registry import connector_of
from entrepot.database.pool import Database, Tx
from entrepot.identity.facade import system_actor
from entrepot.jobs.lanes import LaneKey
from entrepot.jobs.reactions import react
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.sync import facade as sync
from entrepot.sync import progress
from entrepot.sync.check import check_step, listings_step
from entrepot.sync.fields import store as fields
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.fields.reads import read_step
from entrepot.sync.fields.writing import write_step
from entrepot.sync.publishing import asking, reading
from entrepot.sync.publishing.contracts import Ask, IntentView, Wanted
from entrepot.sync.publishing.working import publish_step
from entrepot.sync.pull import pull_step
from entrepot.sync.push import push_step
from entrepot_sandbox.server import Config, Running, running

CHANNELS = ("shopify", "amazon", "square")
WRITES = (
    "set_product", "set_prices", "putListingsItem", "patchListingsItem", "upsertCatalogObject", "batchUpsertCatalogObjects",
    "createFeed",
)  # fmt: skip
"""Calls that write products or prices (Amazon's patch and feed write quantities too)."""


LANES = (
    ("pull", pull_step), ("push", push_step), ("check", check_step), ("read", read_step), ("merge", merge_step),
    ("fields", write_step),
)  # fmt: skip


class WorkerDied(Exception):
    """The process that called was killed there."""


class Wire(HttpApi):
    """A connection that may lose the answer to a write, or die after one."""

    def __init__(self, connector: Connector, **given: Any) -> None:
        super().__init__(connector, **given)
        self.faults: list[str] = []

    async def send(self, call: Call) -> Reply:
        reply = await super().send(call)
        if self.faults and call.operation in WRITES:
            fault = self.faults.pop(0)
            if fault == "died":
                raise WorkerDied
            raise (TemporarilyUnavailable if call.idempotent else OutcomeUnknown)("The answer was lost.")
        return reply


@dataclass
class Transport:
    """The wires, by connection."""

    wires: dict[UUID, Wire] = field(default_factory=dict)

    def api(self, connection: Connection) -> Api:
        return self.wires[connection.id]

    def clock_offset(self, connection_id: UUID) -> timedelta:
        return timedelta(0)


def mug(name: str, colours: Sequence[str] = ("Red", "Blue"), **given: Any) -> NewProduct:
    """Return a product that every channel takes."""
    variants = tuple(
        NewVariant(f"{name}-{n}", 1250 + n, "EUR", option_values=(colour,) if len(colours) > 1 else (), weight_g=300)
        for n, colour in enumerate(colours)
    )
    defaults: dict[str, Any] = {
        "description": "<p>Holds <b>tea</b>.</p>", "vendor": "Kiln & Co", "tags": ("kitchen",),
        "option_names": ("Colour",) if len(colours) > 1 else (),
        "images": (Image(f"https://img.example/{name}.jpg", "A mug"),),
    }  # fmt: skip
    title = given.pop("title", f"Mug {name}")
    return NewProduct(name.lower(), title, variants, **{**defaults, **given})


AMAZON: Mapping[str, str] = {"variation_theme": "COLOR"}


class PublishHub:
    """An organisation with connections to simulated channels."""

    def __init__(self, database: Database, organisation_id: UUID, sandbox: Running, control: httpx.AsyncClient) -> None:
        self.database, self.id, self.sandbox, self.control = database, organisation_id, sandbox, control
        self.transport = Transport()
        settings = sync.SyncSettings(
            field_settling_s=0.0, listings_spacing_s=0.0, drift_interval_s=0.0, write_settling_s=0.0, recheck_s=0.0,
            pull_spacing_s=0.0,
        )  # fmt: skip
        self.context = sync.SyncContext(database, self.transport, connector_of, settings)
        self.connections: dict[str, UUID] = {}
        self.actor = system_actor(organisation_id, "Ada")

    async def connect(self, stack: AsyncExitStack, key: str) -> None:
        (account,) = self.sandbox.sandbox.markets[key].accounts()
        connector = connector_of(key)
        settings = {**account.settings, "simulator_url": self.sandbox.url}
        wire = await stack.enter_async_context(Wire(connector, settings=settings, credentials=account.credentials))
        if Capability.REFRESH_TOKEN in connector.manifest.capabilities:
            token = await connector.refresh_token(wire, wire.credentials)  # type: ignore[attr-defined]
            wire.credentials["access_token"] = token.access_token
        self.connections[key] = await make_connection(self.database, self.id, key, environment="simulated")
        self.transport.wires[self.connections[key]] = wire

    def wire(self, key: str) -> Wire:
        return self.transport.wires[self.connections[key]]

    async def save(self, *products: NewProduct, on_hand: int = 9, barcode: str = "") -> dict[str, UUID]:
        """Make products with stock; return SKU -> variant. `barcode`: of every variant."""
        products = tuple(
            replace(each, variants=tuple(replace(v, barcode=barcode) for v in each.variants)) for each in products
        )
        async with self.database.transaction(self.id) as tx:
            made = await catalog.save_products(tx, list(products))
            changes = [stock.StockChange(v, "opening stock", on_hand=on_hand) for v in made.values()]
            await stock.change_on_hand(tx, changes, kind="count", actor="test")
        return made

    async def products(self) -> list[UUID]:
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch("select id from product where organisation_id = $1 order by id", self.id)
        return [row[0] for row in rows]

    async def ask(
        self, wanted: Wanted, *keys: str, products: Sequence[UUID] | None = None, category: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> int:  # fmt: skip
        """Ask for all products, or these, on these channels (none named: all)."""
        chosen = bulk.selection(await self.products() if products is None else products)
        count = 0
        for key in keys or tuple(self.connections):
            amazon = key == "amazon" and wanted is Wanted.PUBLISH
            asked = Ask(
                wanted, (self.connections[key],), category or ("HOME" if amazon else None),
                attributes if attributes is not None else (AMAZON if amazon else None),
            )  # fmt: skip
            async with self.database.transaction(self.id) as tx:
                count = await asking.ask(tx, self.actor, connector_of, chosen, asked)
        return count

    def key(self, kind: str, channel: str) -> LaneKey:
        return LaneKey(kind, self.id, self.connections[channel])

    async def step(self, channel: str) -> float | None:
        """Let the publish lane work once, whatever waits for a time."""
        await self.pass_time()
        return await publish_step(self.context, self.key("publish", channel))

    async def pass_time(self) -> None:
        async with self.database.transaction(self.id) as tx:
            for table in ("listing_intent", "publish_batch", "push_batch", "field_batch", "listing_field"):
                await tx.execute(
                    f"update {table} set next_attempt_at = null where organisation_id = $1 and next_attempt_at > now()",
                    self.id,
                )
            await tx.execute(
                "update listing_quantity set next_attempt_at = null, check_at = least(check_at, now())"
                " where organisation_id = $1 and (next_attempt_at > now() or check_at > now())",
                self.id,
            )
            await tx.execute(
                "update listing_reading set read_wanted_at = now() where organisation_id = $1 and read_wanted_at > now()",
                self.id,
            )

    async def react(self) -> None:
        while await react(self.database, self.id, sync.reaction_table(connector_of, clock_error_s=0.0)):
            pass

    async def settle(self, rounds: int = 40) -> None:
        """Let all lanes work until there is nothing to do."""
        for _ in range(rounds):
            await self.react()
            for channel in self.connections:
                while await self.step(channel) == 0.0:
                    pass
                await self.react()
                async with self.database.transaction(self.id) as tx:
                    await progress.want_pull(tx, self.connections[channel], utc_now())
                for kind, step in LANES:
                    await self.pass_time()
                    while await step(self.context, self.key(kind, channel)) == 0.0 and kind not in ("check", "pull"):
                        pass
                    await self.react()
            if not await self.open_work():
                return

    async def open_work(self) -> int:
        async with self.database.transaction(self.id) as tx:
            found: int = await tx.fetch_value(
                """select (select count(*) from outbox where organisation_id = $1)
                 + (select count(*) from listing_intent where organisation_id = $1 and state in ('publishing', 'ending'))
                 + (select count(*) from publish_batch where organisation_id = $1 and state <> 'done')
                 + (select count(*) from field_batch where organisation_id = $1 and state <> 'done')
                 + (select count(*) from listing_field where organisation_id = $1 and state in ('out', 'sending'))
                 + (select count(*) from listing_reading where organisation_id = $1
                    and (read_wanted_at is not null or merge_wanted_at is not null))
                 + (select count(*) from listing_quantity q join listing l on l.organisation_id = $1 and l.id = q.listing_id
                    where q.organisation_id = $1 and l.active and q.state not in ('in_step', 'parked'))""",
                self.id,
            )
        return found

    async def intents(self, channel: str) -> dict[str, IntentView]:
        """Return what is asked on a channel, by handle."""
        async with self.database.transaction(self.id) as tx:
            found = await reading.list_intents(
                tx, reading.IntentFilter(connection_id=self.connections[channel]), None, 250
            )
        return {each.handle: each for each in found}

    async def on_offer(self) -> dict[str, list[int]]:
        """Return what active listings are expected to show, by SKU."""
        rows = await self.rows(
            "select l.sku, array_agg(q.expected order by q.connection_id) from listing_quantity q"
            " join listing l on l.organisation_id = $1 and l.id = q.listing_id and l.active"
            " where q.organisation_id = $1 group by 1"
        )
        return {row[0]: row[1] for row in rows}

    async def tell_changed(self, tx: Tx, product_id: UUID) -> None:
        await catalog.tell_changed(tx, [product_id])

    async def want_read(self, channel: str, sku: str) -> None:
        """The channel tells that a product was changed, as its webhook would."""
        async with self.database.transaction(self.id) as tx:
            product = await tx.fetch_value(
                "select r.product_external_id from listing_reading r join listing l on l.organisation_id = $1"
                " and l.id = r.listing_id where r.organisation_id = $1 and r.connection_id = $2 and l.sku = $3",
                self.id, self.connections[channel], sku,
            )  # fmt: skip
            await fields.want_read(tx, self.connections[channel], [product], utc_now())

    async def compare_all(self, channel: str) -> None:
        """Read the channel's whole catalog, as the daily check does."""
        async with self.database.transaction(self.id) as tx:
            await progress.want_listings(tx, self.connections[channel], utc_now())
        await listings_step(self.context, self.key("listings", channel))

    async def parked(self) -> list[tuple[Any, ...]]:
        """Return the fields that could not be written, and why."""
        rows = await self.rows(
            "select field, state, detail from listing_field where organisation_id = $1 and state not in ('agreed', 'ignored')"
        )
        return [tuple(row) for row in rows]

    async def rows(self, statement: str) -> list[Any]:
        async with self.database.transaction(self.id) as tx:
            return await tx.fetch(statement, self.id)

    async def there(self, channel: str) -> dict[str, ChannelListing]:
        """Return what the channel lists that is not from its opening, by SKU."""
        connector: Any = connector_of(channel)
        found: dict[str, ChannelListing] = {}
        cursor: str | None = None
        while True:
            page = await connector.pull_listings(self.wire(channel), cursor)
            for each in page.items:
                assert each.sku not in found, f"{each.sku} is there twice"
                found[each.sku or ""] = each
            if not page.more:
                opening = set(self.sandbox.sandbox.world.products)
                return {sku: each for sku, each in found.items() if sku not in opening}
            cursor = page.cursor

    async def edit(self, channel: str, sku: str, **changes: Any) -> None:
        """Somebody edits a product in the channel's own admin."""
        answer = await self.control.post("/_sandbox/edit", json={"channel": channel, "sku": sku, **changes})
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def publish_hub(
    database: Database, organisation_id: UUID, *keys: str, products: int = 3, time_scale: float = 500
) -> AsyncIterator[PublishHub]:
    """Serve these channels and connect a hub to them."""
    keys = keys or CHANNELS
    config = Config(seed=7, products=products, channels=keys, time_scale=time_scale)
    async with running(config) as sandbox, AsyncExitStack() as stack:
        control = await stack.enter_async_context(httpx.AsyncClient(base_url=sandbox.url, trust_env=False, timeout=60))
        hub = PublishHub(database, organisation_id, sandbox, control)
        for key in keys:
            await hub.connect(stack, key)
        yield hub
