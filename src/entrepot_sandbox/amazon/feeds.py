"""Feeds 2021-06-30: a document is uploaded, queued, worked through, and reported on message by message."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import Refused, body_of, error_answer, invalid, json_answer
from entrepot_sandbox.amazon.attributes import REQUIRED
from entrepot_sandbox.amazon.state import Document, Feed, State, stamp
from entrepot_sandbox.amazon.writing import Wish, carry_out, problems_of

FEED_TYPE = "JSON_LISTINGS_FEED"
MESSAGES_MAX = 25_000
QUEUED_S = 20.0
WORKED_S = 40.0
WORKED_PER_MESSAGE_S = 0.02
GZIP_FROM_BYTES = 2_000
"""Longer reports are compressed."""


async def create_document(state: State, request: Request) -> Response:
    """POST /feeds/2021-06-30/documents: a place to upload to."""
    content_type = (await body_of(request)).get("contentType")
    if not isinstance(content_type, str) or not content_type:
        raise invalid("contentType is required.")
    document = _new_document(state, content_type)
    return json_answer({"feedDocumentId": document.id, "url": _url(state, document)}, 201)


def _new_document(state: State, content_type: str) -> Document:
    number = state.next_id("document")
    document = Document(f"amzn1.tortuga.4.eu.{number:08x}-0000-4000-8000-{state.desk.world.seed:012x}", content_type)
    state.documents[document.id] = document
    return document


def _url(state: State, document: Document) -> str:
    return f"{state.desk.base_url}/tortuga/{document.id}?X-Amz-Expires=300"


async def upload(state: State, request: Request) -> Response:
    """PUT to the address of a document; whoever has the address may. The content type must be the one announced."""
    document = state.documents.get(request.path_params["document_id"])
    if document is None:
        return error_answer(404, "NoSuchKey", "The specified key does not exist.")
    if request.headers.get("content-type") != document.content_type:
        return error_answer(403, "SignatureDoesNotMatch", "The content type is not the one that was signed.")
    document.body = await request.body()
    return Response(status_code=200)


async def download(state: State, request: Request) -> Response:
    """GET from the address of a document."""
    document = state.documents.get(request.path_params["document_id"])
    if document is None or document.body is None:
        return error_answer(404, "NoSuchKey", "The specified key does not exist.")
    return Response(document.body, media_type=document.content_type)


async def create_feed(state: State, request: Request) -> Response:
    """POST /feeds/2021-06-30/feeds."""
    body = await body_of(request)
    if body.get("feedType") != FEED_TYPE:
        raise invalid(f"feedType must be {FEED_TYPE}.")
    if body.get("marketplaceIds") != [state.place.id]:
        raise invalid(f"marketplaceIds must be [{state.place.id}].")
    document = state.documents.get(str(body.get("inputFeedDocumentId")))
    if document is None:
        raise invalid("inputFeedDocumentId is not known.")
    clock = state.desk.world.clock
    feed = Feed(str(50_000_000_000 + state.next_id("feed")), FEED_TYPE, document, state.desk.now(), clock.monotonic())
    state.feeds[feed.id] = feed
    state.desk.spawn(_work(state, feed))
    return json_answer({"feedId": feed.id}, 202)


async def get_feed(state: State, request: Request) -> Response:
    """GET /feeds/2021-06-30/feeds/{feedId}."""
    feed = state.feeds.get(request.path_params["feed_id"])
    if feed is None:
        raise Refused(404, "NotFound", "The requested feed was not found.")
    body: dict[str, Any] = {
        "feedId": feed.id,
        "feedType": feed.feed_type,
        "marketplaceIds": [state.place.id],
        "createdTime": stamp(feed.created_at),
        "processingStatus": feed.status,
    }
    if feed.started_at:
        body["processingStartTime"] = stamp(feed.started_at)
    if feed.ended_at:
        body["processingEndTime"] = stamp(feed.ended_at)
    if feed.result_id:
        body["resultFeedDocumentId"] = feed.result_id
    return json_answer(body)


async def get_document(state: State, request: Request) -> Response:
    """GET /feeds/2021-06-30/documents/{feedDocumentId}."""
    document = state.documents.get(request.path_params["document_id"])
    if document is None:
        raise Refused(404, "NotFound", "The requested feed document was not found.")
    body = {"feedDocumentId": document.id, "url": _url(state, document)}
    return json_answer({**body, "compressionAlgorithm": "GZIP"} if document.is_gzip else body)


async def _work(state: State, feed: Feed) -> None:
    """Queue, work and end a feed; what it asks comes into effect at the end."""
    await state.desk.sleep(QUEUED_S)
    feed.status, feed.started_at = "IN_PROGRESS", state.desk.now()
    messages = _messages(state, feed.document)
    await state.desk.sleep(WORKED_S + WORKED_PER_MESSAGE_S * len(messages or ()))
    if messages is None:
        feed.status = "FATAL"
    else:
        wishes, issues = _judge(state, messages)
        for wish in wishes:
            carry_out(state, wish, feed.id, feed.requested_at)
        feed.result_id = _report(state, feed, len(messages), issues).id
        feed.status = "DONE"
    feed.ended_at = state.desk.now()


def _messages(state: State, document: Document) -> list[Any] | None:
    """Return the feed's messages, or None if it is no listings feed of this seller."""
    try:
        content = msgspec.json.decode(document.body or b"")
    except msgspec.DecodeError:
        return None
    header = content.get("header") if isinstance(content, dict) else None
    messages = content.get("messages") if isinstance(content, dict) else None
    if not isinstance(header, dict) or header.get("sellerId") != state.seller_id or header.get("version") != "2.0":
        return None
    return messages if isinstance(messages, list) and 1 <= len(messages) <= MESSAGES_MAX else None


def _judge(state: State, messages: list[Any]) -> tuple[list[Wish], list[dict[str, Any]]]:
    """Return what is to be done, and the issues of each message; one with an error is not done."""
    wishes: list[Wish] = []
    issues: list[dict[str, Any]] = []
    seen: set[int] = set()
    for message in messages:
        told = _message(message, seen)
        if isinstance(told, dict):
            issues.append(told)
            continue
        about = {"messageId": message["messageId"], "sku": told.sku}
        problems = problems_of(state, told)
        issues += [_issue(about, problem) for problem in problems]
        if not any(problem["severity"] == "ERROR" for problem in problems):
            wishes.append(told)
    return wishes, issues


def _issue(about: dict[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    told = {name: problem[name] for name in ("code", "message", "severity")}
    return {**about, **told, "attributeName": problem["attributeNames"][0]}


def _message(message: Any, seen: set[int]) -> Wish | dict[str, Any]:
    """Return what a message asks, or the error of one that makes no sense."""
    number = message.get("messageId") if isinstance(message, Mapping) else None
    if not isinstance(number, int) or number < 1:
        return {"code": "4000001", "severity": "ERROR", "message": "A message needs a 'messageId' of at least 1."}
    sku = message.get("sku")
    error = {"messageId": number, **({"sku": sku} if isinstance(sku, str) and sku else {}), "severity": "ERROR"}
    if number in seen:
        return {**error, "code": "4000001", "message": "The 'messageId' was used before."}
    seen.add(number)
    if not isinstance(sku, str) or not sku:
        return {**error, "code": "4000003", "message": f"SKU '{sku}' was not found.", "attributeName": "sku"}
    kind, product_type = message.get("operationType"), message.get("productType")
    if kind == "DELETE":
        return Wish(sku, "", deleted=True)
    if not isinstance(product_type, str) or not product_type:
        return {**error, "code": "4000001", "message": "'productType' is required.", "attributeName": "productType"}
    given = message.get("attributes")
    if kind == "PATCH" and isinstance(message.get("patches"), list) and message["patches"]:
        return Wish(sku, product_type, patches=message["patches"])
    if kind == "PARTIAL_UPDATE" and isinstance(given, Mapping):
        patches = [{"op": "replace", "path": f"/attributes/{name}", "value": value} for name, value in given.items()]
        return Wish(sku, product_type, patches=patches)
    if kind == "UPDATE" and isinstance(given, Mapping) and message.get("requirements", "LISTING") in REQUIRED:
        return Wish(sku, product_type, message.get("requirements", "LISTING"), whole=dict(given))
    return {**error, "code": "4000001", "message": "The message is not one of the operations."}


def _report(state: State, feed: Feed, count: int, issues: list[dict[str, Any]]) -> Document:
    document = _new_document(state, "application/json; charset=UTF-8")
    errors = [each for each in issues if each["severity"] == "ERROR"]
    numbered = {each["messageId"] for each in errors if "messageId" in each}
    invalid_count = len(numbered) + sum("messageId" not in each for each in errors)
    body = msgspec.json.encode(
        {
            "header": {"sellerId": state.seller_id, "version": "2.0", "feedId": feed.id},
            "issues": issues,
            "summary": {
                "errors": len(errors),
                "warnings": len(issues) - len(errors),
                "messagesProcessed": count,
                "messagesAccepted": count - invalid_count,
                "messagesInvalid": invalid_count,
            },
        }
    )
    document.is_gzip = len(body) >= GZIP_FROM_BYTES
    document.body = gzip.compress(body) if document.is_gzip else body
    return document
