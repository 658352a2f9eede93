"""What else a connector answers: a webhook that came in, a connection test, a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from entrepot.channels.contract.orders import ChannelOrder
from entrepot.channels.contract.quantities import ReportedQuantity


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook, mapped. `event_id` is the same for every delivery of one event.

    `order` where the body is the whole order; `order_ids` where it only names orders to fetch; `quantities` where it
    reports stock levels. `product_ids`: products that were changed or deleted on the channel; `listings_changed`: some
    were, and the channel does not say which.
    """

    event_id: str
    topic: str
    order: ChannelOrder | None = None
    order_ids: tuple[str, ...] = ()
    quantities: tuple[ReportedQuantity, ...] = ()
    product_ids: tuple[str, ...] = ()
    listings_changed: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a connection test in plain words."""

    ok: bool
    summary: str
    account: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and when it ends. `credentials`: fields that changed with it (a rotated refresh token)."""

    access_token: str
    expires_at: datetime
    credentials: Mapping[str, str] = field(default_factory=dict)
