"""What a connector declares and may do: the one contract between the hub and a channel.

A connector is a stateless object with a `manifest` and the methods of the capabilities it declares.
It owns no clock, no retries, no rate limits, no database: the hub hands it an `Api`, which signs, waits,
sends and raises the errors below. Mapping functions in a connector are pure. Amounts are Decimal made
from text. Times are aware UTC by the channel's own clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")
Payload = Mapping[str, Any]
"""JSON as the channel sent it."""


# ---- what a connector declares -------------------------------------------------------------------------


class Capability(StrEnum):
    """What a connector can do. Each stands for one protocol below; declared must equal implemented."""

    PULL_ORDERS = "pull_orders"
    PULL_LISTINGS = "pull_listings"
    PUSH_QUANTITIES = "push_quantities"
    READ_QUANTITIES = "read_quantities"
    FOLLOW_PUSHES = "follow_pushes"
    PUSH_FULFILMENT = "push_fulfilment"
    WEBHOOKS = "webhooks"
    REFRESH_TOKEN = "refresh_token"


class QuantitySemantics(StrEnum):
    """How the channel takes a quantity."""

    COMPARE_AND_SET = "compare_and_set"
    """Applied only if the channel still shows `from_quantity`."""
    DELTA = "delta"
    """Applied as `to_quantity - from_quantity` on whatever the channel shows."""
    ABSOLUTE = "absolute"
    """Overwrites what the channel shows, unseen sales included."""


class LimitKind(StrEnum):
    """The shape of a channel's rate limit."""

    TOKEN_BUCKET = "token_bucket"
    COST_BUCKET = "cost_bucket"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A bucket shared by every call that names one of `operations` (`*`: every call of the connection).

    `capacity` is the burst (calls or points); `refill_per_s` how many come back each second. For WINDOW
    the capacity is restored whole every `window_s`.
    """

    name: str
    kind: LimitKind
    capacity: float
    refill_per_s: float
    operations: tuple[str, ...] = ("*",)
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class LimitReading:
    """What an answer said about a limit: any field that it did not say is None."""

    name: str
    available: float | None = None
    capacity: float | None = None
    refill_per_s: float | None = None


class AuthKind(StrEnum):
    """How a connection proves itself."""

    STATIC_TOKEN = "static_token"
    OAUTH2_REFRESH = "oauth2_refresh"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Field:
    """One setting or credential that a person enters. `secret` ones go to the vault only."""

    name: str
    title: str
    help: str = ""
    secret: bool = False
    required: bool = True
    default: str = ""
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a channel answers: name -> base URL, such as {"api": "https://...", "auth": "https://..."}.

    A `{setting}` in a URL is filled from the connection's settings.
    """

    name: str
    base_urls: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the hub must know of a channel before it speaks to it."""

    key: str
    title: str
    api_version: str
    capabilities: frozenset[Capability]
    auth: AuthKind
    fields: tuple[Field, ...]
    environments: tuple[Environment, ...]
    rate_limits: tuple[RateLimit, ...]
    quantity_semantics: QuantitySemantics | None = None
    push_batch_max: int = 1
    """Most changes in one `push_quantities` call."""
    webhook_topics: tuple[str, ...] = ()
    webhook_secret_field: str = ""
    """The credential that signs deliveries (entered, or learned by `subscribe_webhooks`)."""
    webhook_account: tuple[str, str] | None = None
    """(header, setting): a delivery that names no connection belongs to the one whose setting the header carries."""
    cancel_restocks: bool = False
    """Whether the channel itself puts cancelled units back into its listing (as it usually does)."""


# ---- the wire ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `operation` names it for limits, metrics and logs; `cost` in the limit's units.

    `base` picks one of the environment's base URLs. `idempotent` says that sending it twice is harmless
    (a read, or a write that carries an idempotency key): only then does the transport retry a lost answer.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    base: str = "api"
    cost: float = 1.0
    idempotent: bool = False
    absolute_url: str | None = None
    """A full URL given by the channel (a feed document): sent without credentials."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Credentials = Mapping[str, str]
"""Decrypted secrets of a connection by field name, and `access_token` where one was fetched."""


class Api(Protocol):
    """A connection as a connector sees it. Supplied by the hub: signing, limits, timeouts, retries, traces."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The connection's non-secret settings by field name (defaults filled in)."""

    async def send(self, call: Call) -> Reply:
        """Send the call and return a 2xx answer (or one that `classify` let pass).

        Raises a ConnectorError otherwise; `OutcomeUnknown` if the answer to a call that is not idempotent was lost.
        """


# ---- errors: the hub catches these, nothing else --------------------------------------------------------


class ConnectorError(Exception):
    """The channel did not do what was asked."""

    def __init__(self, detail: str = "", *, code: str = "") -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.code = code
        super().__init__(self.detail)


class TemporarilyUnavailable(ConnectorError):
    """The channel does not answer properly at the moment."""

    def __init__(self, detail: str = "", *, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(TemporarilyUnavailable):
    """The answer was lost: the channel may or may not have done it."""


class RateLimited(TemporarilyUnavailable):
    """The channel asks us to slow down."""


class QuotaExhausted(ConnectorError):
    """The channel's quota is used up until it is back."""

    def __init__(self, detail: str = "", *, code: str = "", back_at: datetime | None = None) -> None:
        super().__init__(detail, code=code)
        self.back_at = back_at


class CredentialsRejected(ConnectorError):
    """The channel refuses our credentials: connect it again."""


class RequestRejected(ConnectorError):
    """The channel refuses this request; sending it again cannot help."""


class UnexpectedAnswer(ConnectorError):
    """The channel's answer is not what its documentation says."""


# ---- values that cross the wall --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of an incremental pull.

    `cursor` is where to go on next time, at once if `more`, else at the next pull; it never goes back, and the
    next pull overlaps this one rather than leave a gap. `complete_until`: by the channel's clock, everything
    that was made up to then has been seen, whatever happened to it since: every order placed (set on the last page;
    None where this pull cannot say). On it rests what raises a quantity where a channel overwrites.
    """

    items: tuple[T, ...]
    cursor: str | None
    more: bool
    complete_until: datetime | None = None


class ChannelOrderStatus(StrEnum):
    """An order's state as far as stock and shipping care, mapped from the channel's own."""

    PENDING = "pending"
    """Placed, not to be shipped yet (payment outstanding); its units are claimed."""
    OPEN = "open"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ChannelOrderLine:
    """A line as the channel has it now. `quantity` ordered, of which `cancelled` will never ship and `shipped` have."""

    external_id: str
    sku: str | None
    external_variant_id: str | None
    title: str
    quantity: int
    cancelled: int
    shipped: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; empty text where the channel did not say."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2."""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """An order as the channel has it now, whole: a later version replaces an earlier one.

    `version` orders versions of one order by the channel's own clock or counter: the greater is newer.
    """

    external_id: str
    number: str
    version: int
    status: ChannelOrderStatus
    placed_at: datetime
    updated_at: datetime
    currency: str
    lines: tuple[ChannelOrderLine, ...]
    total: Decimal
    tax: Decimal
    shipping: Decimal
    discount: Decimal
    buyer_name: str = ""
    buyer_email: str = ""
    ship_to: Address | None = None
    channel_status: str = ""
    """The channel's own word(s), for people."""
    fulfilled_by_channel: bool = False
    """True where the channel ships it from its own stock (FBA): our stock is not touched."""
    source_id: str = ""
    """An id that this order shares with the same order on another channel, if the channel says so."""


@dataclass(frozen=True, slots=True)
class ListingRef:
    """What a channel needs to address a listing: its id there and further ids (inventory item, location, ...)."""

    external_id: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelListing:
    """A sellable thing as the channel has it now. `quantity` None: not tracked or not told."""

    ref: ListingRef
    sku: str | None
    title: str
    product_external_id: str
    product_title: str
    barcode: str = ""
    price: Decimal | None = None
    currency: str = ""
    quantity: int | None = None
    active: bool = True
    options: tuple[tuple[str, str], ...] = ()
    vendor: str = ""
    product_type: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """Make listing `ref` show `to_quantity`. `from_quantity`: what we believe it shows now (never None for
    COMPARE_AND_SET and DELTA)."""

    ref: ListingRef
    sku: str
    to_quantity: int
    from_quantity: int | None


@dataclass(frozen=True, slots=True)
class QuantityBatch:
    """Changes sent together. Sent again after a lost answer, it is the same batch with the same key and time.

    `at`: when the hub made the batch (aware UTC); channels that keep a ledger want to know.
    """

    idempotency_key: str
    changes: tuple[QuantityChange, ...]
    at: datetime


class PushOutcome(StrEnum):
    """What became of one change."""

    APPLIED = "applied"
    STALE = "stale"
    """The channel did not show `from_quantity`: nothing was written."""
    PENDING = "pending"
    """Accepted; `follow` the handle for the end."""
    REFUSED = "refused"
    """This change can never work as it is: a person must look."""
    FAILED = "failed"
    """Not done this time, certainly not written; try again."""
    UNKNOWN = "unknown"
    """May or may not have been written."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """The outcome for one change, by its listing's external id. `reported`: what the channel says it shows."""

    external_id: str
    outcome: PushOutcome
    reported: int | None = None
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PushReceipt:
    """One result per change of the batch; `handle` where outcomes are PENDING."""

    results: tuple[PushResult, ...]
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedQuantity:
    """What the channel shows for a listing now; None: it does not know the listing.

    A webhook may name a listing by further ids only: then `external_id` is empty, and the listing is the one whose
    `ref.keys` contain all of `keys` (none of ours, perhaps).
    """

    external_id: str
    quantity: int | None
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FulfilmentLine:
    """So many units of an order line in a parcel."""

    external_line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """A parcel that left, to be told to the order's channel."""

    external_order_id: str
    idempotency_key: str
    carrier: str
    tracking_number: str
    tracking_url: str
    shipped_at: datetime
    lines: tuple[FulfilmentLine, ...]


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook, mapped. `event_id` is the same for every delivery of one event.

    `order` where the body is the whole order; `order_ids` where it only names orders to fetch; `quantities` where it
    reports stock levels.
    """

    event_id: str
    topic: str
    order: ChannelOrder | None = None
    order_ids: tuple[str, ...] = ()
    quantities: tuple[ReportedQuantity, ...] = ()


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


# ---- the methods -----------------------------------------------------------------------------------------


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
