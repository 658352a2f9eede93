"""Replaying past orders: known outcomes, files as people have them, and the command."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from entrepot.allocation.order_file import UnreadableOrders, read
from entrepot.allocation.simulate import DAY_S, NAMED, OrderLine, Plan, Stocking, replay
from entrepot.cli import main

DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "uci_online_retail" / "online_retail.parquet"
SHARES = {"a": 0.6, "b": 0.4}
CSV = "time,sku,quantity,channel,price\n2026-01-01 10:00,A,2,shop,3.50\n2026-01-02T11:00:00Z,A,1,market,3.50\n"


def lines(seed: int, skus: int = 40, days: int = 90) -> list[OrderLine]:
    chance = random.Random(seed)
    made = []
    for number in range(skus):
        rate = 10 ** chance.uniform(-1, 1.5)
        at = chance.expovariate(rate)
        while at < days:
            made.append(OrderLine(at * DAY_S, f"S{number}", 1, "a" if chance.random() < 0.6 else "b", 1_000.0))
            at += chance.expovariate(rate)
    return sorted(made)


def plan(name: str, lag_s: float) -> Plan:
    return Plan(NAMED[name], lag_s, Stocking(14, 21))


def test_without_a_lag_the_pool_is_the_clairvoyant() -> None:
    found = replay(lines(1), plan("pool", 0.0), "ab")
    assert (found.oversold, found.lost, found.stranded) == (0, 0, 0)
    assert found.sold == found.clairvoyant_sold < found.asked
    assert found.margin_minor == pytest.approx(found.clairvoyant_margin_minor)


def test_with_a_lag_the_pool_oversells_and_risk_hardly() -> None:
    past = lines(2)
    pool, risk, equal = (replay(past, plan(name, 3_600.0), "ab") for name in ("pool", "risk", "equal"))
    assert pool.oversold > 20
    assert risk.oversold <= pool.oversold / 8
    assert risk.lost < equal.lost / 3
    assert risk.margin_minor > max(pool.margin_minor, equal.margin_minor)
    assert risk.stock_outs_oversold <= risk.stock_outs


def test_every_policy_adds_up() -> None:
    past = lines(3, skus=10)
    asked = sum(line.units for line in past)
    for name in NAMED:
        found = replay(past, plan(name, 600.0), "ab")
        assert found.asked == asked
        assert found.sold <= found.clairvoyant_sold <= asked
        assert found.lost == found.clairvoyant_sold - found.sold
        assert found.stranded >= 0


def test_one_case_by_hand() -> None:
    # Two units on two channels for half a day each; both ask for both at once.
    past = [
        OrderLine(0.0, "A", 2, "a", 100.0),
        OrderLine(1.0, "A", 2, "b", 100.0),
        OrderLine(2 * DAY_S, "A", 2, "a", 100.0),
    ]
    stocking = Stocking(2 / 3, 100)
    pool = replay(past, Plan(NAMED["pool"], 60.0, stocking), "ab")
    assert (pool.sold, pool.oversold, pool.lost, pool.stock_outs, pool.stock_outs_oversold) == (2, 2, 0, 1, 1)
    assert pool.margin_minor == pytest.approx(2 * 30 - 2 * 30 * 10)
    equal = replay(past, Plan(NAMED["equal"], 60.0, stocking), "ab")
    assert (equal.sold, equal.oversold, equal.lost) == (2, 0, 0)
    shares = replay(past, Plan(NAMED["fixed_shares"], 60.0, stocking), "ab")
    assert (shares.sold, shares.lost, shares.stranded) == (0, 2, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def test_files_as_people_have_them(file: Path) -> None:
    file.write_text(CSV)
    found = read(file, SHARES)
    assert [(line.sku, line.units, line.channel, line.price_minor) for line in found.lines] == [
        ("A", 2, "shop", 350.0),
        ("A", 1, "market", 350.0),
    ]
    assert found.channels == ("shop", "market")
    assert not found.assigned
    file.write_text(
        "\ufeffInvoiceNo;StockCode;Quantity;InvoiceDate\n1;X;3;12/1/2010 8:26\n1;Y;1;12/1/2010 8:26\nC2;X;-3;12/1/2010 9:00\n\n"
    )
    found = read(file, SHARES)
    assert found.assigned
    assert len({line.channel for line in found.lines}) == 1
    assert found.left_out == 1
    assert read(file, SHARES) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("when,what\n1,2\n", "lacks columns: time .*; sku .*; quantity .* has: when, what"),
        ("time,sku,quantity\n2026-01-01,A,two\n", "line 2: quantity 'two' is not a whole number"),
        ("time,sku,quantity\n2026-01-01,A,1\nsoon,A,1\n", "line 3: time 'soon' is not a time"),
        ("time,sku,quantity\n2026-01-01,,1\n", "line 2: sku '' is empty"),
        ("time,sku,quantity,channel\n2026-01-01,A,1,\n", "line 2: channel '' is empty"),
        ("time,sku,quantity,price\n2026-01-01,A,1,dear\n", "line 2: price 'dear' is not a number"),
        ("time,sku,quantity\n2026-01-01,A,-1\n", "no line with a quantity above 0"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(UnreadableOrders, match=words):
        read(file, SHARES)


def test_what_is_no_file_is_said(tmp_path: Path, file: Path) -> None:
    for path, words in ((file, "There is no file"), (tmp_path, "is a folder")):
        with pytest.raises(UnreadableOrders, match=words):
            read(path, SHARES)
    file.write_bytes(b"time,sku\n\xff\xfe\n")
    with pytest.raises(UnreadableOrders, match="UTF-8"):
        read(file, SHARES)
    parquet = tmp_path / "x.parquet"
    parquet.write_text("no")
    pytest.importorskip("pyarrow")
    with pytest.raises(UnreadableOrders, match="as Parquet"):
        read(parquet, SHARES)


def test_the_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(CSV)
    argv = ["allocation", "simulate", str(file), "--policies", "pool,risk", "--lag", "5min", "--json"]
    assert main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["policies"]) == ["pool", "risk"]
    assert told["lag_s"] == 300
    assert main(argv[:-1]) == 0
    assert "pool" in capsys.readouterr().out
    for wrong, words in (
        (["--policies", "guess"], "no policy 'guess'"),
        (["--lag", "soon"], "is not a time"),
        (["--channels", "a"], "is not a channel and its part"),
        (["--every-days", "0"], "more than 0"),
        (["--margin", "2"], "between 0 and 1"),
    ):
        assert main(["allocation", "simulate", str(file), *wrong]) == 1
        assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_file(), reason="the data set uci_online_retail is not there")
def test_a_year_of_a_real_shop_takes_a_minute_at_most() -> None:
    start = time.process_time()
    orders = read(DATA, SHARES)
    assert len(orders.lines) > 500_000
    found = {name: replay(orders.lines, Plan(NAMED[name], 900.0), orders.channels) for name in ("pool", "risk")}
    assert time.process_time() - start < 60
    assert found["risk"].stock_outs_oversold < found["pool"].stock_outs_oversold / 2
    assert found["risk"].margin_minor > found["pool"].margin_minor
