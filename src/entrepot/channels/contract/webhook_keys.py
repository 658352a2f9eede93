"""Webhooks that are signed with keys of the channel, fetched by their id, and addresses that answer a challenge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.wire import Api


@runtime_checkable
class KeysWebhooks(Protocol):
    """Has deliveries verified with a key of the channel in place of a secret of ours.

    `verify_webhook` is then given the key that `fetch_webhook_key` returned as its `secret`. Such a signature says that the
    channel sent it, not that it is meant for us: what is in a delivery may only name what is then read with our own credentials.
    """

    def webhook_key_id(self, headers: Mapping[str, str]) -> str:
        """Return the id of the key that a delivery names, empty where it names none. Pure; header names in lower case."""

    async def fetch_webhook_key(self, api: Api, key_id: str) -> str:
        """Return the key as `verify_webhook` takes it. Raises RequestRejected where the channel has none with that id."""

    def webhook_challenge(self, query: Mapping[str, str], url: str, secret: str) -> bytes | None:
        """Return the JSON that proves to the channel that `url` is ours, None where the query asks for nothing. Pure.

        `secret` is the credential that the manifest names as `webhook_secret_field`.
        """
