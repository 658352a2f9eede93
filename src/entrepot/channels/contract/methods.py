"""The methods of a connector, one protocol for each capability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.answers import CheckReport, Token, WebhookEvent
from entrepot.channels.contract.drafts import EndBatch, ListingBatch, PriceBatch
from entrepot.channels.contract.errors import ConnectorError
from entrepot.channels.contract.listing_results import ListingReceipt, ListingResult, PriceReceipt, PriceResult
from entrepot.channels.contract.listing_rules import ListingRules
from entrepot.channels.contract.listings import ChannelListing, ListingRef
from entrepot.channels.contract.making_methods import EstimatesMaking, MakesOrders, ReadsAvailability
from entrepot.channels.contract.manifest import Capability, Manifest
from entrepot.channels.contract.orders import ChannelOrder, Fulfilment
from entrepot.channels.contract.paging import Page
from entrepot.channels.contract.payment_methods import (
    DatesWebhooks,
    HandlesPayments,
    PullsDisputes,
)
from entrepot.channels.contract.quantities import PushReceipt, PushResult, QuantityBatch, ReportedQuantity
from entrepot.channels.contract.refunds import Refunds
from entrepot.channels.contract.settlements import PullsSettlements
from entrepot.channels.contract.webhook_keys import KeysWebhooks
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


@runtime_checkable
class PushesListings(Protocol):
    """Writes whole products."""

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        """Make or change the products; one result per draft, and one that is refused spares the others.

        The same draft sent twice makes no second product, even where the first answer was lost: the next call finds what
        is there. Quantities are left alone. Raises only where nothing at all was written, or OutcomeUnknown.
        """


@runtime_checkable
class PushesPrices(Protocol):
    """Writes prices alone."""

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        """Write the prices to the cent; one result per change. Raises as `push_listings` does."""


@runtime_checkable
class EndsListings(Protocol):
    """Unpublishes, archives, deletes."""

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        """End the listings; one result per end. What has ended already is APPLIED. Raises as `push_listings` does."""


@runtime_checkable
class FollowsListings(Protocol):
    """Follows drafts and ends that the channel finishes later."""

    async def follow_listings(self, api: Api, handle: str) -> tuple[ListingResult, ...] | None:
        """Return the end of PENDING drafts or ends (results only for what was pending), or None: still going on."""


@runtime_checkable
class FollowsPrices(Protocol):
    """Follows prices that the channel finishes later."""

    async def follow_prices(self, api: Api, handle: str) -> tuple[PriceResult, ...] | None:
        """Return the end of PENDING prices, or None if it is still going on."""


@runtime_checkable
class PreviewsListings(Protocol):
    """Asks what the channel would say, without writing."""

    async def preview_listings(self, api: Api, batch: ListingBatch) -> tuple[ListingResult, ...]:
        """Return what `push_listings` would answer (APPLIED or REFUSED, with reasons). Nothing is written."""


@runtime_checkable
class ReadsListings(Protocol):
    """Reads single products whole."""

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        """Return every listing of these products as they are now, with all that the channel keeps; those gone are left out."""


@runtime_checkable
class ReadsListingRules(Protocol):
    """Reads what a category requires, where no manifest could hold it all."""

    async def read_listing_rules(self, api: Api, category: str) -> ListingRules:
        """Return the rules of a category. The caller keeps them: they change seldom. Raises RequestRejected: no such."""


PROTOCOL_OF: Mapping[Capability, type] = {
    Capability.PULL_ORDERS: PullsOrders,
    Capability.PULL_LISTINGS: PullsListings,
    Capability.PUSH_QUANTITIES: PushesQuantities,
    Capability.READ_QUANTITIES: ReadsQuantities,
    Capability.FOLLOW_PUSHES: FollowsPushes,
    Capability.PUSH_FULFILMENT: PushesFulfilment,
    Capability.WEBHOOKS: HandlesWebhooks,
    Capability.REFRESH_TOKEN: RefreshesToken,
    Capability.PUSH_LISTINGS: PushesListings,
    Capability.PUSH_PRICES: PushesPrices,
    Capability.END_LISTINGS: EndsListings,
    Capability.FOLLOW_LISTINGS: FollowsListings,
    Capability.FOLLOW_PRICES: FollowsPrices,
    Capability.PREVIEW_LISTINGS: PreviewsListings,
    Capability.READ_LISTINGS: ReadsListings,
    Capability.READ_LISTING_RULES: ReadsListingRules,
    Capability.PULL_SETTLEMENTS: PullsSettlements,
    Capability.REFUND: Refunds,
    Capability.PAYMENTS: HandlesPayments,
    Capability.DISPUTES: PullsDisputes,
    Capability.DATED_WEBHOOKS: DatesWebhooks,
    Capability.MAKE_ORDERS: MakesOrders,
    Capability.ESTIMATE_MAKING: EstimatesMaking,
    Capability.READ_AVAILABILITY: ReadsAvailability,
    Capability.WEBHOOK_KEYS: KeysWebhooks,
}
