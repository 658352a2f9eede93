"""What one setting is: a field of a section with its default, how it is read and what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field, fields
from typing import Any


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


def key_of(item: Field[Any]) -> str:
    """Return the name of a setting in its section of the file."""
    return str(item.metadata.get("key") or item.name)


def fields_of(kind: type[Any]) -> list[Field[Any]]:
    """Return the settings of a section."""
    return [item for item in fields(kind) if "parse" in item.metadata]


def env_name(section: str, item: Field[Any]) -> str:
    """Return the variable that sets it."""
    given = item.metadata.get("env")
    return str(given) if given else "_".join(part for part in ("ENTREPOT", section, key_of(item)) if part).upper()
