"""The command that runs the whole job headless: the figures that it promises, judged by the marketplaces' own books."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROMISED = {
    "orders_placed", "orders_in_hub", "lost", "duplicated", "oversold_units", "avoidable_oversold_units", "listings",
    "stale_listings_at_end", "publish_lag_ms", "ledger_ok", "seconds",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "seed"), [("none", 2), ("harsh", 3)])
def test_a_small_run_ends_with_nothing_lost_doubled_oversold_or_stale(faults: str, seed: int) -> None:
    argv = ["demo", "--orders", "60", "--speed", "fast", "--faults", faults, "--seed", str(seed), "--json"]
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
