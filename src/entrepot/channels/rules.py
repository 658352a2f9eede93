"""Pure rules of connections: what a person may enter, where a channel answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from entrepot.channels.contract import Manifest
from entrepot.kernel.errors import InvalidInput

NAME_LENGTH_MAX = 80
VALUE_LENGTH_MAX = 8_000
SYNC_INTERVAL_MIN_S = 1
SYNC_INTERVAL_MAX_S = 7 * 24 * 3600
_HOST_PART = re.compile(r"[A-Za-z0-9._~:-]+")
_WHOLE_URL = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SECRET_FIELDS_BY_CUSTOM = ("webhook_secret", "signature_key", "client_secret")


class InvalidFields(InvalidInput):
    """Some fields are not right."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        self.messages = dict(messages)
        super().__init__(" ".join(messages.values()), fields=dict(messages))


@dataclass(frozen=True, slots=True)
class Entered:
    """What a person entered, checked and parted: settings to the connection, secrets to the vault."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


def check_fields(manifest: Manifest, values: Mapping[str, str]) -> Entered:
    """Part the entered values into settings and secrets, defaults filled in.

    Raises InvalidFields with a message per field.
    """
    messages: dict[str, str] = {}
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    known = {each.name for each in manifest.fields}
    for name in values:
        if name not in known:
            messages[name] = f"{manifest.title} has no field {name!r}."
    for each in manifest.fields:
        value = values.get(each.name, "").strip() or each.default
        if not value:
            if each.required:
                messages[each.name] = f"{each.title} is missing."
            continue
        if len(value) > VALUE_LENGTH_MAX or any(ord(c) < 32 or ord(c) == 127 for c in value):
            messages[each.name] = f"{each.title} is too long or has characters that do not belong there."
        elif each.pattern is not None and not re.fullmatch(each.pattern, value):
            messages[each.name] = f"{each.title} does not look right.{' ' + each.help if each.help else ''}"
        (secrets if each.secret else settings)[each.name] = value
    if messages:
        raise InvalidFields(messages)
    return Entered(settings, secrets)


def with_defaults(manifest: Manifest, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings with the defaults of non-secret fields filled in."""
    return {**{each.name: each.default for each in manifest.fields if each.default and not each.secret}, **settings}


def check_name(name: str) -> str:
    """Return the trimmed name of a connection. Raises InvalidFields."""
    name = " ".join(name.split())
    if not name or len(name) > NAME_LENGTH_MAX:
        raise InvalidFields({"name": f"The name must have 1 to {NAME_LENGTH_MAX} characters."})
    return name


def base_urls(manifest: Manifest, environment: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the base URLs of an environment by name, settings filled in, without a slash at the end.

    A setting inside a URL must look like a part of a host name, so that nobody redirects credentials to
    another host by a slash or an @; one that stands at the very beginning must be a whole http(s) URL.
    Raises InvalidFields.
    """
    chosen = next((each for each in manifest.environments if each.name == environment), None)
    if chosen is None:
        names = ", ".join(each.name for each in manifest.environments)
        raise InvalidFields({"environment": f"{manifest.title} has no environment {environment!r}; it has: {names}."})
    return {name: _fill(url, settings) for name, url in chosen.base_urls.items()}


def _fill(template: str, settings: Mapping[str, str]) -> str:
    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        value = settings.get(name, "").rstrip("/")
        pattern = _WHOLE_URL if match.start() == 0 else _HOST_PART
        ok = pattern.fullmatch(value)
        if not ok:
            raise InvalidFields({name: f"The setting {name!r} does not fit into the address {template}."})
        return value

    return _PLACEHOLDER.sub(value_of, template).rstrip("/")


def account_key(manifest: Manifest, settings: Mapping[str, str]) -> str:
    """Return what a delivery to an address without a connection must carry to be this connection's, or empty text."""
    if manifest.webhook_account is None:
        return ""
    return settings.get(manifest.webhook_account[1], "").strip().lower()


def webhook_secret(manifest: Manifest, secrets: Mapping[str, str]) -> str:
    """Return the secret that signs deliveries, or empty: of the field the manifest names, else of a usual one."""
    if manifest.webhook_secret_field:
        return secrets.get(manifest.webhook_secret_field, "")
    return next((secrets[name] for name in _SECRET_FIELDS_BY_CUSTOM if secrets.get(name)), "")
