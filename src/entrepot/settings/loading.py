"""Settings read from the environment and one YAML file, with errors that say where a value stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from entrepot.kernel.errors import EntrepotError
from entrepot.settings.fields import env_name, fields_of, key_of
from entrepot.settings.sections import SECTIONS, PlatformSettings, Settings


class SettingsNotValid(EntrepotError):
    """A setting is not valid."""

    status = 422


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
        known = {key_of(item): item for item in fields_of(kind)}
        values: dict[str, Any] = {}
        for name, item in known.items():
            full = f"{path}.{name}" if path else name
            variable = env_name(path, item)
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
    source.refuse_unknown(top, {key_of(item) for item in fields_of(Settings)} | set(SECTIONS) | {"platforms"}, "")
    values = source.section(Settings, root, "")
    for name, kind in SECTIONS.items():
        keys = {key_of(item) for item in fields_of(kind)}
        source.refuse_unknown(source.mapping(top.get(name), name), keys, name)
        values[name] = kind(**source.section(kind, top.get(name), name))
    demo = given.pop("demo", None)
    if demo is not None:
        values["demo"] = replace(values["demo"], enabled=demo)
    platforms = {}
    for name, node in source.mapping(top.get("platforms"), "platforms").items():
        path = f"platforms.{name}"
        source.refuse_unknown(source.mapping(node, path), {key_of(item) for item in fields_of(PlatformSettings)}, path)
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
