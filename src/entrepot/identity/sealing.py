"""Answers that may hold a secret (a new key, a sign-in link) are kept so that the database alone does not tell them."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from entrepot.kernel.errors import Conflict

_SEALED = b"\x01"
_NONCE_BYTES = 12


class AnswerUnreadable(Conflict):
    """This request was done before, but its answer cannot be read any more: the hub's secret key has changed."""


class Seal:
    """Seals with AES-256-GCM under a key derived from the hub's secret, bound to the request that was answered."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(hmac.new(secret, b"entrepot kept answers", hashlib.sha256).digest())

    def close(self, body: bytes, request: bytes) -> bytes:
        """Return the body sealed. `request`: the hash of the request that it answers."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _SEALED + nonce + self._cipher.encrypt(nonce, body, request)

    def open(self, kept: bytes, request: bytes) -> bytes:
        """Return the body of a kept answer, sealed or not (JSON never starts as sealed ones do).

        Raises AnswerUnreadable.
        """
        if not kept.startswith(_SEALED):
            return kept
        nonce, sealed = kept[1 : 1 + _NONCE_BYTES], kept[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, request)
        except InvalidTag:
            raise AnswerUnreadable from None
