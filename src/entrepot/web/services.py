"""What the pages are given by the composition (app.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import jinja2

from entrepot.agents.facade import TaskDesk
from entrepot.allocation.facade import Learning
from entrepot.channels.contract import CheckReport, Connector, Manifest
from entrepot.channels.contracts import ChannelWork, NewConnection
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, Authenticator
from entrepot.web.live.hub import LiveHub
from entrepot.web.templating import environment


class PageChannelWork(ChannelWork, Protocol):
    """What pages ask of channels besides."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of sync run that a person may start, with their titles."""

    async def check_new(self, actor: Actor, new: NewConnection) -> CheckReport:
        """Try settings and credentials before anything is saved. Raises InvalidFields."""


@dataclass(frozen=True, slots=True)
class PageServices:
    """Everything the pages need. `secure`: the hub is reached over HTTPS."""

    database: Database
    authenticator: Authenticator
    hub: LiveHub
    channels: PageChannelWork
    find_connector: Callable[[str], Connector]
    manifests: Callable[[], tuple[Manifest, ...]]
    secure: bool = False
    low_stock_threshold: int = 10
    """At how many units a variant counts as low."""
    reservation_timeout: timedelta = timedelta(minutes=15)
    """How long a hold lasts if nobody says."""
    learning: Learning = field(default_factory=Learning)
    """How fast allocation forgets."""
    tasks: TaskDesk = field(default_factory=TaskDesk)
    """Where tasks are proposed and decided; with the actions that the hub has."""
    templates: jinja2.Environment = field(default_factory=environment)
