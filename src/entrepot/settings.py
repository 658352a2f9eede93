"""All settings of the hub, from the environment and one YAML file, checked when it starts.

Each setting is one field below with its meaning beside it; `docs/reference/settings.md` is made from this file
(`python -m entrepot.settings`), and a test keeps the two equal. The environment wins over the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import yaml

from entrepot.kernel.errors import EntrepotError
from entrepot.settings_values import (
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


class SettingsNotValid(EntrepotError):
    """A setting is not valid."""

    status = 422


def setting(
    default: Any,
    parse: Callable[[Any], Any],
    meaning: str,
    *,
    key: str | None = None,
    env: str | None = None,
) -> Any:
    """Declare one setting: its default, how to read it, what it means (with its unit).

    `key` is its name in the YAML file if that differs from the field's, `env` its variable if that is not
    ENTREPOT_<SECTION>_<KEY>.
    """
    return field(default=default, metadata={"parse": parse, "meaning": meaning, "key": key, "env": env})


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


_SECTIONS: dict[str, type[Any]] = {
    "sync": SyncSettings,
    "inventory": InventorySettings,
    "allocation": AllocationSettings,
    "error_handling": ErrorHandlingSettings,
    "jobs": JobSettings,
    "demo": DemoSettings,
}


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One line of the list of settings."""

    path: str
    env: str | None
    default: str
    meaning: str


def _key(item: Field[Any]) -> str:
    return str(item.metadata.get("key") or item.name)


def _own(kind: type[Any]) -> list[Field[Any]]:
    return [item for item in fields(kind) if "parse" in item.metadata]


def _env_name(section: str, item: Field[Any]) -> str:
    given = item.metadata.get("env")
    return str(given) if given else "_".join(part for part in ("ENTREPOT", section, _key(item)) if part).upper()


def all_settings() -> list[SettingDoc]:
    """Return every setting with its path in the file, its variable, default and meaning."""
    found = []
    for section, kind in [("", Settings), *_SECTIONS.items(), ("platforms.<name>", PlatformSettings)]:
        for item in _own(kind):
            path = f"{section}.{_key(item)}" if section else _key(item)
            env = None if kind is PlatformSettings else _env_name(section, item)
            found.append(SettingDoc(path, env, _shown(item), item.metadata["meaning"]))
    return found


def _shown(item: Field[Any]) -> str:
    assert item.default is not MISSING
    default = item.default
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ", ".join(default)
    if isinstance(default, bool):
        return "yes" if default else "no"
    if item.metadata["parse"] is duration_s:
        return f"{int(default) // 60}min" if default % 60 == 0 else f"{default:g}s"
    return f"{default:g}" if isinstance(default, float) else str(default)


class _Source:
    """Reads values, remembers what was given, and builds errors that say where the value stands."""

    def __init__(self, file: Path | None, env: Mapping[str, str]) -> None:
        self.file, self.env = file, env

    def fail(self, where: str, reason: str) -> SettingsNotValid:
        return SettingsNotValid(f"{where}: {reason}.")

    def at(self, node: yaml.Node, path: str) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}, {path}"

    def section(self, kind: type[Any], node: yaml.Node | None, path: str, *, env: bool = True) -> dict[str, Any]:
        """Return the values given for the fields of `kind`."""
        given = self.mapping(node, path)
        known = {_key(item): item for item in _own(kind)}
        values: dict[str, Any] = {}
        for name, item in known.items():
            full = f"{path}.{name}" if path else name
            variable = _env_name(path, item)
            if env and self.env.get(variable, "") != "":
                raw, where = cast(Any, self.env[variable]), f"The environment variable {variable}"
            elif name in given and _plain(given[name]) is not None:
                raw, where = _plain(given[name]), self.at(given[name], full)
            else:
                continue
            try:
                values[item.name] = item.metadata["parse"](raw)
            except ValueError as error:
                raise self.fail(where, str(error)) from None
        return values

    def mapping(self, node: yaml.Node | None, path: str) -> dict[str, yaml.Node]:
        """Return the keys of a section with their nodes."""
        if node is None or _plain(node) is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(self.at(node, path or "the file"), "must be a section with keys")
        return {str(_plain(key)): value for key, value in node.value}

    def refuse_unknown(self, given: Mapping[str, yaml.Node], known: set[str], path: str) -> None:
        """Raise for the first key that is not known."""
        for name, node in given.items():
            if name not in known:
                full = f"{path}.{name}" if path else name
                raise self.fail(self.at(node, full), f"there is no such setting (known: {', '.join(sorted(known))})")


def _plain(node: yaml.Node) -> Any:
    """Return the node's value as Python, quickly and without classes."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _parse_file(file: Path) -> yaml.Node | None:
    try:
        with file.open("rb") as stream:
            return yaml.compose(stream, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingsNotValid(f"{file}: cannot be read ({error.strerror}); ENTREPOT_CONFIG names it.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsNotValid(f"{file}, line {line}: this is not YAML ({error.problem}).") from error


def load(env: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read the settings from the environment and the file that ENTREPOT_CONFIG names (if it does).

    `given` are values from the command line: they win, None means not given; `demo` switches the demo.
    Raises SettingsNotValid, naming file, line and key.
    """
    env = os.environ if env is None else env
    file = Path(env["ENTREPOT_CONFIG"]).expanduser() if env.get("ENTREPOT_CONFIG") else None
    source = _Source(file, env)
    root = _parse_file(file) if file is not None else None
    top = source.mapping(root, "")
    source.refuse_unknown(top, {_key(item) for item in _own(Settings)} | set(_SECTIONS) | {"platforms"}, "")
    values = source.section(Settings, root, "")
    for name, kind in _SECTIONS.items():
        keys = {_key(item) for item in _own(kind)}
        source.refuse_unknown(source.mapping(top.get(name), name), keys, name)
        values[name] = kind(**source.section(kind, top.get(name), name))
    demo = given.pop("demo", None)
    if demo is not None:
        values["demo"] = replace(values["demo"], enabled=demo)
    platforms = {}
    for name, node in source.mapping(top.get("platforms"), "platforms").items():
        path = f"platforms.{name}"
        source.refuse_unknown(source.mapping(node, path), {_key(item) for item in _own(PlatformSettings)}, path)
        platforms[name] = PlatformSettings(**source.section(PlatformSettings, node, path, env=False))
    leading = [name for name, platform in platforms.items() if platform.primary]
    if len(leading) > 1:
        raise source.fail(f"{file}, platforms", f"only one can be primary, not {' and '.join(leading)}")
    values["platforms"] = platforms
    values.update({name: value for name, value in given.items() if value is not None})
    return Settings(**values, without_effect=_unreachable(values["error_handling"].alert_channels))


def _unreachable(alert_channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to say of the words among the alert channels that are no place to send to (`email`, `slack`)."""
    return tuple(
        f"error_handling.alert_channels: {word} (name `log`, or the address of a webhook: https://...)"
        for word in alert_channels
        if word != "log" and not word.startswith(("https://", "http://"))
    )


def reference_page() -> str:
    """Return docs/reference/settings.md."""
    lines = [
        "# Settings",
        "",
        "Set them in the environment or in one YAML file that `ENTREPOT_CONFIG` names; the environment wins.",
        "In the file, `sync.batch_size` is the key `batch_size` under `sync`. Durations are written `30s`, `15min`,",
        "`2h` or as seconds; shares `40%` or `0.4`; switches `yes` or `no`. A wrong value stops the start with its",
        "file, line and key.",
        "",
        "| key | environment | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for item in all_settings():
        env = f"`{item.env}`" if item.env else ""
        default = f"`{item.default}`" if item.default else ""
        lines.append(f"| `{item.path}` | {env} | {default} | {item.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")
