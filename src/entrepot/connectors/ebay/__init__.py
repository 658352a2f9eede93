"""eBay (Sell APIs): orders by notification and polling, offers, prices, settlements, refunds. Quirks: README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    ChannelOrder,
    CheckReport,
    ConnectorError,
    Credentials,
    CredentialsRejected,
    EndBatch,
    Fulfilment,
    LimitReading,
    ListingBatch,
    ListingReceipt,
    ListingRef,
    ListingRules,
    Manifest,
    Page,
    PriceBatch,
    PriceReceipt,
    PushReceipt,
    QuantityBatch,
    RefundRequest,
    RefundResult,
    Reply,
    ReportedQuantity,
    RequestRejected,
    SettlementItem,
    Token,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.replies import date_of
from entrepot.connectors.ebay import (
    calls,
    fulfilment,
    prices,
    products,
    pulling,
    refunds,
    settlements,
    stock,
    taxonomy,
    webhooks,
)
from entrepot.connectors.ebay.errors import error_of
from entrepot.connectors.ebay.manifest import MANIFEST, MARKETPLACES
from entrepot.connectors.ebay.reading import body_of, objects, optional_text, text, whole

APPLICATION_TOKEN = "application_token"
USER_AGENT = "Entrepot/1.0"


class EbayConnector:
    """Speaks eBay's Sell APIs."""

    @property
    def manifest(self) -> Manifest:
        """What eBay is."""
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Add the seller's token, the application's where a call is not about a seller, or the application's name and secret."""
        if call.absolute_url is not None:
            return call
        if call.base == "auth":
            told = calls.basic(credentials)
        elif call.base == "application":
            told = f"Bearer {credentials.get(APPLICATION_TOKEN, '')}"
        else:
            told = f"Bearer {credentials.get('access_token', '')}"
        if call.operation in ("createDestination", "updateDestination"):
            call = webhooks.with_token(call, credentials.get("client_secret", ""))
        return replace(call, headers={**call.headers, "authorization": told, "user-agent": USER_AGENT})

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error in the answer, in plain words."""
        return error_of(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """eBay's answers say nothing of its quotas; `quota.send` asks when they seem to be used up."""
        return ()

    async def refresh_token(self, api: Api, credentials: Credentials) -> Token:
        """Get a token of the seller, and one of the application, which live two hours both.

        A consent code is exchanged for a refresh token, which is then kept.
        """
        if not credentials.get("refresh_token") and not credentials.get("authorization_code"):
            raise CredentialsRejected("Enter a refresh token, or the code that eBay gives when the seller agrees.")
        user_reply = await api.send(calls.user_token(credentials, api.settings.get("ru_name", "")))
        application_reply = await api.send(calls.application_token())
        user, application = body_of(user_reply), body_of(application_reply)
        now = date_of(user_reply)
        lives = [each for body in (user, application) if (each := whole(body, "expires_in")) is not None]
        if now is None or len(lives) < 2:
            raise UnexpectedAnswer("eBay does not say when the access token ends")
        changed = {APPLICATION_TOKEN: text(application, "access_token")}
        refresh = optional_text(user, "refresh_token")
        if refresh and refresh != credentials.get("refresh_token"):
            changed["refresh_token"] = refresh
        return Token(text(user, "access_token"), now + timedelta(seconds=min(lives)), changed)

    async def check(self, api: Api) -> CheckReport:
        """Look at the locations, the orders, the items and the policies: the token must be allowed all four."""
        place = api.settings.get("marketplace_id", "")
        if place not in MARKETPLACES:
            return CheckReport(False, f"There is no eBay marketplace {place or '(none)'}: choose one such as EBAY_US.")
        try:
            locations = objects(body_of(await api.send(calls.locations())), "locations")
            orders = whole(body_of(await api.send(calls.newest_order())), "total")
            items = whole(body_of(await api.send(calls.inventory_items(0, limit=1))), "total")
            policies = objects(body_of(await api.send(calls.policies("fulfillment", place))), "fulfillmentPolicies")
        except RequestRejected as error:
            return CheckReport(False, f"eBay refuses the test: {error.detail}")
        except ConnectorError as error:
            return CheckReport(False, error.detail)
        if orders is None or items is None:
            return CheckReport(False, "eBay's answers to the test are not what its documentation says.")
        wanted = api.settings.get("location_key", "")
        named = {optional_text(each, "merchantLocationKey"): each for each in locations}
        if wanted and wanted not in named:
            known = ", ".join(sorted(filter(None, named))) or "none"
            return CheckReport(False, f"eBay knows no inventory location {wanted} of this seller; there are: {known}.")
        details = [f"{items} inventory items", f"{orders} orders", f"Currency {MARKETPLACES[place].currency}"]
        if not locations:
            details.append("No inventory location yet: make one at eBay before you publish")
        if not policies:
            details.append("No shipping policy on this marketplace yet: make one at eBay before you publish")
        return CheckReport(True, f"Connected to {place}.", account=place, details=tuple(details))

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        """Return a page of orders."""
        return await pulling.pull(api, cursor)

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        """Return these orders."""
        return await pulling.fetch(api, external_ids)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        """Return a page of items that have an offer on the marketplace."""
        return await products.pull(api, cursor)

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Write up to 25 quantities in one call."""
        return await stock.push(api, batch)

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        """Return what the offers show."""
        return await stock.read(api, refs)

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        """Make or change items, groups and offers."""
        return await products.push(api, batch)

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        """Write up to 25 prices in one call."""
        return await prices.push(api, batch)

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        """Withdraw offers or delete items."""
        return await products.end(api, batch)

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        """Return items whole."""
        return await products.read(api, product_ids)

    async def read_listing_rules(self, api: Api, category: str) -> ListingRules:
        """Return what a category requires."""
        return await taxonomy.read(api, category)

    async def push_fulfilment(self, api: Api, fulfilment_: Fulfilment) -> str:
        """Tell of a parcel; return its id."""
        return await fulfilment.push(api, fulfilment_)

    async def refund(self, api: Api, refund: RefundRequest) -> RefundResult:
        """Give money back."""
        return await refunds.push(api, refund)

    async def pull_settlements(self, api: Api, cursor: str | None) -> Page[SettlementItem]:
        """Return a page of bookings or payouts."""
        return await settlements.pull(api, cursor)

    # ---- notifications -----------------------------------------------------------------------------------

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        """Return whether eBay signed the delivery; `secret` is the public key that the delivery names."""
        return webhooks.signed(body, headers, secret)

    def webhook_key_id(self, headers: Mapping[str, str]) -> str:
        """Return the id of the key that signed."""
        return webhooks.key_id_of(headers)

    async def fetch_webhook_key(self, api: Api, key_id: str) -> str:
        """Return a key of eBay's."""
        return await webhooks.fetch_key(api, key_id)

    def webhook_challenge(self, query: Mapping[str, str], url: str, secret: str) -> bytes | None:
        """Return the proof that the address is ours."""
        return webhooks.challenge(query, url, secret)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return (event id, topic)."""
        return webhooks.event_id_of(body)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        """Return the event."""
        return webhooks.event_of(body)

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        """Subscribe; there is nothing to keep."""
        await webhooks.subscribe(api, url)
        return {}

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        """Unsubscribe."""
        await webhooks.unsubscribe(api, url)


CONNECTOR = EbayConnector()
