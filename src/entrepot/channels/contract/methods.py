"""The methods of a connector, one protocol for each capability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.answers import CheckReport, Token, WebhookEvent
from entrepot.channels.contract.errors import ConnectorError
from entrepot.channels.contract.listings import ChannelListing, ListingRef
from entrepot.channels.contract.manifest import Capability, Manifest
from entrepot.channels.contract.orders import ChannelOrder, Fulfilment
from entrepot.channels.contract.paging import Page
from entrepot.channels.contract.quantities import PushReceipt, PushResult, QuantityBatch, ReportedQuantity
from entrepot.channels.contract.wire import Api, Call, Credentials, LimitReading, Reply


@runtime_checkable
class Connector(Protocol):
    """What every connector has."""

    @property
    def manifest(self) -> Manifest: ...

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Return the call with its credentials (header, signature). Pure."""

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error that this answer means, or None if it is a success. Pure.

        Start from `channels.replies.error_of_status`; add what the channel hides in a 200.
        """

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """Return what the answer tells of the rate limits. Pure."""

    async def check(self, api: Api) -> CheckReport:
        """Try the connection: reachable, credentials, permissions, the right account. Never raises ConnectorError."""


@runtime_checkable
class PullsOrders(Protocol):
    """Reads orders as they change."""

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        """Return orders changed since the cursor (None: from `settings["orders_since"]`, ISO time, or all)."""

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        """Return these orders as they are now; an unknown id is left out."""


@runtime_checkable
class PullsListings(Protocol):
    """Reads what is listed."""

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        """Return the listings page by page; None starts over."""


@runtime_checkable
class PushesQuantities(Protocol):
    """Writes quantities."""

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Write the batch; one result per change. Raises only where nothing at all was written, or OutcomeUnknown."""


@runtime_checkable
class FollowsPushes(Protocol):
    """Follows quantity batches that the channel finishes later."""

    async def follow_push(self, api: Api, handle: str) -> tuple[PushResult, ...] | None:
        """Return the end of a PENDING batch (results only for what was pending), or None if it is still going on."""


@runtime_checkable
class ReadsQuantities(Protocol):
    """Reads what listings show."""

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        """Return what these listings show now, read at the source (not from a cache or an index)."""


@runtime_checkable
class PushesFulfilment(Protocol):
    """Tells of parcels."""

    async def push_fulfilment(self, api: Api, fulfilment: Fulfilment) -> str:
        """Tell the channel of a parcel and return its id there. Sending the same one again is harmless."""


@runtime_checkable
class HandlesWebhooks(Protocol):
    """Takes deliveries from the channel."""

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        """Return whether the channel signed this delivery for us. False for an empty secret. Pure, constant time.

        `headers` have lower-case names; `url` is the address that the channel was told to call.
        """

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return (event id, topic) cheaply, without mapping. Pure; raises UnexpectedAnswer."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        """Map a verified delivery. Pure; raises UnexpectedAnswer."""

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        """Make the channel deliver every topic of the manifest to `url`; repair what is there, make no doubles.

        Returns credentials to keep (such as a signing key), or nothing.
        """

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        """Remove our subscriptions for `url`."""


@runtime_checkable
class RefreshesToken(Protocol):
    """Fetches access tokens that end."""

    async def refresh_token(self, api: Api, credentials: Credentials) -> Token:
        """Fetch a new access token. The hub holds a lock and stores the result before anything else."""


PROTOCOL_OF: Mapping[Capability, type] = {
    Capability.PULL_ORDERS: PullsOrders,
    Capability.PULL_LISTINGS: PullsListings,
    Capability.PUSH_QUANTITIES: PushesQuantities,
    Capability.READ_QUANTITIES: ReadsQuantities,
    Capability.FOLLOW_PUSHES: FollowsPushes,
    Capability.PUSH_FULFILMENT: PushesFulfilment,
    Capability.WEBHOOKS: HandlesWebhooks,
    Capability.REFRESH_TOKEN: RefreshesToken,
}
