"""Listings feeds: many quantities at once, processed later. What a report says is mapped per message."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from entrepot.channels.contract import (
    Api,
    CredentialsRejected,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityChange,
    Reply,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.replies import json_of_bytes
from entrepot.connectors.amazon import calls
from entrepot.connectors.amazon.reading import body_of, inner, objects, optional_text, text, whole

REPORT_BYTES_MAX = 64 * 1024 * 1024
"""Largest processing report that is unpacked."""
_GZIP = b"\x1f\x8b"
_WORDS_MAX = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How a feed ended. `report` is empty where Amazon gave none, and then `outcome`, `code`, `detail` are of every message."""

    report: Mapping[str, Any]
    outcome: PushOutcome = PushOutcome.APPLIED
    code: str = ""
    detail: str = ""


async def push(api: Api, changes: Sequence[QuantityChange]) -> PushReceipt:
    """Hand the changes over as one feed; every outcome is PENDING. Raises OutcomeUnknown if it may have started."""
    feed_id = await submit(api, calls.feed_contents(api.settings["seller_id"], changes))
    skus = [change.ref.external_id for change in changes]
    results = tuple(PushResult(sku, PushOutcome.PENDING) for sku in skus)
    return PushReceipt(results, handle=handle_of(feed_id, skus))


async def submit(api: Api, contents: bytes) -> str:
    """Hand over a listings feed; return its id. Raises OutcomeUnknown if it may have started."""
    document = body_of(await api.send(calls.create_feed_document()))
    try:
        await api.send(calls.upload_feed(text(document, "url"), contents))
    except CredentialsRejected as error:
        # Uploads go without our credentials, so it is the address that has ended.
        raise TemporarilyUnavailable("Amazon no longer takes the upload of the feed.", code=error.code) from error
    marketplace_id = api.settings["marketplace_id"]
    started = body_of(await api.send(calls.create_feed(marketplace_id, text(document, "feedDocumentId"))))
    return text(started, "feedId")


async def follow(api: Api, handle: str) -> tuple[PushResult, ...] | None:
    """Return the end of a feed of quantities, or None while Amazon works on it."""
    feed_id, skus = read_handle(handle)
    ended = await ended_of(api, feed_id)
    if ended is None:
        return None
    if not ended.report:
        return _all(skus, ended.outcome, ended.code, ended.detail)
    return results_of(ended.report, skus)


async def ended_of(api: Api, feed_id: str) -> Ended | None:
    """Return how a feed ended, or None while Amazon works on it."""
    feed = body_of(await api.send(calls.get_feed(feed_id)))
    status = text(feed, "processingStatus")
    if status in ("IN_QUEUE", "IN_PROGRESS"):
        return None
    if status == "CANCELLED":
        return Ended({}, PushOutcome.FAILED, status, "Amazon cancelled the feed before it began.")
    if status == "FATAL":
        detail = "Amazon broke off the feed: some of it may have been done."
        return Ended({}, PushOutcome.UNKNOWN, status, detail)
    if status != "DONE":
        raise UnexpectedAnswer(f"Amazon's feed is in the unknown state {status[:30]!r}")
    document_id = optional_text(feed, "resultFeedDocumentId")
    if not document_id:
        return Ended({}, PushOutcome.UNKNOWN, "NO_REPORT", "Amazon finished the feed but gave no report.")
    document = body_of(await api.send(calls.get_feed_document(document_id)))
    try:
        reply = await api.send(calls.download_feed(text(document, "url")))
    except CredentialsRejected as error:
        raise TemporarilyUnavailable("Amazon no longer gives out the report.", code=error.code) from error
    return Ended(report_of(reply))


def results_of(report: Mapping[str, Any], skus: Sequence[str]) -> tuple[PushResult, ...]:
    """Return the outcome of each message: message n is the n-th SKU. Pure.

    A message with an issue of severity ERROR was refused; the others were accepted, if Amazon's counts agree.
    """
    errors = {
        number: found
        for number, issues in issues_by_message(report, skus).items()
        if (found := [each for each in issues if each.get("severity") == "ERROR"])
    }
    summary = inner(report, "summary")
    accepted = whole(summary, "messagesAccepted")
    whole_feed = errors.pop(0, [])
    if whole_feed and not accepted:
        return _all(skus, PushOutcome.REFUSED, _code(whole_feed), _words(whole_feed))
    sound = len(skus) - len(errors)
    agreed = accepted is None or accepted >= sound
    results = []
    for number, sku in enumerate(skus, start=1):
        if number in errors:
            outcome, code, detail = PushOutcome.REFUSED, _code(errors[number]), _words(errors[number])
        elif agreed:
            outcome, code, detail = PushOutcome.APPLIED, "", ""
        else:
            outcome, code = PushOutcome.UNKNOWN, "COUNT"
            detail = f"Amazon accepted {accepted} messages, but reports no error for {sound}."
        results.append(PushResult(sku, outcome, code=code, detail=detail))
    return tuple(results)


def issues_by_message(report: Mapping[str, Any], skus: Sequence[str]) -> dict[int, list[Mapping[str, Any]]]:
    """Return the report's issues by the number of their message; 0: the feed as a whole. Pure."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for issue in objects(report, "issues"):
        found.setdefault(_message_of(issue, skus), []).append(issue)
    return found


def report_of(reply: Reply) -> Mapping[str, Any]:
    """Return the processing report, unpacked where it is compressed. Pure."""
    body = reply.body
    if body.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            body = unpacker.decompress(body, REPORT_BYTES_MAX)
        except zlib.error as error:
            raise UnexpectedAnswer("Amazon's report cannot be unpacked") from error
        if not unpacker.eof:
            raise UnexpectedAnswer("Amazon's report is cut off or too large")
    report = json_of_bytes(body)
    if not isinstance(report, dict):
        raise UnexpectedAnswer("Amazon's report is not an object")
    return report


def handle_of(feed_id: str, skus: Sequence[str]) -> str:
    """Return what `follow` needs: the feed and its SKUs in order, as the report names messages by number."""
    packed = zlib.compress(msgspec.json.encode(list(skus)), 9)
    return f"{feed_id}.{base64.urlsafe_b64encode(packed).decode()}"


def read_handle(handle: str) -> tuple[str, list[str]]:
    """Return (feed id, SKUs). Raises UnexpectedAnswer if it is damaged."""
    feed_id, _, packed = handle.rpartition(".")
    try:
        skus = msgspec.json.decode(zlib.decompress(base64.urlsafe_b64decode(packed)), type=list[str])
    except (binascii.Error, ValueError, zlib.error, msgspec.DecodeError) as error:
        raise UnexpectedAnswer("The stored handle of the feed cannot be read") from error
    if not feed_id or not skus:
        raise UnexpectedAnswer("The stored handle of the feed cannot be read")
    return feed_id, skus


def _message_of(issue: Mapping[str, Any], skus: Sequence[str]) -> int:
    """Return the message that the issue is about; 0: the feed as a whole."""
    number = whole(issue, "messageId")
    if number is not None and 1 <= number <= len(skus):
        return number
    sku = optional_text(issue, "sku")
    return skus.index(sku) + 1 if sku in skus else 0


def _all(skus: Sequence[str], outcome: PushOutcome, code: str, detail: str) -> tuple[PushResult, ...]:
    return tuple(PushResult(sku, outcome, code=code, detail=detail) for sku in skus)


def _code(issues: Sequence[Mapping[str, Any]]) -> str:
    return optional_text(issues[0], "code")


def _words(issues: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(optional_text(each, "message") for each in issues[:3])[:_WORDS_MAX]
