"""What the pages are given by the composition (app.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import jinja2

from entrepot.channels.contract import CheckReport, Connector, Manifest
from entrepot.channels.contracts import NewConnection
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, Authenticator
from entrepot.web.live.hub import LiveHub
from entrepot.web.templating import environment


class ChannelWork(Protocol):
    """What pages ask of channels that needs the network; the composition supplies it."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of sync run that a person may start, with their titles."""

    async def check_new(self, actor: Actor, new: NewConnection) -> CheckReport:
        """Try settings and credentials before anything is saved. Raises InvalidFields."""

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


@dataclass(frozen=True, slots=True)
class PageServices:
    """Everything the pages need. `secure`: the hub is reached over HTTPS."""

    database: Database
    authenticator: Authenticator
    hub: LiveHub
    channels: ChannelWork
    find_connector: Callable[[str], Connector]
    manifests: Callable[[], tuple[Manifest, ...]]
    secure: bool = False
    templates: jinja2.Environment = field(default_factory=environment)
