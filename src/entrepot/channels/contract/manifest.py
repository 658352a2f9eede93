"""What a connector declares: its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from entrepot.channels.contract.drafts import EndKind
from entrepot.channels.contract.listing_rules import ListingRules
from entrepot.channels.contract.listings import ListingField


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
    PUSH_LISTINGS = "push_listings"
    PUSH_PRICES = "push_prices"
    END_LISTINGS = "end_listings"
    FOLLOW_LISTINGS = "follow_listings"
    FOLLOW_PRICES = "follow_prices"
    PREVIEW_LISTINGS = "preview_listings"
    READ_LISTINGS = "read_listings"
    READ_LISTING_RULES = "read_listing_rules"
    PULL_SETTLEMENTS = "pull_settlements"
    REFUND = "refund"
    PAYMENTS = "payments"
    DISPUTES = "disputes"
    DATED_WEBHOOKS = "dated_webhooks"
    MAKE_ORDERS = "make_orders"
    ESTIMATE_MAKING = "estimate_making"
    READ_AVAILABILITY = "read_availability"
    WEBHOOK_KEYS = "webhook_keys"


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
    push_bulk_from: int | None = None
    """From so many changes on, a call goes by a way that takes minutes (a feed); None: it is as quick for many."""
    webhook_topics: tuple[str, ...] = ()
    webhook_secret_field: str = ""
    """The credential that signs deliveries (entered, or learned by `subscribe_webhooks`)."""
    webhook_account: tuple[str, str] | None = None
    """(header, setting): a delivery that names no connection belongs to the one whose setting the header carries."""
    webhook_age_max_s: float | None = None
    """With DATED_WEBHOOKS: a delivery that was signed longer ago, or so far ahead, is refused."""
    cancel_restocks: bool = False
    """Whether the channel itself puts cancelled units back into its listing (as it usually does)."""
    listing_rules: tuple[ListingRules, ...] = ()
    category_help: str = ""
    """What the channel's own categories are, for people who type one."""
    """What it requires of listings: one for every category (empty), and others for categories by name."""
    listing_fields: frozenset[ListingField] = frozenset()
    """The fields that the channel keeps as they are written and tells again: only these can be compared."""
    listing_ends: frozenset[EndKind] = frozenset()
    hides_variants: bool = False
    """Whether single variants of a product can be unpublished there while the others stay."""
    listing_batch_max: int = 1
    """Most drafts in one `push_listings` call, and most ends in one `end_listings` call."""
    price_batch_max: int = 1
    """Most changes in one `push_prices` call."""
    price_compared: bool = False
    """Whether a price is written only where the channel still shows `from_price`."""
    listing_version_compared: bool = False
    """Whether a draft is written only where the channel still has `expected_version`."""
    sells: bool = True
    """Whether goods are offered there. Where not (a fulfiller), a new connection only fulfils: no stock is given to it."""
    source_priority: int = 50
    """How far its values go before those of others where both were changed (the hub has 100); a person may change the policy."""
