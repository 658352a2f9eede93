"""The command that runs the whole job headless: the figures that it promises, judged by the marketplaces' own books."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from entrepot import demo

PROMISED = {
    "orders_placed", "orders_in_hub", "lost", "duplicated", "oversold_units", "avoidable_oversold_units", "listings",
    "stale_listings_at_end", "publish_lag_ms", "ledger_ok", "seconds",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "seed", "channels"),
    [
        ("none", 2, "shopify,amazon,square"),
        ("harsh", 3, "shopify,amazon,square"),
        ("harsh", 4, "shopify,amazon,square,ebay"),
    ],
)
def test_a_small_run_ends_with_nothing_lost_doubled_oversold_or_stale(faults: str, seed: int, channels: str) -> None:
    argv = ["demo", "--orders", "60", "--speed", "fast", "--faults", faults, "--seed", str(seed), "--json"]
    argv += ["--channels", channels]
    ended = subprocess.run(
        [sys.executable, "-m", "entrepot", *argv], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures.keys() >= PROMISED
    assert figures["publish_lag_ms"].keys() == {"p50", "p99"}
    assert (figures["orders_placed"], figures["orders_in_hub"], figures["listings"] > 0) == (60, 60, True)
    zeros = ("lost", "duplicated", "avoidable_oversold_units", "stale_listings_at_end")
    assert [figures[name] for name in zeros] == [0, 0, 0, 0]
    assert figures["ledger_ok"] is True
    assert bool(figures["faults_injected"]) == (faults == "harsh")
    assert figures["orders_by_channel"].keys() == set(channels.split(","))


def test_marketplaces_are_named_in_any_order_and_unknown_ones_are_said() -> None:
    assert demo.read_channels("ebay, shopify") == demo.read_channels("shopify,ebay,ebay") == ("shopify", "ebay")
    for wrong in ("", " , ", "shopify,etsy"):
        with pytest.raises(demo.NoSuchMarketplace, match="choose some of"):
            demo.read_channels(wrong)


def test_fixed_shares_are_nine_tenths_of_the_stock() -> None:
    assert demo.policy_of("fixed_shares", demo.CHANNELS) == demo.POLICIES["fixed_shares"]
    shares = demo.policy_of("fixed_shares", demo.read_channels("shopify,amazon,square,ebay"))["shares"]
    assert shares.keys() == {"shopify", "amazon", "square", "ebay"}
    assert sum(shares.values()) == pytest.approx(0.9, abs=0.003)
    assert demo.policy_of("risk", ("ebay",)) == demo.POLICIES["risk"]
