"""What a connector declares and may do: the one contract between the hub and a channel.

A connector is a stateless object with a `manifest` and the methods of the capabilities it declares.
It owns no clock, no retries, no rate limits, no database: the hub hands it an `Api`, which signs, waits,
sends and raises the errors of this contract. Mapping functions in a connector are pure. Amounts are Decimal made
from text. Times are aware UTC by the channel's own clock.
"""

from entrepot.channels.contract.answers import CheckReport, Token, WebhookEvent
from entrepot.channels.contract.errors import (
    ConnectorError,
    CredentialsRejected,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.channels.contract.listings import ChannelListing, ListingRef
from entrepot.channels.contract.manifest import (
    AuthKind,
    Capability,
    Environment,
    Field,
    LimitKind,
    Manifest,
    QuantitySemantics,
    RateLimit,
)
from entrepot.channels.contract.methods import (
    PROTOCOL_OF,
    Connector,
    FollowsPushes,
    HandlesWebhooks,
    PullsListings,
    PullsOrders,
    PushesFulfilment,
    PushesQuantities,
    ReadsQuantities,
    RefreshesToken,
)
from entrepot.channels.contract.orders import (
    Address,
    ChannelOrder,
    ChannelOrderLine,
    ChannelOrderStatus,
    Fulfilment,
    FulfilmentLine,
)
from entrepot.channels.contract.paging import Page
from entrepot.channels.contract.quantities import (
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    ReportedQuantity,
)
from entrepot.channels.contract.wire import Api, Call, Credentials, LimitReading, Payload, Reply

__all__ = [
    "PROTOCOL_OF",
    "Address",
    "Api",
    "AuthKind",
    "Call",
    "Capability",
    "ChannelListing",
    "ChannelOrder",
    "ChannelOrderLine",
    "ChannelOrderStatus",
    "CheckReport",
    "Connector",
    "ConnectorError",
    "Credentials",
    "CredentialsRejected",
    "Environment",
    "Field",
    "FollowsPushes",
    "Fulfilment",
    "FulfilmentLine",
    "HandlesWebhooks",
    "LimitKind",
    "LimitReading",
    "ListingRef",
    "Manifest",
    "OutcomeUnknown",
    "Page",
    "Payload",
    "PullsListings",
    "PullsOrders",
    "PushOutcome",
    "PushReceipt",
    "PushResult",
    "PushesFulfilment",
    "PushesQuantities",
    "QuantityBatch",
    "QuantityChange",
    "QuantitySemantics",
    "QuotaExhausted",
    "RateLimit",
    "RateLimited",
    "ReadsQuantities",
    "RefreshesToken",
    "Reply",
    "ReportedQuantity",
    "RequestRejected",
    "TemporarilyUnavailable",
    "Token",
    "TooLate",
    "UnexpectedAnswer",
    "WebhookEvent",
]
