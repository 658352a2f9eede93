"""The list of settings that the documentation shows: docs/reference/settings.md."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass
from typing import Any

from entrepot.settings.fields import env_name, fields_of, key_of
from entrepot.settings.sections import SECTIONS, PlatformSettings, Settings
from entrepot.settings.values import duration_s


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One line of the list of settings."""

    path: str
    env: str | None
    default: str
    meaning: str


def all_settings() -> list[SettingDoc]:
    """Return every setting with its path in the file, its variable, default and meaning."""
    found = []
    for section, kind in [("", Settings), *SECTIONS.items(), ("platforms.<name>", PlatformSettings)]:
        for item in fields_of(kind):
            path = f"{section}.{key_of(item)}" if section else key_of(item)
            env = None if kind is PlatformSettings else env_name(section, item)
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
