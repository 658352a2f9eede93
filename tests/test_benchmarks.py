"""The benchmarks run and say what they promise. No figure is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import merging, routing
from benchmarks.report import KEYS, as_json

ROOT = Path(__file__).parent.parent


def test_every_promised_figure_is_there_even_where_none_could_be_measured() -> None:
    found = json.loads(as_json({"http_reserve_s": 12.3456, "more": 1.0}, KEYS))
    assert list(found) == [*KEYS, "more"]
    assert (found["http_reserve_s"], found["publish_p99_ms"]) == (12.346, None)


@pytest.mark.slow
def test_reservations_are_measured(server_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "reservations", "--seconds", "1"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": server_url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *rows, last = done.stdout.splitlines()
    assert set(json.loads(last)) == {key for key in KEYS if key.startswith("reserve_")}
    assert sum("Holds/s" in row for row in rows) == 3


@pytest.mark.slow
def test_imports_are_measured(server_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "catalog"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": server_url},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["import_rows_s"] > 0


def test_chances_below_one_keep_their_digits() -> None:
    assert json.loads(as_json({"p": 0.0012345, "many": 12345.6789}, ("p",))) == {"p": 0.00123, "many": 12345.679}


def test_matching_without_its_data_says_so_for_each_set() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "matching"],
        cwd=ROOT,
        env={**os.environ, "ENTREPOT_DATA": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is not there") == 3
    nothing = dict.fromkeys(("walmart_amazon", "abt_buy", "amazon_google"))
    assert json.loads(done.stdout.splitlines()[-1]) == {"f1": nothing, "recall_at_95": nothing}


def test_reordering_without_its_data_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "reorder"],
        cwd=ROOT,
        env={**os.environ, "ENTREPOT_DATA": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "is not there" in done.stdout
    assert set(json.loads(done.stdout.splitlines()[-1]).values()) == {None}


def test_merging_fields_is_measured() -> None:
    assert merging.merge_fields_s(0.2) > 0


def test_routing_is_measured_on_orders_most_of_which_can_be_placed() -> None:
    rate, placed = routing.route_orders_s(0.2)
    assert rate > 0
    assert 0.5 < placed < 1
