"""Composition: the only file that knows everything. Builds the web application and the worker from the settings."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import structlog
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from entrepot import upkeep
from entrepot.actions import all_actions
from entrepot.agents import facade as agents
from entrepot.allocation import facade as allocation
from entrepot.api import build_api
from entrepot.api.dependencies import Services
from entrepot.catalog.bulk import BULK_EDIT, BULK_UNDO, apply_bulk_edit, undo_bulk_edit
from entrepot.catalog.match_contracts import MATCHING
from entrepot.catalog.match_work import match_listings
from entrepot.channels import facade as channels
from entrepot.channels.client import TransportSettings
from entrepot.channels.contract import Api, ConnectorError, HandlesWebhooks
from entrepot.channels.contracts import Connection, ConnectionDefaults
from entrepot.channels.health import HealthRecorder
from entrepot.channels.inbox import Inbox, webhook_url
from entrepot.channels.signals import Signals
from entrepot.channels.transport import ChannelTransport
from entrepot.channels.vault import Vault
from entrepot.channels.webhook_keys import key_fetcher
from entrepot.connectors import registry
from entrepot.database.pool import Database
from entrepot.identity.facade import Authenticator, derive_token_key
from entrepot.jobs.hints import HintSender
from entrepot.jobs.runner import JobRunner, JobSettings
from entrepot.kernel import memory
from entrepot.monitoring import logs, metrics
from entrepot.orders import facade as orders
from entrepot.secret_key import secret_keys
from entrepot.settings import PlatformSettings, Settings, load
from entrepot.stock.facade import HoldGate, PointRule, ReorderRule, StockWatch
from entrepot.stock.files import STOCK_FILE, take_file_in
from entrepot.sync import facade as sync
from entrepot.sync.alerts import ALERT, LOG, send_alert
from entrepot.sync.desk import ChannelDesk
from entrepot.sync.importing import PRODUCT_IMPORT, ChannelListings, import_products
from entrepot.web.live.hub import LiveHub
from entrepot.web.live.stopping import on_stop_signal
from entrepot.web.pages import build_pages
from entrepot.web.services import PageServices

log = structlog.get_logger(__name__)

HEALTH_EVERY_S = 5.0


@dataclass(slots=True)
class Core:
    """What the web process and the worker have in common."""

    settings: Settings
    database: Database
    vault: Vault
    signals: Signals
    transport: ChannelTransport
    health: HealthRecorder


@asynccontextmanager
async def open_core(settings: Settings, *, connections: int) -> AsyncIterator[Core]:
    """Open the database, the vault and the way to the channels; close them at the end."""
    if settings.database_url is None:
        raise RuntimeError("no DATABASE_URL: start the hub with `entrepot up`")
    keys = secret_keys(settings)
    async with AsyncExitStack() as stack:
        database = await Database.connect(settings.database_url, max_size=connections)
        stack.push_async_callback(database.close)
        vault = Vault(keys.keys, keys.active)
        signals = Signals(database)
        health = HealthRecorder()
        transport = ChannelTransport(
            database, vault, registry.connector_of, signals=signals, observe=health.observe,
            settings=transport_settings(settings),
        )  # fmt: skip
        await signals.start()
        stack.push_async_callback(signals.stop)
        stack.push_async_callback(transport.close)
        await stack.enter_async_context(HintSender(database))
        yield Core(settings, database, vault, signals, transport, health)


# ---- web -------------------------------------------------------------------------------------------------


def create_web_app() -> Starlette:
    """Return the web application; the factory that uvicorn calls."""
    settings = load()
    configure_logs(settings)
    app = Starlette(lifespan=_lifespan)
    app.state.settings = settings
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with open_core(settings, connections=settings.web_connections) as core:
        database = core.database
        public_url = settings.address
        secure = public_url.startswith("https://")
        authenticator = Authenticator(database, derive_token_key(secret_keys(settings).newest))
        desk = ChannelDesk(
            database,
            core.vault,
            core.transport,
            registry.connector_of,
            public_url=public_url,
            defaults=partial(connection_defaults, settings),
        )
        hub = LiveHub(database)
        on_stop_signal(hub.close)
        inbox = Inbox(
            database, core.vault, registry.connector_of, lambda: public_url, _waker(database), signals=core.signals,
            fetch_key=key_fetcher(database, core.transport),
        )  # fmt: skip
        tasks = agents.TaskDesk(all_actions(registry.connector_of))
        services = Services(
            database, authenticator, HoldGate(database, safety_too=not settings.inventory.overselling_protection), desk,
            registry.connector_of, registry.manifests,
            secure=secure, reservation_timeout=timedelta(seconds=settings.inventory.reservation_timeout_s),
            low_stock_threshold=settings.inventory.low_stock_threshold, learning=learning(settings), tasks=tasks,
        )  # fmt: skip
        pages = PageServices(
            database,
            authenticator,
            hub,
            desk,
            registry.connector_of,
            registry.manifests,
            secure=secure,
            low_stock_threshold=settings.inventory.low_stock_threshold,
            reservation_timeout=timedelta(seconds=settings.inventory.reservation_timeout_s),
            learning=learning(settings),
            tasks=tasks,
        )
        app.router.routes[:] = [
            Route("/webhooks/{connection_id:uuid}", inbox.webhook_endpoint, methods=["POST"]),
            Route("/webhooks/{connection_id:uuid}", inbox.challenge_endpoint, methods=["GET"]),
            *_webhook_aliases(inbox),
            Route("/metrics", _metrics),
            Mount("/api", app=build_api(services)),
            *build_pages(pages),
        ]
        memory.settle()
        try:
            yield
        finally:
            hub.close()
            await inbox.close()


def configure_logs(settings: Settings) -> None:
    """Send this process's logs where the settings say."""
    logs.configure("json" if settings.log_format == "json" else "console", settings.log_level)


async def _metrics(request: Request) -> Response:
    body, content_type = metrics.render(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})


def _waker(database: Database) -> Callable[[UUID, UUID], None]:
    def wake(organisation_id: UUID, connection_id: UUID) -> None:
        if database.hint_sink is not None:
            database.hint_sink(organisation_id, {f"inbox:{connection_id}"})

    return wake


def _webhook_aliases(inbox: Inbox) -> list[Route]:
    """Return the addresses that name the channel only (see api/contract.py)."""

    async def by_channel(request: Request) -> Response:
        return await inbox.alias_endpoint(request, request.path_params["channel"])

    async def shopify(request: Request) -> Response:
        return await inbox.alias_endpoint(request, "shopify")

    return [
        Route("/api/multi-channel/webhooks/{channel}", by_channel, methods=["POST"]),
        Route("/webhooks/shopify/{topic:path}", shopify, methods=["POST"]),
    ]


# ---- worker ----------------------------------------------------------------------------------------------


def run_worker(settings: Settings) -> None:
    """Run one worker until SIGINT or SIGTERM."""
    configure_logs(settings)
    with suppress(KeyboardInterrupt):
        # uvicorn gives the web process the same loop.
        uvloop.run(_work_until_signalled(settings))


async def _work_until_signalled(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await work(settings, stopping)


async def work(settings: Settings, stopping: asyncio.Event) -> None:
    """Run the lanes and queued jobs of one worker until `stopping` is set."""
    async with open_core(settings, connections=settings.worker_connections) as core:
        context = sync.SyncContext(
            core.database, core.transport, registry.connector_of, sync_settings(settings), subscribe=subscriber(core)
        )
        reactions = sync.reaction_table(
            registry.connector_of,
            watch=StockWatch(settings.inventory.low_stock_threshold, reorder_rule(settings)),
            learning=learning(settings),
        )
        runner = sync.lane_runner(context, reactions)
        queued = job_runner(core)
        registry.manifests()
        memory.settle()
        lanes = asyncio.create_task(runner.run(), name="lanes")
        jobs = asyncio.create_task(queued.run(), name="jobs")
        beside = [
            asyncio.create_task(_flush_health(core), name="health"),
            asyncio.create_task(upkeep.beat_forever(core.database), name="beat"),
        ]
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({lanes, waiting}, return_when=asyncio.FIRST_COMPLETED)
        runner.stop()
        queued.stop()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        waiting.cancel()
        await jobs
        await lanes


def job_runner(core: Core) -> JobRunner:
    """Return what runs the queued jobs and the schedule of this worker."""
    settings = core.settings
    actions = all_actions(registry.connector_of)
    carrier = agents.Carrier(actions)
    pages = ChannelListings(core.database, core.transport, registry.connector_of)
    return JobRunner(
        core.database,
        {
            PRODUCT_IMPORT: partial(import_products, pages=pages),
            ALERT: partial(send_alert, alert_channels=reachable(settings)),
            allocation.SIMULATION: allocation.simulator(orders.past_lines),
            allocation.FORECAST: partial(allocation.forecast, count_sales=orders.count_sales),
            STOCK_FILE: take_file_in,
            BULK_EDIT: apply_bulk_edit,
            BULK_UNDO: undo_bulk_edit,
            MATCHING: partial(match_listings, settle=orders.settle_exceptions),
            agents.CARRY_OUT: carrier.carry_out,
            agents.VERIFY: carrier.verify,
        },
        upkeep.schedules(core.database, core.vault, auto_reorder=settings.inventory.auto_reorder, actions=actions),
        JobSettings(parallel=settings.jobs.parallel, heartbeat_timeout_s=settings.jobs.heartbeat_timeout_s),
    )


def transport_settings(settings: Settings) -> TransportSettings:
    """Return the limits of calls to channels from the hub's settings."""
    first_s = settings.sync.retry_backoff_s
    return TransportSettings(
        read_timeout_s=settings.sync.call_timeout_s,
        tries=settings.sync.retry_attempts,
        backoff_first_s=first_s,
        backoff_max_s=max(first_s, TransportSettings().backoff_max_s),
    )


def connection_defaults(settings: Settings, channel: str) -> ConnectionDefaults:
    """Return what a new connection to the channel starts with."""
    platform = settings.platforms.get(channel, PlatformSettings())
    share = platform.inventory_allocation
    return ConnectionDefaults(
        sync_interval_s=max(1, round(platform.sync_frequency_s or settings.sync.poll_interval_s)),
        share=None if share is None else Decimal(str(share)).quantize(Decimal("0.0001")),
        fulfilment_only=platform.fulfillment_only or not _sells(channel),
        priority=0 if platform.primary else 50 if platform.priority is None else platform.priority,
    )


def _sells(channel: str) -> bool:
    """Return whether goods are offered on the channel; one that is not known here does."""
    return channel not in registry.MODULE_OF or registry.connector_of(channel).manifest.sells


def sync_settings(settings: Settings) -> sync.SyncSettings:
    """Return the reconcilers' limits from the hub's settings."""
    return sync.SyncSettings(
        push_batch_max=settings.sync.batch_size,
        raise_patience_s=settings.sync.raise_patience_s,
        write_settling_s=settings.sync.write_settling_s,
        drift_interval_s=settings.sync.drift_interval_s,
        swing=sync.SwingLimit(settings.sync.swing_units, settings.sync.swing_share),
        retry_attempts=settings.sync.retry_attempts,
        parallel_syncs=settings.sync.parallel_syncs,
        alert_threshold=settings.error_handling.alert_threshold,
        alert_channels=reachable(settings),
        auto_recovery=settings.error_handling.auto_recovery,
    )


def reachable(settings: Settings) -> tuple[str, ...]:
    """Return where alerts can go: the log, and addresses."""
    return tuple(each for each in settings.error_handling.alert_channels if each == LOG or "://" in each)


def learning(settings: Settings) -> allocation.Learning:
    """Return how fast allocation forgets, from the hub's settings."""
    return allocation.Learning(settings.allocation.rate_half_life_s, settings.allocation.lag_window_s)


def reorder_rule(settings: Settings) -> ReorderRule:
    """Return what decides what to buy, from the hub's settings."""
    inventory = settings.inventory
    if not inventory.reorder_by_demand:
        return PointRule()
    review_days = max(1, round(inventory.reorder_review_s / 86_400))
    return allocation.DemandRule(inventory.reorder_service_level, review_days)


def subscriber(core: Core) -> Callable[[Connection, Api], Awaitable[None]]:
    """Return what sets up and repairs a connection's webhooks."""

    async def subscribe(connection: Connection, api: Api) -> None:
        connector = registry.connector_of(connection.channel)
        if not isinstance(connector, HandlesWebhooks):
            return
        try:
            learned = await connector.subscribe_webhooks(api, webhook_url(core.settings.address, connection.id))
        except ConnectorError as error:
            # Polling does without them; the next run tries again.
            log.warning("webhooks_not_subscribed", connection=str(connection.id), detail=error.detail)
            return
        if learned:
            async with core.database.transaction(connection.organisation_id) as tx:
                await channels.add_credentials(tx, core.vault, connection.id, learned)

    return subscribe


async def _flush_health(core: Core) -> None:
    while True:
        await asyncio.sleep(HEALTH_EVERY_S)
        try:
            for organisation_id in await channels.organisations_with_connections(core.database):
                await core.health.flush(core.database, organisation_id)
        except Exception as error:  # History only: the work goes on without it.
            log.warning("health_not_written", error=str(error))
