"""Listings, patches and feeds."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft7Validator
from tests.sandbox.amazon.conftest import SPECS, Check, Client

from entrepot_sandbox.journal import QuantityWritten, WriteKind

MODEL = "listingsItems_2021-08-01.json"
FEEDS = "feeds_2021-06-30.json"
DATASETS = "summaries,attributes,issues,offers,fulfillmentAvailability,relationships,productTypes"


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)


async def test_a_listing_tells_its_quantity(client: Client, official: Check) -> None:
    sku = client.skus[0]
    client.offer(sku, 6)
    params = {"marketplaceIds": client.place, "includedData": DATASETS}
    answer = await client.http.get(client.items(sku), params=params)
    official(MODEL, "Item", answer.json())
    item = answer.json()
    assert item["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 6}]
    assert item["summaries"][0]["status"] == ["BUYABLE", "DISCOVERABLE"]
    only = (await client.http.get(client.items(sku), params={"marketplaceIds": client.place})).json()
    assert only.keys() == {"sku", "summaries"}


async def test_an_unknown_sku_is_404(client: Client, official: Check) -> None:
    answer = await client.http.get(client.items("a/b"), params={"marketplaceIds": client.place})
    assert answer.status_code == 404
    official(MODEL, "ErrorList", answer.json())


async def test_searching_pages_through_all_listings(client: Client, official: Check) -> None:
    seen: list[str] = []
    token: str | None = None
    while True:
        params = {"marketplaceIds": client.place, "pageSize": "2", "sortBy": "sku", "sortOrder": "ASC"}
        answer = await client.http.get(client.items(), params={**params, **({"pageToken": token} if token else {})})
        body = answer.json()
        official(MODEL, "ItemSearchResults", body)
        assert body["numberOfResults"] == 5
        seen += [item["sku"] for item in body["items"]]
        token = body.get("pagination", {}).get("nextToken")
        if token is None:
            break
    assert seen == sorted(client.skus)


async def test_searching_by_sku(client: Client) -> None:
    wanted = client.skus[1:3]
    params = {
        "marketplaceIds": client.place,
        "identifiers": ",".join([*wanted, "nope"]),
        "identifiersType": "SKU",
        "includedData": "fulfillmentAvailability",
    }
    body = (await client.http.get(client.items(), params=params)).json()
    assert sorted(item["sku"] for item in body["items"]) == sorted(wanted)


@pytest.mark.parametrize("params", [{}, {"marketplaceIds": "ELSEWHERE"}, {"pageSize": "21"}, {"pageToken": "no"}])
async def test_wrong_searches_are_refused(client: Client, params: dict[str, str]) -> None:
    whole = params if not params or "marketplaceIds" in params else {"marketplaceIds": client.place, **params}
    assert (await client.http.get(client.items(), params=whole)).status_code == 400


async def test_a_patch_is_accepted_and_comes_into_effect_later(client: Client, official: Check) -> None:
    sku = client.skus[0]
    answer = await client.patch(sku, 9)
    official(MODEL, "ListingsItemSubmissionResponse", answer.json())
    assert answer.json()["status"] == "ACCEPTED"
    await _until(lambda: client.shown(sku) == 9)
    (written,) = client.market.state.desk.world.journal.of(QuantityWritten)
    assert (written.before, written.after, written.kind) == (0, 9, WriteKind.ABSOLUTE)
    assert written.requested_at < written.at
    assert written.request_id == answer.json()["submissionId"]


async def test_a_patch_is_not_in_effect_at_once(slow_client: Client) -> None:
    sku = slow_client.skus[0]
    assert (await slow_client.patch(sku, 9)).json()["status"] == "ACCEPTED"
    assert slow_client.shown(sku) == 0


async def test_a_later_patch_is_not_overtaken(client: Client) -> None:
    sku = client.skus[0]
    for quantity in (1, 2, 3, 4):
        assert (await client.patch(sku, quantity)).status_code == 200
    journal = client.market.state.desk.world.journal
    await _until(lambda: len(list(journal.of(QuantityWritten))) == 4)
    assert [written.after for written in journal.of(QuantityWritten)] == [1, 2, 3, 4]


async def test_a_preview_changes_nothing(client: Client) -> None:
    sku = client.skus[0]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": [{"quantity": 4}]}
    answer = await client.http.patch(
        client.items(sku),
        params={"marketplaceIds": client.place, "mode": "VALIDATION_PREVIEW"},
        json={"productType": "PRODUCT", "patches": [patch]},
    )
    assert answer.json()["status"] == "VALID"
    assert client.shown(sku) == 0


@pytest.mark.parametrize(("quantity", "more"), [(-1, {}), ("3", {}), (3, {"op": "delete"}), (3, {"path": "/x"})])
async def test_wrong_patches_are_invalid(
    client: Client, official: Check, quantity: object, more: dict[str, str]
) -> None:
    answer = await client.patch(client.skus[0], quantity, **more)
    official(MODEL, "ListingsItemSubmissionResponse", answer.json())
    assert answer.json()["status"] == "INVALID"
    assert answer.json()["issues"][0]["severity"] == "ERROR"


async def test_a_patch_of_an_unknown_sku_is_invalid(client: Client, official: Check) -> None:
    answer = await client.patch("nope", 3)
    official(MODEL, "ListingsItemSubmissionResponse", answer.json())
    assert answer.json()["status"] == "INVALID"


def _message(number: int, sku: str, quantity: object) -> dict[str, Any]:
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}]
    patch = {"op": "replace", "path": "/attributes/fulfillment_availability", "value": value}
    return {"messageId": number, "sku": sku, "operationType": "PATCH", "productType": "PRODUCT", "patches": [patch]}


async def _submit(client: Client, official: Check, messages: list[dict[str, Any]], **header: str) -> dict[str, Any]:
    """Send a feed and return it when it has ended."""
    content_type = "application/json; charset=UTF-8"
    answer = await client.http.post("/amazon/feeds/2021-06-30/documents", json={"contentType": content_type})
    assert answer.status_code == 201
    official(FEEDS, "CreateFeedDocumentResponse", answer.json())
    document = answer.json()
    content = {"header": {"sellerId": client.market.state.seller_id, "version": "2.0", **header}, "messages": messages}
    async with httpx.AsyncClient() as stranger:
        put = await stranger.put(document["url"], json=content, headers={"Content-Type": content_type})
    assert put.status_code == 200
    answer = await client.http.post(
        "/amazon/feeds/2021-06-30/feeds",
        json={
            "feedType": "JSON_LISTINGS_FEED",
            "marketplaceIds": [client.place],
            "inputFeedDocumentId": document["feedDocumentId"],
        },
    )
    assert answer.status_code == 202
    official(FEEDS, "CreateFeedResponse", answer.json())
    async with asyncio.timeout(5):
        while True:
            feed = (await client.http.get(f"/amazon/feeds/2021-06-30/feeds/{answer.json()['feedId']}")).json()
            official(FEEDS, "Feed", feed)
            if feed["processingStatus"] in ("DONE", "FATAL"):
                ended: dict[str, Any] = feed
                return ended
            await asyncio.sleep(0.01)


async def _report(client: Client, official: Check, feed: dict[str, Any]) -> dict[str, Any]:
    told = await client.http.get(f"/amazon/feeds/2021-06-30/documents/{feed['resultFeedDocumentId']}")
    official(FEEDS, "FeedDocument", told.json())
    async with httpx.AsyncClient() as stranger:
        content = (await stranger.get(told.json()["url"])).content
    if told.json().get("compressionAlgorithm") == "GZIP":
        content = gzip.decompress(content)
    report: dict[str, Any] = json.loads(content)
    schema = json.loads((SPECS / "listings-feed-processing-report-schema-v2.json").read_text())
    assert [error.message for error in Draft7Validator(schema).iter_errors(report)] == []
    return report


async def test_a_feed_sets_many_and_reports_each_that_failed(client: Client, official: Check) -> None:
    one, two, *_ = client.skus
    messages = [_message(1, one, 4), _message(2, "nope", 5), _message(3, two, -1), _message(4, two, 6)]
    feed = await _submit(client, official, messages)
    assert feed["processingStatus"] == "DONE"
    report = await _report(client, official, feed)
    assert [(issue["messageId"], issue["severity"]) for issue in report["issues"]] == [(2, "ERROR"), (3, "ERROR")]
    summary = report["summary"]
    assert (summary["messagesProcessed"], summary["messagesAccepted"], summary["messagesInvalid"]) == (4, 2, 2)
    assert (client.shown(one), client.shown(two)) == (4, 6)
    written = list(client.market.state.desk.world.journal.of(QuantityWritten))
    assert {event.request_id for event in written} == {feed["feedId"]}
    assert all(event.requested_at < event.at for event in written)


async def test_a_long_report_is_compressed(client: Client, official: Check) -> None:
    feed = await _submit(client, official, [_message(number, f"nope-{number}", 1) for number in range(1, 60)])
    document = client.market.state.documents[feed["resultFeedDocumentId"]]
    assert document.is_gzip
    assert (await _report(client, official, feed))["summary"]["messagesInvalid"] == 59


async def test_a_feed_of_another_seller_is_fatal(client: Client, official: Check) -> None:
    feed = await _submit(client, official, [_message(1, client.skus[0], 4)], sellerId="SOMEONE")
    assert feed["processingStatus"] == "FATAL"
    assert client.shown(client.skus[0]) == 0


async def test_an_upload_must_have_the_announced_type(client: Client) -> None:
    answer = await client.http.post("/amazon/feeds/2021-06-30/documents", json={"contentType": "text/plain"})
    put = await client.http.put(answer.json()["url"], content=b"{}", headers={"Content-Type": "application/json"})
    assert put.status_code == 403
