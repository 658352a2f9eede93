"""Quantities at Amazon: patches, feeds and their reports, reading back."""

from __future__ import annotations

import gzip
from typing import Any

import jsonschema
import msgspec
import pytest
from tests.connectors.amazon.given import accepted, batch, change, refusal, scripted
from tests.connectors.scripted import Answer, reply
from tests.connectors.specs import spec_bytes

from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    ListingRef,
    OutcomeUnknown,
    PushOutcome,
    QuantityChange,
    RateLimited,
    Reply,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors.amazon import CONNECTOR, calls, feeds


async def test_a_few_quantities_are_patched_one_by_one() -> None:
    answers = [accepted("A", "ACCEPTED", "WARNING"), accepted("B/1", "ACCEPTED", "ERROR"), accepted("C", "INVALID")]
    api = scripted(answers)
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 3, None), change("B/1", 2), change("C", 3)))
    assert [r.outcome for r in receipt.results] == [PushOutcome.APPLIED, PushOutcome.REFUSED, PushOutcome.REFUSED]
    assert receipt.results[1].detail == "ERROR here"
    assert receipt.handle is None
    assert api.calls[1].path == "/listings/2021-08-01/items/A2SELLER/B%2F1"
    assert msgspec.json.decode(api.calls[0].body or b"") == {
        "productType": "HOME",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 3}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (OutcomeUnknown("lost"), "unknown"),
        (reply({}, 503), "unknown"),
        (reply({}, 429), "failed"),
        (reply({}, 403), "failed"),
    ],
)
async def test_after_trouble_the_rest_is_not_sent(trouble: Answer, outcome: str) -> None:
    api = scripted([*[accepted(str(n)) for n in range(6)], trouble, *[accepted(str(n)) for n in range(7, 10)]])
    receipt = await CONNECTOR.push_quantities(api, batch(*[change(str(n), 2, 3) for n in range(12)]))
    outcomes = [r.outcome.value for r in receipt.results]
    assert outcomes == ["applied"] * 6 + [outcome] + ["applied"] * 3 + ["failed"] * 2
    assert [r.external_id for r in receipt.results] == [str(n) for n in range(12)]


@pytest.mark.parametrize(
    ("trouble", "outcomes"),
    [
        (refusal(404, "NotFound"), ["applied", "refused", "applied"]),
        (reply(b"nonsense"), ["applied", "unknown", "applied"]),
        (accepted("B", "NEW_WORD"), ["applied", "unknown", "applied"]),
    ],
)
async def test_trouble_with_one_item_is_its_own(trouble: Answer, outcomes: list[str]) -> None:
    api = scripted([accepted("A"), trouble, accepted("C")])
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 2), change("B", 2), change("C", 3)))
    assert [r.outcome.value for r in receipt.results] == outcomes


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (403, CredentialsRejected)])
async def test_trouble_before_anything_was_written_is_raised(status: int, error: type[ConnectorError]) -> None:
    with pytest.raises(error):
        await CONNECTOR.push_quantities(scripted([reply({}, status)] * 2), batch(change("A", 1), change("B", 2)))


async def test_lowering_goes_before_raising() -> None:
    api = scripted([accepted("B"), accepted("D"), accepted("A"), accepted("C")])
    changes = (change("A", 9, 3), change("B", 2, 3), change("C", 1, None), change("D", 3, 3))
    receipt = await CONNECTOR.push_quantities(api, batch(*changes))
    assert [call.path.rpartition("/")[2] for call in api.calls] == ["B", "D", "A", "C"]
    assert {r.external_id for r in receipt.results} == set("ABCD")


async def test_what_amazon_ships_itself_is_not_written() -> None:
    receipt = await CONNECTOR.push_quantities(scripted([]), batch(change("A", 1, fulfilled_by="amazon")))
    assert [r.outcome for r in receipt.results] == [PushOutcome.REFUSED]


# ---- feeds ---------------------------------------------------------------------------------------------

MANY = [change(f"SKU-{n}", n) for n in range(1, 51)]
DOCUMENT = {"feedDocumentId": "doc-1", "url": "https://feeds.example/upload?signed=1"}


async def test_many_quantities_go_as_one_feed() -> None:
    api = scripted([reply(DOCUMENT, 201), reply(b""), reply({"feedId": "5001"}, 202)])
    receipt = await CONNECTOR.push_quantities(api, batch(*MANY))
    assert {r.outcome for r in receipt.results} == {PushOutcome.PENDING}
    assert receipt.handle is not None
    assert feeds.read_handle(receipt.handle) == ("5001", [c.ref.external_id for c in MANY])
    upload = api.authorised[1]
    assert (upload.method, upload.absolute_url) == ("PUT", DOCUMENT["url"])
    assert set(upload.headers) == {"content-type"}
    assert upload.headers["content-type"] == msgspec.json.decode(api.calls[0].body or b"")["contentType"]
    feed = msgspec.json.decode(upload.body or b"")
    schema = msgspec.json.decode(spec_bytes("amazon/listings-feed-schema-v2.json"))
    jsonschema.Draft7Validator(schema).validate(feed)
    assert feed["messages"][6]["sku"] == "SKU-7"
    assert not api.calls[2].idempotent
    assert len(receipt.handle) < 2000


async def test_a_feed_that_may_have_started_is_an_unknown_outcome() -> None:
    api = scripted([reply(DOCUMENT, 201), reply(b""), OutcomeUnknown("lost")])
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(api, batch(*MANY))


async def test_an_ended_upload_address_says_nothing_of_our_credentials() -> None:
    api = scripted([reply(DOCUMENT, 201), reply(b"<Error>expired</Error>", 403)])
    with pytest.raises(TemporarilyUnavailable):
        await CONNECTOR.push_quantities(api, batch(*MANY))


HANDLE = feeds.handle_of("5001", ["A", "B", "C"])


def feed(status: str, **more: str) -> Reply:
    whole = {"feedId": "5001", "feedType": "JSON_LISTINGS_FEED", "createdTime": "2026-11-20T12:00:00Z"}
    return reply({**whole, "processingStatus": status, **more})


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS"])
async def test_a_feed_that_goes_on_has_no_end_yet(status: str) -> None:
    assert await CONNECTOR.follow_push(scripted([feed(status)]), HANDLE) is None


@pytest.mark.parametrize(("status", "outcome"), [("CANCELLED", "failed"), ("FATAL", "unknown"), ("DONE", "unknown")])
async def test_a_feed_without_a_report_tells_only_what_is_known(status: str, outcome: str) -> None:
    results = await CONNECTOR.follow_push(scripted([feed(status)]), HANDLE)
    assert results is not None
    assert [(r.external_id, r.outcome.value) for r in results] == [(sku, outcome) for sku in "ABC"]


def report(*issues: dict[str, Any], **summary: int) -> dict[str, Any]:
    header = {"sellerId": "A2SELLER", "version": "2.0", "feedId": "5001"}
    counts = {"errors": 0, "warnings": 0, "messagesProcessed": 3, "messagesAccepted": 3, "messagesInvalid": 0}
    whole = {"header": header, "issues": list(issues), "summary": {**counts, **summary}}
    schema = msgspec.json.decode(spec_bytes("amazon/listings-feed-processing-report-schema-v2.json"))
    jsonschema.Draft7Validator(schema).validate(whole)
    return whole


def issue(message: int | None, severity: str = "ERROR", **more: Any) -> dict[str, Any]:
    said = {"severity": severity, "message": "It is wrong.", "code": "4000001", **more}
    return said if message is None else {"messageId": message, **said}


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_report_is_mapped_message_by_message(compressed: bool) -> None:
    whole = msgspec.json.encode(report(issue(2), issue(3, "WARNING"), messagesAccepted=2, messagesInvalid=1))
    document = {"feedDocumentId": "doc-2", "url": "https://feeds.example/report?signed=1"}
    if compressed:
        whole, document = gzip.compress(whole, mtime=0), {**document, "compressionAlgorithm": "GZIP"}
    api = scripted([feed("DONE", resultFeedDocumentId="doc-2"), reply(document), reply(whole)])
    results = await CONNECTOR.follow_push(api, HANDLE)
    assert results is not None
    assert [(r.external_id, r.outcome.value, r.code) for r in results] == [
        ("A", "applied", ""),
        ("B", "refused", "4000001"),
        ("C", "applied", ""),
    ]
    assert api.authorised[2].headers == {}


@pytest.mark.parametrize(
    ("whole", "outcomes"),
    [
        (lambda: report(issue(None), messagesAccepted=0), ["refused", "refused", "refused"]),
        (lambda: report(issue(None), messagesAccepted=3), ["applied", "applied", "applied"]),
        (lambda: report(issue(None, sku="C"), messagesAccepted=2), ["applied", "applied", "refused"]),
        (lambda: report(messagesAccepted=2), ["unknown", "unknown", "unknown"]),
        (lambda: report(issue(1), messagesAccepted=1), ["refused", "unknown", "unknown"]),
        (lambda: {"issues": []}, ["applied", "applied", "applied"]),
    ],
)
def test_reports_whose_counts_do_not_agree_are_not_guessed(whole: Any, outcomes: list[str]) -> None:
    assert [r.outcome.value for r in feeds.results_of(whole(), ["A", "B", "C"])] == outcomes


@pytest.mark.parametrize("body", [b"", b"[]", b"\x1f\x8bnonsense", gzip.compress(b"{}", mtime=0)[:-6]])
def test_a_damaged_report_is_an_unexpected_answer(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        feeds.report_of(reply(body))


@pytest.mark.parametrize("handle", ["", "5001", "5001.", "5001.!!!", "5001.AAAA", HANDLE.partition(".")[2]])
async def test_a_damaged_handle_is_an_unexpected_answer(handle: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        await CONNECTOR.follow_push(scripted([]), handle)


# ---- reading back --------------------------------------------------------------------------------------


async def test_many_listings_are_read_twenty_at_a_time() -> None:
    def shows(sku: str, units: int, code: str = "DEFAULT") -> dict[str, Any]:
        return {"sku": sku, "fulfillmentAvailability": [{"fulfillmentChannelCode": code, "quantity": units}]}

    refs = [ListingRef(f"S{n}") for n in range(21)] + [ListingRef("S,21")]
    first = {"numberOfResults": 3, "items": [shows("S0", 4), shows("S1", 0), shows("S2", 7, "AMAZON_EU")]}
    api = scripted([reply(first), reply({"numberOfResults": 0, "items": []}), reply(shows("S,21", 9))])
    found = await CONNECTOR.read_quantities(api, refs)
    assert [each.external_id for each in found] == [ref.external_id for ref in refs]
    known = {each.external_id: each.quantity for each in found if each.quantity is not None}
    assert known == {"S0": 4, "S1": 0, "S,21": 9}
    assert [len(dict(call.query).get("identifiers", "").split(",")) for call in api.calls[:2]] == [20, 1]
    assert api.calls[2].path.endswith("/S%2C21")


@pytest.mark.parametrize(("units", "repeated"), [(0, True), (3, False)])
def test_a_quantity_is_not_repeated_blindly_over_what_may_have_sold(units: int, repeated: bool) -> None:
    wanted = QuantityChange(ListingRef("A", {"product_type": "MUG"}), "A", units, 5)
    assert calls.patch_quantity("S", "M", wanted, None).idempotent == repeated
