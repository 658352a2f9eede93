"""All settings, section by section: each is one field with its meaning beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrepot.settings.fields import setting
from entrepot.settings.values import (
    at_least,
    chance,
    choice,
    duration_s,
    folder,
    non_empty,
    port,
    postgres_url,
    share,
    switch,
    text_list,
    url,
    whole,
    whole_up_to,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """`sync`: how channels are kept in step."""

    poll_interval_s: float = setting(
        60.0,
        duration_s,
        "How often orders are fetched from a channel, for connections made from now on that have no other.",
        key="poll_interval",
    )
    drift_interval_s: float = setting(
        900.0, duration_s, "How often the channels' quantities are compared with ours.", key="drift_interval"
    )
    retry_attempts: int = setting(
        3, at_least(1), "How often a call to a channel, or a change that it turned down, is tried before it is put off."
    )
    retry_backoff_s: float = setting(
        0.1,
        duration_s,
        "How long to wait, at most, before the second try of a call; it doubles with each.",
        key="retry_backoff",
    )
    batch_size: int = setting(100, at_least(1), "How many changes go to a channel in one call, if it takes so many.")
    call_timeout_s: float = setting(
        20.0, duration_s, "How long a channel may take to answer one call.", key="call_timeout"
    )
    raise_patience_s: float = setting(
        600.0,
        duration_s,
        "How long a raise may wait on a channel that overwrites quantities before the listing is closed for a moment.",
        key="raise_patience",
    )
    write_settling_s: float = setting(
        15.0,
        duration_s,
        "How long after its acknowledgement a write may still take effect on a channel that overwrites quantities.",
        key="write_settling",
    )
    swing_units: int = setting(
        20,
        at_least(1),
        "From how many units on a change of stock on a channel that no sale explains may be a swing, which a person is asked"
        " about.",
    )
    swing_share: float = setting(
        0.5, share(maximum=1), "More than which share of the larger figure it must be besides; at 100% nobody is asked."
    )
    parallel_syncs: int = setting(
        8,
        at_least(1),
        "Of how many connections one worker reads orders or listings at the same time; nothing else waits.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InventorySettings:
    """`inventory`: stock rules."""

    reservation_timeout_s: float = setting(
        900.0, duration_s, "How long a hold for a cart lasts if the caller does not say.", key="reservation_timeout"
    )
    low_stock_threshold: int = setting(
        10,
        at_least(0),
        "At how many units to sell a variant counts as low, where neither it nor its product says otherwise.",
    )
    overselling_protection: bool = setting(
        True,
        switch,
        "Refuse reservations over HTTP beyond what is available to sell; `no` lets them take the safety stock too, never more"
        " than there is.",
    )
    auto_reorder: bool = setting(
        False,
        switch,
        "Draft purchase orders each minute for what the reorder rules suggest, where a supplier is known.",
    )
    reorder_by_demand: bool = setting(
        True, switch, "Suggest what to buy by what is expected to sell, where no reorder point is set by hand."
    )
    reorder_service_level: float = setting(
        0.95, chance, "The chance of not running out before the next delivery that buying by demand aims at."
    )
    reorder_review_s: float = setting(
        7 * 86_400.0,
        duration_s,
        "How long what is bought by demand shall last beyond its delivery, in whole days: about the time between orders.",
        key="reorder_review",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationSettings:
    """`allocation`: what strategies learn from."""

    rate_half_life_s: float = setting(
        14 * 86_400.0,
        duration_s,
        "After how long a sale counts half in how fast a listing sells.",
        key="rate_half_life",
    )
    lag_window_s: float = setting(
        86_400.0, duration_s, "How far back the lags of channels are measured.", key="lag_window"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorHandlingSettings:
    """`error_handling`: when people are told."""

    alert_threshold: int = setting(
        5, at_least(1), "After how many failures in a row of one kind of work with a connection people are told."
    )
    alert_channels: tuple[str, ...] = setting(
        ("log",),
        text_list,
        "Where alerts go: `log`, and addresses (https://...) that get a POST with the alert as JSON, its sentence as `text`.",
    )
    auto_recovery: bool = setting(
        True,
        switch,
        "Go on by itself after alert_threshold failures; `no` stops the connection then, until a person tests or resumes it.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """`jobs`: background jobs such as imports."""

    parallel: int = setting(2, at_least(2), "How many background jobs one worker does at the same time.")
    heartbeat_timeout_s: float = setting(
        10.0,
        duration_s,
        "How long a worker may be silent before its background jobs go to another.",
        key="heartbeat_timeout",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """`demo`: the simulated marketplaces of `entrepot up --demo`."""

    enabled: bool = setting(True, switch, "Start the simulated marketplaces beside the hub.")
    port: int = setting(0, port, "The TCP port of the simulated marketplaces on 127.0.0.1; 0 takes a free one.")
    seed: int = setting(7, whole, "The seed of their shoppers: the same seed gives the same orders.")
    orders_per_s: float = setting(2.0, share(maximum=1000), "How many orders a second their shoppers place.")
    time_scale: float = setting(10.0, share(maximum=10000), "How many times faster than real their limits refill.")
    channels: tuple[str, ...] = setting(
        ("shopify", "square", "amazon"), text_list, "Which ones, with commas: shopify, square, amazon, ebay."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """`platforms.<name>`: what connections to the channel of that name start with, each can be changed later."""

    priority: int | None = setting(
        None, whole_up_to(1000), "The priority of a new connection, 0 to 1000: the lower is served first; empty is 50."
    )
    primary: bool = setting(
        False, switch, "Whether it is the shop that leads: a new connection is served before all others (priority 0)."
    )
    sync_frequency_s: float | None = setting(
        None,
        duration_s,
        "How often the orders of a new connection are fetched; empty takes sync.poll_interval.",
        key="sync_frequency",
    )
    inventory_allocation: float | None = setting(
        None,
        share(maximum=1),
        "The share of the stock that a new connection gets, as `40%` or 0.4; empty leaves it to the strategy.",
    )
    fulfillment_only: bool = setting(False, switch, "Whether a new connection ships goods but is offered none to sell.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The hub's settings."""

    data_dir: Path = setting(
        Path(".entrepot"), folder, "Where the embedded database, the secret key and the logs are kept."
    )
    database_url: str | None = setting(
        None, postgres_url, "A PostgreSQL 15 or newer of your own; empty runs the embedded one.", env="DATABASE_URL"
    )
    host: str = setting("127.0.0.1", non_empty, "The address that the web server listens on.")
    port: int = setting(8000, port, "The TCP port of the web server.")
    public_url: str | None = setting(
        None, url, "The address that people and channels reach the hub at, if not http://host:port."
    )
    secret_key: str | None = setting(
        None,
        non_empty,
        "32 bytes in base64 that encrypt the channels' credentials; empty keeps one in data_dir/secret.key.",
    )
    workers: int = setting(1, at_least(1), "How many worker processes `entrepot up` starts.")
    web_connections: int = setting(10, at_least(2), "How many database connections the web process may open.")
    worker_connections: int = setting(10, at_least(2), "How many database connections each worker may open.")
    log_level: str = setting("info", choice("debug", "info", "warning", "error"), "The least severe line to log.")
    log_format: str = setting("text", choice("text", "json"), "How log lines look.")
    sync: SyncSettings = field(default_factory=SyncSettings)
    inventory: InventorySettings = field(default_factory=InventorySettings)
    allocation: AllocationSettings = field(default_factory=AllocationSettings)
    error_handling: ErrorHandlingSettings = field(default_factory=ErrorHandlingSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    demo: DemoSettings = field(default_factory=DemoSettings)
    platforms: Mapping[str, PlatformSettings] = field(default_factory=dict)
    without_effect: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """Words that were given and that nothing can be done about, each with the reason: the hub says so when it starts."""

    @property
    def address(self) -> str:
        """Return where a browser finds the hub, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


SECTIONS: dict[str, type[Any]] = {
    "sync": SyncSettings,
    "inventory": InventorySettings,
    "allocation": AllocationSettings,
    "error_handling": ErrorHandlingSettings,
    "jobs": JobSettings,
    "demo": DemoSettings,
}
"""The sections of the file by their key, but for `platforms`, which has one for each channel."""
