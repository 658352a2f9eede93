"""The credentials vault: AES-256-GCM under master keys that are in the settings, never in the database."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from entrepot.kernel.errors import EntrepotError

KEY_BYTES = 32
NONCE_BYTES = 12


class BadVaultKey(EntrepotError):
    """A vault key must be 32 random bytes, written as base64."""


class UnknownVaultKey(EntrepotError):
    """These credentials were sealed under a vault key that this hub does not have: add it to the settings again."""


class CannotUnseal(EntrepotError):
    """These credentials do not open: the vault key is another one, or the stored bytes were changed."""


class Secrets(Mapping[str, str]):
    """Secret values by name. Shows its names, never its values."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def merged(self, changes: Mapping[str, str]) -> Secrets:
        """Return these with `changes` on top."""
        return Secrets({**self._values, **changes})


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted credentials and the name of the key that opens them. `data` is nonce + ciphertext + tag."""

    key_id: str
    data: bytes


def new_vault_key() -> bytes:
    """Return a fresh random master key."""
    return AESGCM.generate_key(bit_length=256)


def parse_vault_keys(text: str) -> dict[str, bytes]:
    """Return the keys of `name:base64,name:base64` (a settings value). Raises BadVaultKey naming the entry."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, encoded = entry.partition(":")
        try:
            keys[name] = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise BadVaultKey(f"The vault key {name!r} is not base64.", key_id=name) from error
    return keys


class Vault:
    """Seals and opens credentials. New ones go under the `active` key; the others only open what they sealed."""

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        for name, key in keys.items():
            if not name or len(key) != KEY_BYTES:
                raise BadVaultKey(f"The vault key {name!r} is {len(key)} bytes long, not {KEY_BYTES}.", key_id=name)
        if active not in keys:
            raise BadVaultKey(f"The active vault key {active!r} is not among the keys.", key_id=active)
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self.active = active

    def __repr__(self) -> str:
        return f"Vault(keys={sorted(self._ciphers)}, active={self.active!r})"

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._ciphers

    def seal(self, organisation_id: UUID, connection_id: UUID, secrets: Mapping[str, str]) -> Sealed:
        """Encrypt the secrets of a connection; they open for this organisation and connection only."""
        nonce = os.urandom(NONCE_BYTES)
        plain = msgspec.json.encode(dict(secrets))
        data = nonce + self._ciphers[self.active].encrypt(nonce, plain, _bound_to(organisation_id, connection_id))
        return Sealed(self.active, data)

    def open(self, organisation_id: UUID, connection_id: UUID, sealed: Sealed) -> Secrets:
        """Decrypt the secrets of a connection. Raises UnknownVaultKey or CannotUnseal."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise UnknownVaultKey(key_id=sealed.key_id, connection_id=str(connection_id))
        nonce, rest = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        try:
            plain = cipher.decrypt(nonce, rest, _bound_to(organisation_id, connection_id))
        except (InvalidTag, ValueError) as error:
            raise CannotUnseal(key_id=sealed.key_id, connection_id=str(connection_id)) from error
        return Secrets(msgspec.json.decode(plain, type=dict[str, str]))


def _bound_to(organisation_id: UUID, connection_id: UUID) -> bytes:
    return organisation_id.bytes + connection_id.bytes
