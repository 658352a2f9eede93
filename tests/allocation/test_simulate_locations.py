"""What if a location were not there: the file of units, and the command, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entrepot.allocation.location_file import UnreadableLocations, location_choices
from entrepot.cli import main

# Ten units of A in ten days, two of B; nothing comes in meanwhile.
ORDERS = (
    "time,sku,quantity,channel\n"
    + "".join(f"2026-03-{day:02}T10:00:00Z,A,1,shop\n" for day in range(1, 11))
    + "2026-03-10T10:00:00Z,B,1,shop\n2026-03-11T10:00:00Z,B,1,shop\n"
)


def test_units_by_location(tmp_path: Path) -> None:
    file = tmp_path / "units.csv"
    file.write_text("SKU,Location,Units\nA,North,6\nA,South,3\nA,South,1\nB,South,2\nC,North,0\n")
    assert location_choices(file) == {
        "": {},
        "without North": {"A": pytest.approx(0.4)},
        "without South": {"A": pytest.approx(0.6), "B": 0.0},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks columns: sku, location, units"),
        ("sku,location,units\n", "has no line"),
        ("sku,location,units\nA,,3\n", "line 2: location is empty"),
        ("sku,location,units\nA,North,3\n,North,3\n", "line 3: sku is empty"),
        ("sku,location,units\nA,North,-3\n", "line 2: units '-3' is not a whole number"),
        ("sku,location,units\nA,North\n", "line 2: units '' is not"),
        ("sku,location,units\n" + "".join(f"A,P{n},1\n" for n in range(21)), "21 locations: 20 at most"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "units.csv"
    file.write_text(text)
    with pytest.raises(UnreadableLocations) as wrong:
        location_choices(file)
    assert said in wrong.value.detail
    with pytest.raises(UnreadableLocations, match="cannot be read"):
        location_choices(tmp_path / "none.csv")


def test_each_location_is_left_out_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders, units = tmp_path / "orders.csv", tmp_path / "units.csv"
    orders.write_text(ORDERS)
    units.write_text("sku,location,units\nA,North,6\nA,South,4\nB,South,2\n")
    # The span is ten days: A starts with 10, B with 2.
    argv = [
        "allocation",
        "simulate",
        str(orders),
        "--policies",
        "pool",
        "--cover-days",
        "10",
        "--every-days",
        "100",
        "--json",
    ]
    assert main([*argv, "--locations", str(units)]) == 0
    found = json.loads(capsys.readouterr().out)["policies"]
    sold = {name: (tally["sold"], tally["asked"]) for name, tally in found.items()}
    assert sold == {"pool": (12, 12), "pool without North": (6, 12), "pool without South": (6, 12)}
    assert {tally["oversold"] for tally in found.values()} == {0}
