"""What if a location were not there: the file of units, and the command, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entrepot.allocation.location_choices import (
    InvalidLocationChoice,
    LocationChoice,
    Moving,
    Placing,
    choice_of,
    placed,
    sent_by,
)
from entrepot.allocation.location_file import Stores, UnreadableLocations, read_stores
from entrepot.allocation.replay_locations import Location, Move
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
    assert read_stores(file) == Stores((Location("North"), Location("South")), {"A": [6, 4], "B": [0, 2], "C": [0, 0]})
    file.write_text(
        "sku,location,units,country,latitude,longitude\nA,North,6,DE,52.5,13.4\nA,South,3,PT,,\nA,South,1,,,\n"
    )
    assert read_stores(file).locations == (Location("North", "DE", 52.5, 13.4), Location("South", "PT"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks columns: sku, location, units"),
        ("sku,location,units\n", "has no line"),
        ("sku,location,units\nA,,3\n", "line 2: location is empty"),
        ("sku,location,units\nA,North,3\n,North,3\n", "line 3: sku is empty"),
        ("sku,location,units\nA,North,-3\n", "line 2: units '-3' is not a whole number"),
        ("sku,location,units\nA,North\n", "line 2: units '' is not"),
        (
            "sku,location,units,latitude\nA,North,1,91\n",
            "line 2: latitude '91' is not a number of degrees from -90 to 90",
        ),
        ("sku,location,units,longitude\nA,North,1,far\n", "line 2: longitude 'far' is not a number"),
        ("sku,location,units\n" + "".join(f"A,P{n},1\n" for n in range(21)), "21 locations: 20 at most"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "units.csv"
    file.write_text(text)
    with pytest.raises(UnreadableLocations) as wrong:
        read_stores(file)
    assert said in wrong.value.detail
    with pytest.raises(UnreadableLocations, match="cannot be read"):
        read_stores(tmp_path / "none.csv")


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


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("all", LocationChoice("All locations")),
        ("Without north", LocationChoice("Without North", ["North"])),
        ("only North", LocationChoice("Only North", ["South", "Far at Sea"])),
        ("North at South", LocationChoice("North at South", [], [Moving("North", "South")])),
        (
            "30% of North at south at first",
            LocationChoice("30% of North at South at first", [], [Moving("North", "South", 0.3, True)]),
        ),
    ],
)  # fmt: skip
def test_choices_are_typed(text: str, choice: LocationChoice) -> None:
    assert choice_of(text, ["North", "South", "Far at Sea"]) == choice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("without East", "where X and Y are among North, South"),
        ("North", "write only North"),
        ("North at North", "not to the same"),
        ("0% of North at South", "more than 0"),
        ("", "names no location"),
    ],
)
def test_choices_that_make_no_sense_are_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidLocationChoice) as wrong:
        choice_of(text, ["North", "South"])
    assert said in wrong.value.detail


def test_choices_by_place() -> None:
    choice = LocationChoice("x", ["b"], [Moving("c", "a", 0.5, True)], "nearest")
    assert placed(choice, ["a", "b", "c"], ["c", "gone"]) == Placing([1, 2], [Move(2, 0, 0.5, True)], True)
    with pytest.raises(InvalidLocationChoice, match="not in use"):
        placed(choice, ["a", "b"])
    both = sent_by([LocationChoice("All locations")], ["priority", "nearest"])
    assert [(each.name, each.send) for each in both] == [
        ("All locations", "priority"),
        ("All locations, sent from the nearest", "nearest"),
    ]


def test_the_nearest_is_compared_at_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders, units = tmp_path / "orders.csv", tmp_path / "units.csv"
    # Ten orders of a unit, by turns to Portugal and Germany; six units in Germany, four in Portugal.
    rows = [f"2026-03-{day:02}T10:00:00Z,A,1,shop,10,{'PT' if day % 2 else 'DE'}\n" for day in range(1, 11)]
    orders.write_text("time,sku,quantity,channel,price,country\n" + "".join(rows))
    units.write_text("sku,location,units,country\nA,North,6,DE\nA,South,4,PT\n")
    argv = ["allocation", "simulate", str(orders), "--policies", "pool", "--cover-days", "9", "--every-days", "100",
            "--locations", str(units)]  # fmt: skip
    assert main([*argv, "--choices", "all; North at South", "--send", "priority,nearest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: (tally["sold"], tally["parcels_abroad"]) for name, tally in found["policies"].items()} == {
        "pool": (10, 5),
        "pool all locations, sent from the nearest": (10, 1),
        "pool North at South": (10, 5),
        "pool North at South, sent from the nearest": (10, 5),
    }
    assert (
        "Abroad most rarely: “All locations, sent from the nearest” (10.00% of its parcels)" in found["conclusions"][-1]
    )
    assert main([*argv, "--choices", "only East"]) == 1
    assert "--choices: 'only East' names no location" in " ".join(capsys.readouterr().err.split())
    assert main([*argv, "--send", "air"]) == 1
    assert main(argv) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "At 60s pool with “All locations” earns most, 100.00%" in said
    assert "10 (10)" in said
    assert "In brackets: the clairvoyant's" in said
    assert "Split most rarely" not in said
