"""The whole kernel against a plain model: hypothesis drives random sequences of operations on real PostgreSQL.

The model is dictionaries and arithmetic; after every step its balances are the levels', and the ledger proves them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.stock.support import hold, make_variants

from entrepot.database.pool import Database, Tx
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock, SaleClaim
from entrepot.stock.documents import Receipt

T = TypeVar("T")
V = st.integers(0, 1)
L = st.integers(0, 1)
UNITS = st.integers(1, 6)


@dataclass
class Cell:
    """What the model knows of a level."""

    on_hand: int = 0
    unavailable: int = 0
    incoming: int = 0


class Machine(RuleBasedStateMachine):
    """Two variants, two locations, a bundle of 1 and 2 of them."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    database: ClassVar[Database]

    def __init__(self) -> None:
        super().__init__()
        self.organisation = new_id()
        self.cells = {key: Cell() for key in itertools.product(range(2), range(2))}
        self.held: dict[UUID, tuple[int, int]] = {}
        """Units of each variant that a hold has."""
        self.lines: dict[UUID, list[int]] = {}
        """Units of each variant that an order line still wants, reserved or short."""
        self.of_line: dict[UUID, tuple[int, int]] = {}
        self.transit: dict[UUID, tuple[int, int, int, int]] = {}
        self.ordered: dict[UUID, tuple[int, int, int]] = {}
        self.sheets: dict[UUID, tuple[int, dict[int, tuple[int, int]]]] = {}
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _open(self) -> None:
        async with self.database.transaction(None) as tx:
            await tx.execute("insert into organisation (id, name) values ($1, 'Model')", self.organisation)
        self.variants = await make_variants(self.database, self.organisation, [0, 0])
        async with self.database.transaction(self.organisation) as tx:
            main: UUID = await tx.fetch_value("select id from location")
            self.places = [main, await stock.create_location(tx, "Store", "store")]
            nothing = [stock.StockChange(v, "x", on_hand=0, location_id=self.places[1]) for v in self.variants]
            await stock.change_on_hand(tx, nothing, kind="count", actor="m")
            self.supplier = await stock.create_supplier(tx, "Acme", "EUR")
            self.kit = new_id()
            await tx.execute(
                "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
                " select organisation_id, $1, product_id, 'KIT', 100, 'EUR' from variant limit 1",
                self.kit,
            )
            await stock.set_bundle(tx, self.kit, {self.variants[0]: 1, self.variants[1]: 2})

    def do(self, work: Any) -> Any:
        """Do the work in a transaction; return what it answers, or the error that it raised."""

        async def inside() -> Any:
            async with self.database.transaction(self.organisation) as tx:
                return await work(tx)

        try:
            return self.run(inside())
        except NotEnoughStock as refusal:
            return refusal

    # ---- what the model says -----------------------------------------------------------------------------

    def good(self, v: int) -> int:
        return sum(self.cells[v, at].on_hand - self.cells[v, at].unavailable for at in range(2))

    def claimed(self, v: int) -> int:
        return sum(units[v] for units in self.held.values()) + sum(units[v] for units in self.lines.values())

    def free(self, v: int) -> int:
        return self.good(v) - self.claimed(v)

    # ---- operations --------------------------------------------------------------------------------------

    @rule(v=V, at=L, units=st.integers(0, 12))
    def count(self, v: int, at: int, units: int) -> None:
        change = stock.StockChange(self.variants[v], "x", on_hand=units, location_id=self.places[at])
        self.do(lambda tx: stock.change_on_hand(tx, [change], kind="count", actor="m"))
        cell = self.cells[v, at]
        cell.on_hand, cell.unavailable = units, min(cell.unavailable, units)

    @rule(v=V, at=L, share=st.floats(0, 1))
    def damage(self, v: int, at: int, share: float) -> None:
        cell = self.cells[v, at]
        units = int(cell.on_hand * share)
        self.do(lambda tx: stock.set_damaged(tx, self.variants[v], self.places[at], units, reason="x", actor="m"))
        cell.unavailable = units

    @rule(a=st.integers(0, 4), b=st.integers(0, 4), kits=st.integers(0, 2))
    def place(self, a: int, b: int, kits: int) -> None:
        asked = [(v, n) for v, n in ((self.variants[0], a), (self.variants[1], b), (self.kit, kits)) if n]
        if not asked:
            return
        wanted, units = hold(*asked), (a + kits, b + 2 * kits)
        levels = self.do(lambda tx: stock.levels(tx, self.variants))
        sellable = [sum(max(0, n.available_to_sell) for n in levels if n.variant_id == v) for v in self.variants]
        [refusal] = self.do(lambda tx: stock.place_holds(tx, [wanted]))
        assert (refusal is None) == all(n <= there for n, there in zip(units, sellable, strict=True))
        if refusal is None:
            self.held[wanted.id] = units

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from(("released", "expired")))
    def end_hold(self, data: st.DataObject, state: str) -> None:
        id = data.draw(st.sampled_from(list(self.held)))
        assert self.do(lambda tx: stock.end_holds(tx, [id], state=state, actor="m"))
        del self.held[id]

    @rule(what=st.integers(0, 2), units=UNITS)
    def sell(self, what: int, units: int) -> None:
        line, per = new_id(), ((1, 0), (0, 1), (1, 2))[what]
        claim = SaleClaim(line, [*self.variants, self.kit][what], units)
        result = self.do(lambda tx: stock.claim_sales(tx, [claim], actor="m"))[line]
        assert result.reserved + result.shortage == units
        self.lines[line], self.of_line[line] = [per[0] * units, per[1] * units], per

    @precondition(lambda self: self.lines)
    @rule(data=st.data(), units=UNITS)
    def cancel(self, data: st.DataObject, units: int) -> None:
        line = data.draw(st.sampled_from(list(self.lines)))
        self.do(lambda tx: stock.release_sales(tx, {line: units}, actor="m"))
        self.take(line, units)

    @precondition(lambda self: self.lines)
    @rule(data=st.data(), units=UNITS)
    def ship(self, data: st.DataObject, units: int) -> None:
        line = data.draw(st.sampled_from(list(self.lines)))
        claims = self.do(lambda tx: stock.claims_of_lines(tx, [line]))[line]
        units = min(units, claims.reserved)
        before = {n.variant_id: 0 for n in self.do(lambda tx: stock.levels(tx, self.variants))}
        levels = {(n.variant_id, n.location_id): n for n in self.do(lambda tx: stock.levels(tx, self.variants))}
        self.do(lambda tx: stock.ship_sales(tx, {line: units}, actor="m"))
        for level in self.do(lambda tx: stock.levels(tx, self.variants)):
            left = levels[level.variant_id, level.location_id].on_hand - level.on_hand
            before[level.variant_id] += left
            self.cells[self.variants.index(level.variant_id), self.places.index(level.location_id)].on_hand -= left
        assert [before[v] for v in self.variants] == [units * per for per in self.of_line[line]]
        self.take(line, units)

    def take(self, line: UUID, units: int) -> None:
        per = self.of_line[line]
        self.lines[line] = [max(0, n - units * each) for n, each in zip(self.lines[line], per, strict=True)]
        if not any(self.lines[line]):
            del self.lines[line]

    @rule(v=V, source=L, units=UNITS)
    def send(self, v: int, source: int, units: int) -> None:
        target = 1 - source

        async def work(tx: Tx) -> UUID:
            wanted = {self.variants[v]: units}
            id = await stock.draft_transfer(tx, self.places[source], self.places[target], wanted, actor="m")
            await stock.ship_transfer(tx, id, actor="m")
            return id

        done = self.do(work)
        if isinstance(done, UUID):
            self.cells[v, source].on_hand -= units
            self.cells[v, target].incoming += units
            self.transit[done] = (v, source, target, units)

    @precondition(lambda self: self.transit)
    @rule(data=st.data(), came=st.integers(0, 8), damaged=st.integers(0, 2), back=st.booleans())
    def end_transfer(self, data: st.DataObject, came: int, damaged: int, back: bool) -> None:
        id = data.draw(st.sampled_from(list(self.transit)))
        v, source, target, units = self.transit.pop(id)
        self.cells[v, target].incoming -= units
        if back:
            self.do(lambda tx: stock.cancel_transfer(tx, id, actor="m"))
            self.cells[v, source].on_hand += units
            return
        damaged = min(damaged, came)
        receipt = Receipt(self.variants[v], came, damaged)
        self.do(lambda tx: stock.receive_transfer(tx, id, [receipt], close=True, actor="m"))
        self.cells[v, target].on_hand += came
        self.cells[v, target].unavailable += damaged

    @rule(v=V, at=L, units=UNITS)
    def buy(self, v: int, at: int, units: int) -> None:
        async def work(tx: Tx) -> UUID:
            id = await stock.draft_purchase(tx, self.supplier, self.places[at], {self.variants[v]: units}, actor="m")
            await stock.order_purchase(tx, id, actor="m")
            return id

        self.ordered[self.do(work)] = (v, at, units)
        self.cells[v, at].incoming += units

    @precondition(lambda self: self.ordered)
    @rule(data=st.data(), came=st.integers(0, 8), close=st.booleans(), give_up=st.booleans())
    def receive(self, data: st.DataObject, came: int, close: bool, give_up: bool) -> None:
        id = data.draw(st.sampled_from(list(self.ordered)))
        v, at, units = self.ordered.pop(id)
        if give_up:
            self.do(lambda tx: stock.cancel_purchase(tx, id, actor="m"))
            self.cells[v, at].incoming -= units
            return
        state = self.do(
            lambda tx: stock.receive_purchase(tx, id, [Receipt(self.variants[v], came)], close=close, actor="m")
        )
        left = 0 if close else max(0, units - came)
        assert state == ("partly_received" if left else "received")
        self.cells[v, at].on_hand += came
        self.cells[v, at].incoming -= units - left
        if left:
            self.ordered[id] = (v, at, left)

    @rule(at=L, units=st.tuples(st.integers(0, 12), st.integers(0, 12)))
    def count_blind(self, at: int, units: tuple[int, int]) -> None:
        async def work(tx: Tx) -> UUID:
            id = await stock.open_count(tx, self.places[at], None, actor="m")
            await stock.record_counts(tx, id, dict(zip(self.variants, units, strict=True)), actor="m")
            return id

        expected = {v: (units[v], self.cells[v, at].on_hand) for v in range(2)}
        self.sheets[self.do(work)] = (at, expected)

    @precondition(lambda self: self.sheets)
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(list(self.sheets)))
        at, counted = self.sheets.pop(id)
        self.do(lambda tx: stock.confirm_count(tx, id, actor="m"))
        for v, (units, expected) in counted.items():
            cell = self.cells[v, at]
            cell.on_hand = max(0, cell.on_hand + units - expected)
            cell.unavailable = min(cell.unavailable, cell.on_hand)

    # ---- what must hold ----------------------------------------------------------------------------------

    @invariant()
    def the_levels_are_the_model_s(self) -> None:
        async def read(tx: Tx) -> Any:
            assert await stock.verify(tx) == []
            claims = await stock.claims_of_lines(tx, list(self.lines))
            return await stock.levels(tx, self.variants), await stock.available_to_sell(tx, self.variants), claims

        levels, ats, claims = self.do(read)
        for v, variant in enumerate(self.variants):
            mine = [level for level in levels if level.variant_id == variant]
            for level in mine:
                cell = self.cells[v, self.places.index(level.location_id)]
                assert (level.on_hand, level.unavailable, level.incoming) == (
                    cell.on_hand,
                    cell.unavailable,
                    cell.incoming,
                )
                assert level.reserved <= level.on_hand - level.unavailable
            assert sum(level.held for level in mine) == sum(units[v] for units in self.held.values())
            assert ats[variant] == self.free(v)
            # Nobody waits while there is something free.
            short = sum(units[v] for units in self.lines.values()) - sum(level.reserved for level in mine)
            assert short >= 0
            assert short == 0 or all(
                level.on_hand - level.reserved - level.held - level.unavailable <= 0 for level in mine
            )
        for line, wanted in self.lines.items():
            bundles = max(n / each for n, each in zip(wanted, self.of_line[line], strict=True) if each)
            assert claims[line].reserved + claims[line].shortage == bundles


@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_the_kernel_is_what_the_model_says(database_url: str, examples: int) -> None:
    Machine.loop = asyncio.new_event_loop()
    Machine.database = Machine.loop.run_until_complete(Database.connect(database_url))
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples, stateful_step_count=40, deadline=None, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        Machine.loop.run_until_complete(Machine.database.close())
        Machine.loop.close()
