"""Reads a file of past orders for the simulation: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
import itertools
import math
import random
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from entrepot.allocation.replay_locations import ANGLES, NOWHERE, Destination
from entrepot.allocation.simulate import OrderLine
from entrepot.kernel.errors import InvalidInput

NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "at", "ordered_at", "created_at", "date", "invoicedate"),
    "sku": ("sku", "stockcode", "variant_sku"),
    "quantity": ("quantity", "units", "qty"),
    "channel": ("channel", "source"),
    "price": ("price", "unitprice", "unit_price"),
    "cost": ("cost", "unit_cost", "cost_price"),
    "order": ("order", "order_id", "invoiceno"),
    "country": ("country", "ship_country", "shipping_country", "country_code"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng"),
}
"""Headings that are understood, whatever their case and with spaces for underscores."""
NEEDED = ("time", "sku", "quantity")
DESTINATION = ("country", "latitude", "longitude")
FORMATS = ("%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y", "%d.%m.%Y")


class UnreadableOrders(InvalidInput):
    """The file of orders cannot be read."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Lines in order of time, their channels by sales (most first), and how many lines were left out (returns and the like).

    `assigned`: the file names no channels, so a seeded rule gave each order one.
    """

    lines: Sequence[OrderLine]
    channels: tuple[str, ...]
    left_out: int
    assigned: bool


def read(path: Path, shares: Mapping[str, float], *, seed: int = 1) -> Orders:
    """Return the orders of a file. Where it names no channels, each order gets one by these shares and the seed.

    Raises UnreadableOrders saying what is wrong, and where.
    """
    try:
        with path.open("rb") as source:
            return read_stream(source, str(path), form_of(path.name), shares, seed=seed)
    except FileNotFoundError:
        raise UnreadableOrders(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UnreadableOrders(f"{path} is a folder: name the file in it.") from None
    except OSError as error:
        raise UnreadableOrders(f"{path} cannot be read: {error}.") from None


def form_of(name: str) -> str:
    """Return what a file of this name is: csv or parquet."""
    return "parquet" if name.lower().endswith((".parquet", ".pq")) else "csv"


def read_stream(source: BinaryIO, name: str, form: str, shares: Mapping[str, float], *, seed: int = 1) -> Orders:
    """Return the orders of a file (`form`: csv or parquet) that is called `name` in what is said about it.

    Raises UnreadableOrders.
    """
    with closing(_parquet(source, name) if form == "parquet" else _csv(source, name)) as rows:
        lines, left_out, places = _read_lines(rows, name)
    if not lines:
        raise UnreadableOrders(f"{name} has no line with a quantity above 0.")
    assigned = "channel" not in places
    numbers: dict[str, int] = {}
    lines = [(line._replace(order=numbers.setdefault(order, len(numbers))), order) for line, order in lines]
    made = list(_assigned(lines, shares, seed)) if assigned else [line for line, _ in lines]
    made.sort(key=lambda line: line.at_s)
    sold: dict[str, int] = {}
    for line in made:
        sold[line.channel] = sold.get(line.channel, 0) + line.units
    channels = tuple(sorted(sold, key=lambda channel: (-sold[channel], channel)))
    return Orders(made, channels, left_out, assigned)


def _read_lines(rows: Iterator[Sequence[Any]], name: str) -> tuple[list[tuple[OrderLine, str]], int, Mapping[str, int]]:
    """Return the lines with their orders, how many were left out, and the columns."""
    heads = next(rows, None)
    if heads is None:
        raise UnreadableOrders(f"{name} is empty: the first line must name its columns.")
    places = _places(name, [str(head) for head in heads])
    lines: list[tuple[OrderLine, str]] = []
    left_out = 0
    for number, row in enumerate(rows, start=2):
        if not any(value not in (None, "") for value in row):
            continue
        found = _line(name, number, row, places)
        if found is None:
            left_out += 1
        else:
            lines.append(found)
    return lines, left_out, places


def check_head(text: str, name: str) -> None:
    """Check the columns of a CSV file by its first line. Raises UnreadableOrders."""
    first = text.removeprefix("\ufeff").split("\n", 1)[0]
    heads = next(csv.reader([first], delimiter=max(",;\t", key=first.count)), None)
    if not heads:
        raise UnreadableOrders(f"{name} is empty: the first line must name its columns.")
    _places(name, heads)


def _csv(source: BinaryIO, name: str) -> Generator[Sequence[Any], None, None]:
    file = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        first = file.readline()
        if first:
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(itertools.chain([first], file), delimiter=delimiter)
    except UnicodeDecodeError:
        raise UnreadableOrders(f"{name} is not text in UTF-8: save it as CSV (UTF-8).") from None
    except csv.Error as error:
        raise UnreadableOrders(f"{name} cannot be read: {error}.") from None
    finally:
        file.detach()  # The stream is its owner's to close.


def _parquet(source: BinaryIO, name: str) -> Generator[Sequence[Any], None, None]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UnreadableOrders("Parquet needs pyarrow: install entrepot[sandbox], or save the file as CSV.") from None
    try:
        table = parquet.read_table(io.BytesIO(source.read()))
    except (OSError, ArrowException) as error:
        raise UnreadableOrders(f"{name} cannot be read as Parquet: {error}.") from None
    names = [name for name in table.column_names if any(_plain(name) in known for known in NAMES.values())]
    yield names
    yield from zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _plain(head: str) -> str:
    return head.strip().lower().replace(" ", "_")


def _places(name: str, heads: Sequence[str]) -> dict[str, int]:
    plain = [_plain(head) for head in heads]
    places = {}
    for what, names in NAMES.items():
        place = next((plain.index(each) for each in names if each in plain), None)
        if place is not None:
            places[what] = place
    missing = [what for what in NEEDED if what not in places]
    if missing:
        wanted = "; ".join(f"{what} ({', '.join(NAMES[what])})" for what in missing)
        found = ", ".join(heads) or "nothing"
        raise UnreadableOrders(f"{name} lacks columns: {wanted}. Its first line has: {found}.")
    return places


def _line(name: str, number: int, row: Sequence[Any], places: Mapping[str, int]) -> tuple[OrderLine, str] | None:
    def value(what: str) -> Any:
        place = places.get(what)
        if place is None or place >= len(row):
            return ""
        return row[place] if row[place] is not None else ""

    def wrong(what: str, must: str) -> UnreadableOrders:
        return UnreadableOrders(f"{name}, line {number}: {what} {value(what)!r} {must}.")

    try:
        units = int(value("quantity"))
    except ValueError:
        raise wrong("quantity", "is not a whole number") from None
    if units <= 0:
        return None
    sku = str(value("sku")).strip()
    if not sku:
        raise wrong("sku", "is empty")
    at = _seconds(value("time"))
    if at is None:
        raise wrong("time", "is not a time such as 2026-01-31 14:05")
    price = _amount(value("price"))
    if price is None:
        raise wrong("price", "is not a number")
    cost = _amount(value("cost"))
    if cost is None:
        raise wrong("cost", "is not a number")
    margin = None if value("cost") == "" else (max(0.0, price) - cost) * 100
    channel = str(value("channel")).strip()
    if "channel" in places and not channel:
        raise wrong("channel", "is empty")
    order = str(value("order")) or f"{at}/{number}"
    to = NOWHERE
    if not places.keys().isdisjoint(DESTINATION):
        degrees = []
        for what, most in ANGLES.items():
            found = _amount(value(what))
            if found is None or abs(found) > most:
                raise wrong(what, f"is not a number of degrees from -{most:g} to {most:g}")
            degrees.append(None if value(what) == "" else found)
        to = Destination(str(value("country")).strip(), degrees[0], degrees[1])
    return OrderLine(at, sku, units, channel, max(0.0, price) * 100, margin, to=to), order


def _amount(value: Any) -> float | None:
    """Return an amount, 0 for nothing, None for what is not one."""
    try:
        found = float(value or 0)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _seconds(value: Any) -> float | None:
    if isinstance(value, datetime):
        found = value
    else:
        text = str(value).strip()
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            for form in FORMATS:
                try:
                    found = datetime.strptime(text, form).replace(tzinfo=UTC)
                    break
                except ValueError:
                    continue
            else:
                return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _assigned(lines: Iterable[tuple[OrderLine, str]], shares: Mapping[str, float], seed: int) -> Iterator[OrderLine]:
    """An order's lines go to one channel, the same one whenever the file is read with this seed."""
    names = list(shares)
    sums = list(itertools.accumulate(shares.values()))
    chosen: dict[str, str] = {}
    for line, order in lines:
        channel = chosen.get(order)
        if channel is None:
            draw = random.Random(f"{seed}/{order}").random() * sums[-1]  # noqa: S311
            channel = chosen[order] = next(n for n, upto in zip(names, sums, strict=True) if draw < upto)
        yield line._replace(channel=channel)
