"""The tests that every connector inherits. A subclass supplies the scripts (answers as the channel would give them).

    class TestSquare(ConnectorContract):
        connector = CONNECTOR
        settings = {...}; credentials = {...}      # every credential a long, unmistakable text
        payloads = Path(__file__).parent / "payloads"
        def check_call(self, call): openapi("square/api-....json").check_call(call)
        def order_pages(self): return [self.recorded("orders_1.json"), self.recorded("orders_2.json")]
        ...

Set UPDATE_SNAPSHOTS=1 to write the snapshots anew; read the difference before you commit it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import msgspec
import pytest
from tests.connectors.contract_base import ContractBase, add_unknown, changed, null, with_unknown_fields, without
from tests.connectors.scripted import AT, Answer, reply

from entrepot.channels.contract import (
    PROTOCOL_OF,
    Call,
    Capability,
    ChannelOrder,
    ConnectorError,
    CredentialsRejected,
    OutcomeUnknown,
    Page,
    QuantityBatch,
    QuantitySemantics,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors import registry

STATUSES: Sequence[tuple[int, type[ConnectorError]]] = (
    (301, UnexpectedAnswer),
    (302, UnexpectedAnswer),
    (400, RequestRejected),
    (401, CredentialsRejected),
    (403, CredentialsRejected),
    (404, RequestRejected),
    (408, TemporarilyUnavailable),
    (409, RequestRejected),
    (422, RequestRejected),
    (429, RateLimited),
    (500, TemporarilyUnavailable),
    (502, TemporarilyUnavailable),
    (503, TemporarilyUnavailable),
    (504, TemporarilyUnavailable),
)
URL = "https://hub.example/webhooks/in/abc"


class ConnectorContract(ContractBase):
    """What must hold of every connector."""

    # ---- what it declares ------------------------------------------------------------------------------

    def test_declares_exactly_what_it_implements(self) -> None:
        implemented = {c for c, protocol in PROTOCOL_OF.items() if isinstance(self.connector, protocol)}
        assert implemented == set(self.connector.manifest.capabilities)

    def test_is_in_the_registry_under_its_key(self) -> None:
        assert registry.connector_of(self.connector.manifest.key) is self.connector

    def test_manifest_is_whole(self) -> None:
        manifest = self.connector.manifest
        names = [f.name for f in manifest.fields]
        assert len(names) == len(set(names))
        assert any(f.secret for f in manifest.fields)
        assert all(f.title for f in manifest.fields)
        assert all(not f.default for f in manifest.fields if f.secret)
        environments = {e.name: e.base_urls for e in manifest.environments}
        assert {"production", "simulated"} <= environments.keys()
        public = {f.name for f in manifest.fields if not f.secret}
        for environment, urls in environments.items():
            assert "api" in urls
            for url in urls.values():
                assert set(re.findall(r"\{(\w+)\}", url)) <= public, url
                assert not url.endswith("/")
                assert url.startswith("{simulator_url}/" if environment == "simulated" else "https://")
        assert (manifest.quantity_semantics is not None) == (Capability.PUSH_QUANTITIES in manifest.capabilities)
        assert manifest.push_batch_max >= 1
        takes_webhooks = Capability.WEBHOOKS in manifest.capabilities
        assert bool(manifest.webhook_topics) == bool(manifest.webhook_secret_field) == takes_webhooks
        if manifest.webhook_account is not None:
            header, setting = manifest.webhook_account
            assert header == header.lower()
            assert setting in public

    def test_says_what_it_takes_of_listings(self) -> None:
        manifest, has = self.connector.manifest, self.connector.manifest.capabilities.__contains__
        assert bool(manifest.listing_rules) == bool(manifest.listing_fields) == has(Capability.PUSH_LISTINGS)
        assert bool(manifest.listing_ends) == has(Capability.END_LISTINGS)
        assert manifest.listing_batch_max >= 1
        assert manifest.price_batch_max >= 1
        if has(Capability.PUSH_LISTINGS):
            # What is written must be read again, whole.
            assert has(Capability.READ_LISTINGS)
            assert has(Capability.PULL_LISTINGS)
        if not has(Capability.PUSH_PRICES):
            assert not has(Capability.FOLLOW_PRICES)
            assert not manifest.price_compared
        if not has(Capability.PUSH_LISTINGS):
            assert not has(Capability.FOLLOW_LISTINGS)
            assert not has(Capability.PREVIEW_LISTINGS)
            assert not manifest.listing_version_compared

    def test_declares_its_rate_limits(self) -> None:
        limits = self.connector.manifest.rate_limits
        assert limits
        assert len({limit.name for limit in limits}) == len(limits)
        for limit in limits:
            assert limit.capacity > 0
            assert limit.refill_per_s > 0 or limit.window_s
            assert limit.operations

    # ---- statuses --------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("status", "error"), STATUSES, ids=[str(s) for s, _ in STATUSES])
    @pytest.mark.parametrize("body", [b"", b"<html>down</html>", b"null", b"[]", b'{"errors": "no"}'])
    def test_every_status_means_its_error(self, status: int, error: type[ConnectorError], body: bytes) -> None:
        found = self.connector.classify(reply(body, status))
        assert type(found) is self.status_errors.get(status, error)
        assert str(found)

    def test_success_is_no_error(self) -> None:
        assert self.connector.classify(reply({})) is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_honoured(self, status: int) -> None:
        for value, seconds in (("7", 7.0), ("2.5", 2.5), ("Fri, 20 Nov 2026 12:01:30 GMT", 90.0)):
            error = self.connector.classify(reply({}, status, retry_after=value))
            assert isinstance(error, TemporarilyUnavailable)
            assert error.retry_after_s == seconds

    # ---- credentials -----------------------------------------------------------------------------------

    def test_authorise_is_pure_and_only_for_the_channels_own_base(self) -> None:
        call = Call("probe", "GET", "/probe", query=(("a", "1"),), headers={"accept": "application/json"})
        before = repr(call)
        once = self.connector.authorise(call, dict(self.credentials), AT)
        assert once == self.connector.authorise(call, dict(self.credentials), AT)
        assert repr(call) == before
        assert self.secrets_in(once), "the call carries no credential"
        assert once.headers["accept"] == "application/json"
        assert (once.operation, once.method, once.path, once.base) == (
            call.operation,
            call.method,
            call.path,
            call.base,
        )
        elsewhere = self.connector.authorise(
            replace(call, absolute_url="https://elsewhere.example/doc"), dict(self.credentials), AT
        )
        assert not self.secrets_in(elsewhere), "credentials leave for another host"

    async def test_secrets_are_in_no_text(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        texts: list[object] = [self.connector, self.connector.manifest]
        for answers in (self.healthy(), [reply({"error": "no"}, 401)], [reply(b"\xff", 200)], [reply({}, 500)]):
            api = self.api(answers, repeat_last=True)
            texts.append(await self.connector.check(api))
            texts.extend(api.calls)
            if Capability.PULL_ORDERS in self.connector.manifest.capabilities and len(answers) == 1:
                with pytest.raises(ConnectorError) as caught:
                    await self.connector.pull_orders(api, None)
                texts += [caught.value, caught.value.args, caught.value.detail]
        assert not self.secrets_in(*texts, caplog.text)

    # ---- check -----------------------------------------------------------------------------------------

    async def test_check_is_content_where_all_is_well(self) -> None:
        report = await self.connector.check(self.api(self.healthy()))
        assert report.ok, report
        assert report.summary

    @pytest.mark.parametrize(
        "answer",
        [reply({}, s) for s, _ in STATUSES] + [reply(b"\xff"), reply({}), reply([]), reply(b"null"), OutcomeUnknown()],
        ids=[str(s) for s, _ in STATUSES] + ["binary", "empty", "list", "null", "lost"],
    )
    async def test_check_says_what_is_wrong_and_never_raises(self, answer: Answer) -> None:
        report = await self.connector.check(self.api([answer], repeat_last=True))
        assert not report.ok
        assert len(report.summary) > 10
        assert "Traceback" not in report.summary

    # ---- orders ----------------------------------------------------------------------------------------

    async def test_orders_end_and_make_no_doubles(self) -> None:
        self.needs(Capability.PULL_ORDERS)
        orders, last = await self.all_orders(self.order_pages())
        assert last.cursor is not None, "the last page says where the next pull starts"
        assert last.complete_until is None or last.complete_until <= AT
        by_version: dict[tuple[str, int], ChannelOrder] = {}
        for order in orders:
            assert by_version.setdefault((order.external_id, order.version), order) == order
        assert len(by_version) < len(orders), "the script has no order on two pages"
        again, _ = await self.all_orders(self.order_pages())
        assert again == orders

    async def test_orders_are_sound(self) -> None:
        self.needs(Capability.PULL_ORDERS)
        orders, _ = await self.all_orders(self.order_pages())
        for order in orders:
            assert order.external_id
            assert order.version > 0
            assert order.lines
            assert re.fullmatch(r"[A-Z]{3}", order.currency)
            assert order.placed_at.tzinfo is UTC
            assert order.updated_at.tzinfo is UTC
            assert len({line.external_id for line in order.lines}) == len(order.lines)
            for line in order.lines:
                assert line.external_id
                assert line.quantity > 0
                assert line.cancelled >= 0
                assert line.shipped >= 0
                assert line.cancelled + line.shipped <= line.quantity

    async def test_orders_map_to_the_snapshot(self) -> None:
        self.needs(Capability.PULL_ORDERS)
        orders, _ = await self.all_orders(self.order_pages())
        self.snapshot("orders", orders)

    async def test_the_next_pull_starts_from_the_last_cursor(self) -> None:
        self.needs(Capability.PULL_ORDERS)
        _, last = await self.all_orders(self.order_pages())
        fresh, later = self.api(self.order_pages(), repeat_last=True), self.api(self.order_pages(), repeat_last=True)
        await self.connector.pull_orders(fresh, None)
        await self.connector.pull_orders(later, last.cursor)
        assert (fresh.calls[0].query, fresh.calls[0].body) != (later.calls[0].query, later.calls[0].body)

    @pytest.mark.parametrize("cursor", ["", "nonsense", "{}", '{"a": 1}', "[]", "null", "\x00"])
    async def test_a_damaged_cursor_is_an_unexpected_answer_or_starts_over(self, cursor: str) -> None:
        self.needs(Capability.PULL_ORDERS)
        fresh, api = self.api(self.order_pages(), repeat_last=True), self.api(self.order_pages(), repeat_last=True)
        from_the_start = await self.connector.pull_orders(fresh, None)
        try:
            page = await self.connector.pull_orders(api, cursor)
        except UnexpectedAnswer:
            assert api.calls == [], "the channel was asked with a cursor that cannot be read"
            return
        assert api.calls == fresh.calls, "it neither starts over nor says that the cursor is damaged"
        assert page == from_the_start

    async def test_unknown_fields_change_nothing(self) -> None:
        if Capability.PULL_ORDERS in self.connector.manifest.capabilities:
            expected, _ = await self.all_orders(self.order_pages())
            found, _ = await self.all_orders([with_unknown_fields(each) for each in self.order_pages()])
            assert found == expected
        if Capability.PULL_LISTINGS in self.connector.manifest.capabilities:
            plain = await self.all_listings(self.listing_pages())
            assert await self.all_listings([with_unknown_fields(each) for each in self.listing_pages()]) == plain

    async def test_optional_fields_may_be_missing(self) -> None:
        assert self.optional_fields, "every channel leaves something out"
        orders, listings = dict[str, int](), set[str]()
        if Capability.PULL_ORDERS in self.connector.manifest.capabilities:
            orders = _units(await self.all_orders(self.order_pages()))
        if Capability.PULL_LISTINGS in self.connector.manifest.capabilities:
            listings = {each.ref.external_id for each in await self.all_listings(self.listing_pages())}
        for name in self.optional_fields:
            for change in (without(name), null(name)):
                if orders:
                    found = _units(await self.all_orders([changed(each, change) for each in self.order_pages()]))
                    assert found.keys() == orders.keys(), f"without {name} orders are lost"
                    assert all(found[id] >= units for id, units in orders.items()), f"without {name} units are lost"
                if listings:
                    some = await self.all_listings([changed(each, change) for each in self.listing_pages()])
                    assert {each.ref.external_id for each in some} == listings, f"without {name} listings are lost"

    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b'"text"', b'{"data": null}'])
    async def test_a_nonsense_answer_is_a_connector_error(self, body: bytes) -> None:
        if Capability.PULL_LISTINGS in self.connector.manifest.capabilities:
            try:
                page = await self.connector.pull_listings(self.api([reply(body)], repeat_last=True), None)
            except ConnectorError:
                pass
            else:
                assert not page.items
        if Capability.PULL_ORDERS in self.connector.manifest.capabilities:
            try:
                found = await self.connector.pull_orders(self.api([reply(body)], repeat_last=True), None)
            except ConnectorError:
                pass
            else:
                assert not found.items

    # ---- listings --------------------------------------------------------------------------------------

    async def test_listings_end_and_map_to_the_snapshot(self) -> None:
        self.needs(Capability.PULL_LISTINGS)
        listings = await self.all_listings(self.listing_pages())
        assert listings
        assert len({each.ref.external_id for each in listings}) == len(listings)
        self.snapshot("listings", listings)

    # ---- quantities ------------------------------------------------------------------------------------

    async def test_a_push_answers_for_every_change(self) -> None:
        self.needs(Capability.PUSH_QUANTITIES)
        batch, answers = self.push()
        assert len(batch.changes) > 1
        assert len(batch.changes) <= self.connector.manifest.push_batch_max
        if self.connector.manifest.quantity_semantics is not QuantitySemantics.ABSOLUTE:
            assert all(change.from_quantity is not None for change in batch.changes)
        receipt = await self.connector.push_quantities(self.api(answers), batch)
        assert sorted(r.external_id for r in receipt.results) == sorted(c.ref.external_id for c in batch.changes)

    async def test_a_push_sent_again_is_the_same_to_the_byte(self) -> None:
        self.needs(Capability.PUSH_QUANTITIES)
        sent = []
        for _ in range(2):
            batch, answers = self.push()
            api = self.api(answers)
            await self.connector.push_quantities(api, batch)
            sent.append(api.calls)
        assert sent[0] == sent[1]

    async def test_a_lost_answer_to_a_push_is_not_hidden(self) -> None:
        self.needs(Capability.PUSH_QUANTITIES)
        batch, _ = self.push()
        lost = self.api([OutcomeUnknown()], repeat_last=True)
        try:
            receipt = await self.connector.push_quantities(lost, batch)
        except OutcomeUnknown:
            return
        assert {r.outcome.value for r in receipt.results} <= {"unknown", "failed"}

    async def test_an_empty_push_calls_nobody(self) -> None:
        self.needs(Capability.PUSH_QUANTITIES)
        receipt = await self.connector.push_quantities(self.api([]), QuantityBatch("key-1", (), AT))
        assert receipt.results == ()
        assert receipt.handle is None

    async def test_quantities_are_read_for_every_listing(self) -> None:
        self.needs(Capability.READ_QUANTITIES)
        refs, answers = self.read()
        found = await self.connector.read_quantities(self.api(answers), refs)
        assert [each.external_id for each in found] == [ref.external_id for ref in refs]
        assert found[-1].quantity is None
        assert all(each.quantity is not None for each in found[:-1])
        assert await self.connector.read_quantities(self.api([]), ()) == ()

    # ---- webhooks --------------------------------------------------------------------------------------

    def test_webhooks_pass_only_with_our_secret(self) -> None:
        self.needs(Capability.WEBHOOKS)
        verify, secret = self.connector.verify_webhook, self.webhook_secret
        for body, headers in self.webhooks().values():
            signed = {**headers, **self.sign(body, URL, secret)}
            assert verify(body, signed, URL, secret)
            assert not verify(body + b" ", signed, URL, secret)
            assert not verify(body, signed, URL, secret + "x")
            assert not verify(body, headers, URL, secret)
            assert not verify(body, {**headers, **self.sign(body, URL, "")}, URL, "")
            for name, value in self.sign(body, URL, secret).items():
                for forged in ("", value[:-2], value + "=", "ü", value.swapcase()):
                    assert not verify(body, {**signed, name: forged}, URL, secret)

    def test_webhooks_are_told_apart_and_mapped(self) -> None:
        self.needs(Capability.WEBHOOKS)
        events, topics = {}, self.connector.manifest.webhook_topics
        for name, (body, headers) in self.webhooks().items():
            event_id, topic = self.connector.webhook_event_id(body, headers)
            assert event_id
            assert topic in topics
            event = self.connector.parse_webhook(body, headers)
            assert (event.event_id, event.topic) == (event_id, topic)
            assert event == self.connector.parse_webhook(body, headers)
            events[name] = event
        if Capability.PULL_ORDERS in self.connector.manifest.capabilities:
            of_orders = [e for e in events.values() if e.order is not None or e.order_ids or getattr(e, "news", ())]
            assert of_orders, "no delivery tells of an order"
        self.snapshot("webhooks", events)

    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b'{"id": {}}', b"[" * 100_000])
    def test_a_webhook_that_cannot_be_read_is_an_unexpected_answer(self, body: bytes) -> None:
        self.needs(Capability.WEBHOOKS)
        for _, headers in self.webhooks().values():
            with pytest.raises(UnexpectedAnswer):
                self.connector.parse_webhook(body, headers)

    def test_a_webhook_with_unknown_fields_maps_the_same(self) -> None:
        self.needs(Capability.WEBHOOKS)
        for body, headers in self.webhooks().values():
            more = msgspec.json.encode(add_unknown(msgspec.json.decode(body)))
            assert self.connector.parse_webhook(more, headers) == self.connector.parse_webhook(body, headers)


def _units(pulled: tuple[list[ChannelOrder], Page[ChannelOrder]]) -> dict[str, int]:
    """What must not get lost of orders: each, and how many units of it were ordered."""
    return {order.external_id: sum(line.quantity for line in order.lines) for order in pulled[0]}
