"""What the lanes of a connection work with, and how they take a channel's errors."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog

from entrepot.channels import facade as channels
from entrepot.channels.contract import (
    Api,
    ConnectorError,
    CredentialsRejected,
    ListingRules,
    QuotaExhausted,
    TemporarilyUnavailable,
)
from entrepot.channels.contracts import Connection, ConnectionState, FindConnector
from entrepot.database.pool import Database, Tx
from entrepot.jobs.lanes import LaneKey, Rest
from entrepot.kernel.clock import Clock, utc_now
from entrepot.sync import progress
from entrepot.sync.alerts import Alert, tell
from entrepot.sync.rules import SwingLimit, rest_s

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """Opens a connection's API and knows how far its clock is from ours."""

    def api(self, connection: Connection) -> Api:
        """Return the API of a connection."""

    def clock_offset(self, connection_id: UUID) -> timedelta:
        """Return the channel's clock minus ours."""


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Named limits of the reconcilers; times in seconds."""

    push_batch_max: int = 100
    raise_patience_s: float = 600.0
    write_settling_s: float = 15.0
    """How long after its acknowledgement a write may take effect on a channel that overwrites."""
    patch_batch_max: int = 10
    """Changes sent together on a channel that has a slow way for many, while there are few: each waits for those before."""
    reading_holds_s: float = 2.0
    """How long a reading may be written upon on a channel that overwrites: a sale after it is written over."""
    lower_by_bulk_from: int = 300
    """From so many listings on that are to be lowered, all but the most urgent go the slow way: it is sooner over then."""
    pull_spacing_s: float = 1.0
    """Least time between two pulls of orders that were asked for."""
    check_batch_max: int = 50
    recheck_s: float = 1.0
    swing: SwingLimit = field(default_factory=SwingLimit)
    """From which change of a quantity on, that no sale explains, a person is asked."""
    drift_interval_s: float = 3600.0
    listings_spacing_s: float = 30.0
    """Least time between two readings of all listings that a channel's word asked for."""
    field_settling_s: float = 30.0
    """How long after its acknowledgement a written field may still be told as it was before."""
    gone_after_s: float = 600.0
    """How long a listing must be missing, in two complete readings, before it is taken for deleted: channels are slow to list."""
    retry_attempts: int = 3
    """Times an item that the channel turns down is tried before it is parked."""
    backoff_most_s: float = 5.0
    inbox_batch_max: int = 200
    webhook_attempts: int = 5
    parallel_syncs: int = 8
    """Connections whose orders or listings one worker reads at the same time."""
    alert_threshold: int = 5
    """Failures in a row of one kind of work with a connection, after which people are told."""
    alert_channels: tuple[str, ...] = ()
    """Where alerts go: `log`, or addresses that take a POST."""
    auto_recovery: bool = True
    """Whether work with a connection goes on by itself after so many failures."""


SIDE_BY_SIDE_MAX = 4
"""Most batches under way together to one channel that overwrites."""
GOOD_ROUNDS = 3
"""One more is tried after so many rounds in which all came in time."""


@dataclass(slots=True)
class Pace:
    """How many batches go side by side to a channel that overwrites; learned from whether they come in time."""

    side_by_side: int = 1
    good: int = 0

    def learn(self, *, late: bool, full: bool) -> None:
        """Take a round into account: whether any batch was too late, and whether as many went as could have."""
        if late:
            self.side_by_side, self.good = 1, 0
        elif full:
            self.good += 1
            if self.good >= GOOD_ROUNDS:
                self.side_by_side, self.good = min(SIDE_BY_SIDE_MAX, self.side_by_side + 1), 0


@dataclass(slots=True)
class SyncContext:
    """The means of the lanes: database, transport, connectors, settings, clock."""

    database: Database
    transport: Transport
    find_connector: FindConnector
    settings: SyncSettings = field(default_factory=SyncSettings)
    clock: Clock = utc_now
    subscribe: Callable[[Connection, Api], Awaitable[None]] | None = None
    """Sets up and repairs a connection's webhooks; None where no channel could reach this hub."""
    failing: dict[LaneKey, datetime] = field(default_factory=dict)
    """Since when the channel has failed every step of a lane."""
    in_a_row: dict[LaneKey, int] = field(default_factory=dict)
    """How often it did, as far as this worker knows."""
    paces: dict[LaneKey, Pace] = field(default_factory=dict)
    listing_rules: dict[tuple[UUID, str], tuple[datetime, ListingRules | None]] = field(default_factory=dict)
    """What channels said that their categories require, and when, by connection and category; None: no such category."""
    looked_at: dict[UUID, datetime] = field(default_factory=dict)
    """When conflicts that are not of fields were looked for last, by organisation."""

    async def connection(self, key: LaneKey) -> Connection | None:
        """Return the lane's connection if the hub works with it, else None."""
        async with self.database.transaction(key.organisation_id) as tx:
            try:
                connection = await channels.get(tx, key.subject)
            except channels.ConnectionNotFound:
                return None
        return connection if connection.state is ConnectionState.ACTIVE else None

    async def guarded(
        self, key: LaneKey, work: Callable[[Connection, Api, Any], Awaitable[float | None]]
    ) -> float | None:
        """Do a lane's work with its connection; turn a channel's error into a wait. Other errors go up."""
        connection = await self.connection(key)
        if connection is None:
            return None
        connector = self.find_connector(connection.channel)
        try:
            wanted = await work(connection, self.transport.api(connection), connector)
        except ConnectorError as error:
            return await self.after_error(key, error)
        if self.failing.pop(key, None):
            failures = self.in_a_row.pop(key, 0)
            async with self.database.transaction(key.organisation_id) as tx:
                await progress.note_error(tx, key.subject, "", self.clock())
                if failures >= self.settings.alert_threshold:
                    await self._alert(tx, key, connection.name, failures, "")
        return wanted

    async def _alert(self, tx: Tx, key: LaneKey, name: str, failures: int, problem: str) -> None:
        alert = Alert(str(key.subject), name, key.kind, failures, problem)
        await tell(tx, alert, self.settings.alert_channels)

    async def after_error(self, key: LaneKey, error: ConnectorError) -> float | None:
        """Note a channel's error; return seconds until the next try, or None if a person must act first."""
        log.warning(
            "channel_error", lane=key.kind, connection=str(key.subject), kind=type(error).__name__, detail=error.detail
        )
        failures = self.in_a_row[key] = self.in_a_row.get(key, 0) + 1
        stops = isinstance(error, CredentialsRejected)
        reason = error.detail
        if failures >= self.settings.alert_threshold and not self.settings.auto_recovery:
            stops, reason = True, f"It failed {failures} times in a row: {error.detail}"
        async with self.database.transaction(key.organisation_id) as tx:
            await progress.note_error(tx, key.subject, error.detail, self.clock())
            told = stops and await channels.mark_needs_attention(tx, key.subject, reason)
            if told or (failures == self.settings.alert_threshold and not stops):
                await self._alert(tx, key, (await channels.get(tx, key.subject)).name, failures, error.detail)
        if stops:
            self.in_a_row.pop(key)
            return None
        failing_s = (self.clock() - self.failing.setdefault(key, self.clock())).total_seconds()
        wait = rest_s(failing_s, random.random(), most_s=self.settings.backoff_most_s)  # noqa: S311
        if isinstance(error, QuotaExhausted) and error.back_at is not None:
            wait = max(wait, (error.back_at - self.clock()).total_seconds())
        elif isinstance(error, TemporarilyUnavailable) and error.retry_after_s is not None:
            wait = max(wait, error.retry_after_s)
        return Rest(wait)
