"""Values of the channels room that cross its wall."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from entrepot.channels.contract import CheckReport, Connector
from entrepot.identity.contracts import Actor

FindConnector = Callable[[str], Connector]
"""Channel key -> its connector; raises NotFound."""


class ConnectionState(StrEnum):
    """Whether the hub works with a connection."""

    ACTIVE = "active"
    PAUSED = "paused"
    """A person stopped it: webhooks are still stored, nothing is pulled or pushed."""
    NEEDS_ATTENTION = "needs_attention"
    """The channel refuses us (credentials, permissions): nothing works until a person acts."""
    DISCONNECTED = "disconnected"
    """Ended by a person: credentials deleted, history kept."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One account of one organisation on a channel. No secrets.

    `priority`: the lower is served first. `buffer`: units kept back from it. `share`: its part of the pool, 0 to 1.
    """

    id: UUID
    organisation_id: UUID
    channel: str
    name: str
    environment: str
    settings: Mapping[str, str]
    state: ConnectionState
    state_reason: str
    priority: int
    buffer: int
    share: Decimal | None
    fulfilment_only: bool
    sync_interval_s: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What a person enters to connect a channel: `values` by field name of the manifest, secret ones among them."""

    channel: str
    name: str
    environment: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionDefaults:
    """What a new connection starts with; a person may change it later. `share` None: the strategy's own share."""

    sync_interval_s: int = 300
    share: Decimal | None = None
    fulfilment_only: bool = False
    priority: int = 50


@dataclass(frozen=True, slots=True)
class ConnectionChanges:
    """What to change of a connection; None leaves it. `clear_share` takes the share away."""

    name: str | None = None
    priority: int | None = None
    buffer: int | None = None
    share: Decimal | None = None
    clear_share: bool = False
    fulfilment_only: bool | None = None
    sync_interval_s: int | None = None
    paused: bool | None = None
    settings: Mapping[str, str] | None = None
    """New values of non-secret fields of the manifest; the others stay."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an incremental pull got. `complete_until`: everything changed up to then has been seen."""

    kind: str
    value: str | None
    complete_until: datetime | None
    pulled_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A stored, verified webhook delivery. `attempts`: how often processing it has failed."""

    id: UUID
    connection_id: UUID
    event_id: str
    topic: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many deliveries of a connection wait and how many were put aside with a reason."""

    connection_id: UUID
    pending: int
    parked: int
    oldest_pending_at: datetime | None


class HealthStatus(StrEnum):
    """How a connection does."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """How a connection did at a time; None where nothing is known. `error_rate` 0 to 1 of the calls looked at."""

    connection_id: UUID
    at: datetime
    status: HealthStatus
    reason: str
    latency_ms: int | None
    error_rate: Decimal | None
    sync_age_s: int | None
    token_expires_at: datetime | None


class ChannelWork(Protocol):
    """What is asked of channels that needs the network; the composition supplies it to HTTP interface and pages."""

    async def connect(self, actor: Actor, new: NewConnection) -> UUID:
        """Save the connection, subscribe its webhooks, start its first pulls; return its id. Raises InvalidFields."""

    async def check(self, actor: Actor, connection_id: UUID) -> CheckReport:
        """Try a stored connection."""

    async def replace_credentials(self, actor: Actor, connection_id: UUID, values: dict[str, str]) -> None:
        """Give a connection new secrets and make it active. Raises InvalidFields."""

    async def disconnect(self, actor: Actor, connection_id: UUID) -> None:
        """End a connection: webhooks unsubscribed if the channel answers, credentials deleted."""

    async def start_sync(self, actor: Actor, connection_id: UUID, kind: str) -> Any:
        """Start a sync run of one kind."""

    async def cancel_run(self, actor: Actor, run_id: UUID) -> None:
        """Ask a run to stop."""
