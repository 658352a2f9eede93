"""Printful: print on demand. Orders made from drafts, estimates, parcels, what can be made, webhooks. Quirks: README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    CheckReport,
    ConnectorError,
    Credentials,
    EstimateReceipt,
    LimitReading,
    ListingRef,
    MadeOrder,
    MadeShipment,
    MakingConfirmation,
    MakingCosts,
    MakingDraft,
    MakingEvent,
    MakingResult,
    Manifest,
    Page,
    Reply,
    VariantAvailability,
)
from entrepot.connectors.printful import availability, catalog, checking, estimates, limits, making, webhooks
from entrepot.connectors.printful.errors import error_of
from entrepot.connectors.printful.manifest import MANIFEST


class PrintfulConnector:
    """Speaks Printful's API."""

    @property
    def manifest(self) -> Manifest:
        """What Printful is."""
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Add the bearer token; never to another host."""
        if call.absolute_url is not None:
            return call
        return replace(call, headers={**call.headers, "authorization": f"Bearer {credentials.get('access_token', '')}"})

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error in the answer, in plain words."""
        return error_of(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """Return what the headers tell of the bucket."""
        return limits.readings(reply)

    async def check(self, api: Api) -> CheckReport:
        """Look at the token's scopes, the store and its orders."""
        return await checking.check(api)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        """Return a page of what can be made."""
        return await catalog.pull(api, cursor)

    async def make_draft(self, api: Api, draft: MakingDraft) -> MakingResult:
        """Have the draft stand at Printful, once."""
        return await making.draft(api, draft)

    async def confirm_making(self, api: Api, confirmation: MakingConfirmation) -> MakingResult:
        """Have a draft made, once."""
        return await making.confirm(api, confirmation)

    async def cancel_making(self, api: Api, external_id: str) -> MakingResult:
        """Cancel an order while Printful lets us."""
        return await making.cancel(api, external_id)

    async def read_making(self, api: Api, external_ids: Sequence[str]) -> tuple[MadeOrder, ...]:
        """Return these orders."""
        return await making.read(api, external_ids)

    async def read_shipments(self, api: Api, external_id: str) -> tuple[MadeShipment, ...]:
        """Return the parcels of an order."""
        return await making.read_shipments(api, external_id)

    async def start_estimate(self, api: Api, draft: MakingDraft) -> EstimateReceipt:
        """Begin to work out what the draft would cost."""
        return await estimates.start(api, draft)

    async def follow_estimate(self, api: Api, handle: str) -> MakingCosts | None:
        """Return the costs, or None while the task goes on."""
        return await estimates.follow(api, handle)

    async def read_availability(self, api: Api, refs: Sequence[ListingRef]) -> tuple[VariantAvailability, ...]:
        """Return whether these can be made."""
        return await availability.read(api, refs)

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        """Return whether Printful signed the delivery with our secret."""
        return webhooks.signed(body, headers, secret)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return (event id, topic)."""
        return webhooks.event_id_of(body)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> MakingEvent:
        """Return the event."""
        return webhooks.event_of(body)

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        """Subscribe; return the secret where it is a new one."""
        return await webhooks.subscribe(api, url)

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        """Unsubscribe."""
        await webhooks.unsubscribe(api, url)


CONNECTOR = PrintfulConnector()
