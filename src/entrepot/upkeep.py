"""What a worker does beside its lanes: says that it is alive, and deletes what has been kept long enough."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from uuid import UUID

import structlog

from entrepot.agents import templates as task_templates
from entrepot.agents.facade import Registry
from entrepot.allocation import facade as allocation
from entrepot.catalog import facade as catalog
from entrepot.channels import facade as channels
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.sync import importing

log = structlog.get_logger(__name__)

BEAT_EVERY_S = 10.0
TIDY_AT = "7 * * * *"
MEND_AT = "*/5 * * * *"
FOLLOW_AT = "* * * * *"
REORDER_AT = "* * * * *"
TEMPLATES_AT = "* * * * *"
RESEAL_AT = "17 * * * *"
FORECAST_AT = "20 0 * * *"
RATES_AT = "*/5 * * * *"
KEEP_DELIVERIES = timedelta(days=7)
"""How long processed webhook deliveries stay, to look into or to replay."""


async def beat_forever(database: Database, *, clock: Clock = utc_now) -> None:
    """Say every few seconds that this worker is alive; /api/health and `doctor` tell from it."""
    worker_id = new_id()
    while True:
        try:
            await beat(database, worker_id, clock=clock)
        except Exception as error:  # A missed beat is made up by the next.
            log.warning("beat_missed", error=str(error))
        await asyncio.sleep(BEAT_EVERY_S)


async def beat(database: Database, worker_id: UUID, *, clock: Clock = utc_now) -> None:
    """Say once that this worker is alive."""
    async with database.transaction(None) as tx:
        await jobs.beat(tx, worker_id, socket.gethostname(), os.getpid(), clock())


def schedules(
    database: Database, vault: channels.Vault, *, auto_reorder: bool = False, actions: Registry | None = None
) -> tuple[jobs.Schedule, ...]:
    """Return what is done by the clock, by one worker each time. Nothing depends on a single run: the next does it."""
    known = actions or Registry()
    always = (
        jobs.Schedule("tidy", TIDY_AT, lambda: tidy(database)),
        jobs.Schedule("mend-jobs", MEND_AT, lambda: mend(database)),
        jobs.Schedule("allocation-rules", FOLLOW_AT, lambda: follow_rules(database)),
        jobs.Schedule("reseal", RESEAL_AT, lambda: reseal(database, vault)),
        jobs.Schedule("forecast", FORECAST_AT, lambda: order_forecasts(database)),
        jobs.Schedule("exchange-rates", RATES_AT, lambda: follow_rates(database)),
        jobs.Schedule("task-templates", TEMPLATES_AT, lambda: task_templates.make_all_due(database, known)),
    )
    return (*always, jobs.Schedule("reorder", REORDER_AT, lambda: reorder(database))) if auto_reorder else always


async def reorder(database: Database) -> int:
    """Draft purchase orders for what is suggested and has a supplier; return how many drafts that changed.

    Harmless when two workers do it at once: a suggestion goes into one purchase order.
    """
    drafts = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            drafts += len(await stock.buy_automatically(tx))
    if drafts:
        log.info("purchase_orders_drafted", drafts=drafts)
    return drafts


async def follow_rules(database: Database, *, clock: Clock = utc_now) -> int:
    """Divide stock anew where a rule of an allocation policy began or ended to hold by the clock; return of how many SKUs.

    Harmless when two workers do it at once, and nothing is missed by a pause: each policy keeps up to when it was followed.
    """
    variants = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            variants += await allocation.follow_clock(tx, clock())
    return variants


async def follow_rates(database: Database) -> int:
    """Work out prices anew where the day of an exchange rate has come that was entered before; return how many rates those are.

    Harmless when two workers do it at once, and nothing is missed by a pause: each rate keeps whether it was followed.
    """
    begun = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            begun += await catalog.follow_rates(tx)
    return begun


async def reseal(database: Database, vault: channels.Vault) -> int:
    """Encrypt credentials that an older secret key encrypts with the active one; return how many that were.

    Harmless when two workers do it at once: each credential is locked.
    """
    done = 0
    for organisation in await identity.list_organisations(database):
        try:
            done += await channels.rotate_vault_key(database, vault, organisation.id)
        except EntrepotError as error:  # A key is missing: the others' credentials are done all the same.
            log.warning("credentials_not_resealed", organisation=str(organisation.id), error=error.detail)
    if done:
        log.info("credentials_resealed", key=vault.active, credentials=done)
    return done


async def order_forecasts(database: Database) -> int:
    """Have demand forecast anew for every organisation; return how many jobs that started.

    Harmless when two workers do it at once: one is not started while another waits or runs, and two write the same.
    """
    started = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            started += await allocation.order_forecast(tx) is not None
    return started


async def mend(database: Database) -> int:
    """Deliver background jobs again that no delivery reaches any more; return how many."""
    found = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            found += await jobs.mend(tx)
    if found:
        log.warning("jobs_mended", jobs=found)
    return found


async def tidy(database: Database, *, clock: Clock = utc_now) -> int:
    """Delete ended sessions, spent links, kept answers, processed deliveries, ended jobs and imports that are old.

    Returns how many rows.

    Harmless when two workers do it at once.
    """
    now = clock()
    deleted = await identity.forget_expired(database, clock=clock)
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            deleted += await identity.forget_answers(tx, now)
            deleted += await jobs.forget_ended(tx, now)
            deleted += await allocation.forget(tx, now)
            deleted += await importing.forget(tx, now)
        deleted += await channels.purge_done(database, organisation.id, now, KEEP_DELIVERIES)
    async with database.transaction(None) as tx:
        deleted += await jobs.forget_deliveries(tx, now)
    log.info("tidied", rows=deleted)
    return deleted
