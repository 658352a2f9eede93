"""What a connector's tests supply and what the contract suite asks it with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from tests.connectors.scripted import Answer, ScriptedApi, reply

from entrepot.channels.contract import (
    Call,
    Capability,
    ChannelListing,
    ChannelOrder,
    ConnectorError,
    ListingRef,
    Page,
    QuantityBatch,
    Reply,
)

PAGES_MAX = 50


class ContractBase:
    """Scripts of a connector, and ways to run them to their end."""

    connector: ClassVar[Any]
    settings: ClassVar[Mapping[str, str]]
    credentials: ClassVar[Mapping[str, str]]
    payloads: ClassVar[Path]
    status_errors: ClassVar[Mapping[int, type[ConnectorError]]] = {}
    """Where this channel's documentation gives a status another meaning than STATUSES has."""
    webhook_secret: ClassVar[str] = "our-webhook-secret-4711"
    """What deliveries are verified with, where it must have a form of its own."""
    optional_fields: ClassVar[Sequence[str]] = ()
    """Names of fields of orders and listings that the channel may leave out or send as null."""

    # ---- what a subclass supplies ----------------------------------------------------------------------

    def check_call(self, call: Call) -> None:
        """Assert that the call is valid by the official specification."""
        raise NotImplementedError

    def order_pages(self) -> list[Answer]:
        """Return the answers that lead pull_orders from no cursor to its last page; one order on two pages."""
        raise NotImplementedError

    def listing_pages(self) -> list[Answer]:
        """Return the answers that lead pull_listings from no cursor to its last page, over at least two pages."""
        raise NotImplementedError

    def push(self) -> tuple[QuantityBatch, list[Answer]]:
        """Return a batch of at least two changes and the answers that accept it."""
        raise NotImplementedError

    def read(self) -> tuple[Sequence[ListingRef], list[Answer]]:
        """Return listings to read (the last one unknown to the channel) and the answers."""
        raise NotImplementedError

    def healthy(self) -> list[Answer]:
        """Return the answers to a check where all is well."""
        raise NotImplementedError

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        """Return the headers with which the channel would deliver this body."""
        raise NotImplementedError

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        """Return name -> (body, headers without signature): at least one order and what else is parsed."""
        raise NotImplementedError

    # ---- helpers ---------------------------------------------------------------------------------------

    def api(self, answers: Sequence[Answer], *, repeat_last: bool = False) -> ScriptedApi:
        """Return a scripted connection that checks every call against the specification."""
        return ScriptedApi(
            self.connector,
            answers,
            settings=self.settings,
            credentials=self.credentials,
            check_call=self.check_call,
            repeat_last=repeat_last,
        )

    def recorded(self, name: str, **headers: str) -> Reply:
        """Return a payload file as an answer."""
        return reply((self.payloads / name).read_bytes(), 200, **headers)

    def snapshot(self, name: str, value: Any) -> None:
        """Assert that mapped values equal the stored ones."""
        path = self.payloads / f"{name}.snapshot.json"
        text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=1).decode() + "\n"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.write_text(text)
        assert path.exists(), f"no snapshot {path.name}: run once with UPDATE_SNAPSHOTS=1 and read it"
        assert text == path.read_text()

    def needs(self, capability: Capability) -> None:
        """Leave the test out where the connector does not claim the capability."""
        if capability not in self.connector.manifest.capabilities:
            pytest.skip(f"{self.connector.manifest.key} does not declare {capability.value}")

    async def all_orders(self, answers: Sequence[Answer]) -> tuple[list[ChannelOrder], Page[ChannelOrder]]:
        """Pull orders to the last page; return them all and that page."""
        api, orders = self.api(answers), list[ChannelOrder]()
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page: Page[ChannelOrder] = await self.connector.pull_orders(api, cursor)
            orders.extend(page.items)
            if not page.more:
                assert api.unused == 0, f"{api.unused} answers were never asked for"
                return orders, page
            assert page.cursor is not None
            assert page.cursor != cursor, "a page leads to itself"
            assert page.complete_until is None, "complete_until is for the last page only"
            cursor = page.cursor
        raise AssertionError("the pages do not end")

    async def all_listings(self, answers: Sequence[Answer]) -> list[ChannelListing]:
        """Pull listings to the last page."""
        api, listings = self.api(answers), list[ChannelListing]()
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page: Page[ChannelListing] = await self.connector.pull_listings(api, cursor)
            listings.extend(page.items)
            if not page.more:
                assert api.unused == 0, f"{api.unused} answers were never asked for"
                return listings
            assert page.cursor is not None
            assert page.cursor != cursor, "a page leads to itself"
            cursor = page.cursor
        raise AssertionError("the pages do not end")

    def secrets_in(self, *texts: object) -> list[str]:
        """Return the names of credentials whose value occurs in any of the texts."""
        joined = "\n".join(f"{text!r}\n{text!s}" for text in texts)
        return [name for name, value in self.credentials.items() if value and value in joined]


# ---- changing recorded answers -------------------------------------------------------------------------


def changed(answer: Answer, change: Any) -> Answer:
    if not isinstance(answer, Reply):
        return answer
    return replace(answer, body=msgspec.json.encode(change(msgspec.json.decode(answer.body))))


def with_unknown_fields(answer: Answer) -> Answer:
    return changed(answer, add_unknown)


def add_unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{name: add_unknown(each) for name, each in value.items()}, "unheard_of": {"new": [1, None]}}
    return [add_unknown(each) for each in value] if isinstance(value, list) else value


def without(name: str) -> Any:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: change(each) for key, each in value.items() if key != name}
        return [change(each) for each in value] if isinstance(value, list) else value

    return change


def null(name: str) -> Any:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: None if key == name else change(each) for key, each in value.items()}
        return [change(each) for each in value] if isinstance(value, list) else value

    return change


def utc(text: str) -> datetime:
    """Return an ISO time as UTC, for tests."""
    return datetime.fromisoformat(text).astimezone(UTC)
