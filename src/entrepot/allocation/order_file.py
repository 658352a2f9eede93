"""Reads a file of past orders for the simulation: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from entrepot.allocation.simulate import OrderLine
from entrepot.kernel.errors import InvalidInput

NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "at", "ordered_at", "created_at", "date", "invoicedate"),
    "sku": ("sku", "stockcode", "variant_sku"),
    "quantity": ("quantity", "units", "qty"),
    "channel": ("channel", "source"),
    "price": ("price", "unitprice", "unit_price"),
    "order": ("order", "order_id", "invoiceno"),
}
"""Headings that are understood, whatever their case and with spaces for underscores."""
NEEDED = ("time", "sku", "quantity")
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
    rows = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    heads = next(rows, None)
    if heads is None:
        raise UnreadableOrders(f"{path} is empty: the first line must name its columns.")
    places = _places(path, [str(head) for head in heads])
    lines: list[tuple[OrderLine, str]] = []
    left_out = 0
    for number, row in enumerate(rows, start=2):
        if not any(value not in (None, "") for value in row):
            continue
        found = _line(path, number, row, places)
        if found is None:
            left_out += 1
        else:
            lines.append(found)
    if not lines:
        raise UnreadableOrders(f"{path} has no line with a quantity above 0.")
    assigned = "channel" not in places
    made = list(_assigned(lines, shares, seed)) if assigned else [line for line, _ in lines]
    made.sort(key=lambda line: line.at_s)
    sold: dict[str, int] = {}
    for line in made:
        sold[line.channel] = sold.get(line.channel, 0) + line.units
    channels = tuple(sorted(sold, key=lambda channel: (-sold[channel], channel)))
    return Orders(made, channels, left_out, assigned)


def _csv(path: Path) -> Iterator[Sequence[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            start = file.read(4096)
            file.seek(0)
            first = start.split("\n", 1)[0]
            delimiter = max(",;\t", key=first.count)
            yield from csv.reader(file, delimiter=delimiter)
    except FileNotFoundError:
        raise UnreadableOrders(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UnreadableOrders(f"{path} is a folder: name the file in it.") from None
    except UnicodeDecodeError:
        raise UnreadableOrders(f"{path} is not text in UTF-8: save it as CSV (UTF-8).") from None
    except (OSError, csv.Error) as error:
        raise UnreadableOrders(f"{path} cannot be read: {error}.") from None


def _parquet(path: Path) -> Iterator[Sequence[Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UnreadableOrders("Parquet needs pyarrow: install entrepot[sandbox], or save the file as CSV.") from None
    try:
        table = parquet.read_table(path)
    except FileNotFoundError:
        raise UnreadableOrders(f"There is no file {path}.") from None
    except (OSError, ArrowException) as error:
        raise UnreadableOrders(f"{path} cannot be read as Parquet: {error}.") from None
    names = [name for name in table.column_names if any(_plain(name) in known for known in NAMES.values())]
    yield names
    yield from zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _plain(head: str) -> str:
    return head.strip().lower().replace(" ", "_")


def _places(path: Path, heads: Sequence[str]) -> dict[str, int]:
    plain = [_plain(head) for head in heads]
    places = {}
    for what, names in NAMES.items():
        place = next((plain.index(name) for name in names if name in plain), None)
        if place is not None:
            places[what] = place
    missing = [what for what in NEEDED if what not in places]
    if missing:
        wanted = "; ".join(f"{what} ({', '.join(NAMES[what])})" for what in missing)
        found = ", ".join(heads) or "nothing"
        raise UnreadableOrders(f"{path} lacks columns: {wanted}. Its first line has: {found}.")
    return places


def _line(path: Path, number: int, row: Sequence[Any], places: Mapping[str, int]) -> tuple[OrderLine, str] | None:
    def value(what: str) -> Any:
        place = places.get(what)
        if place is None or place >= len(row):
            return ""
        return row[place] if row[place] is not None else ""

    def wrong(what: str, must: str) -> UnreadableOrders:
        return UnreadableOrders(f"{path}, line {number}: {what} {value(what)!r} {must}.")

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
    try:
        price = float(value("price") or 0)
    except ValueError:
        raise wrong("price", "is not a number") from None
    channel = str(value("channel")).strip()
    if "channel" in places and not channel:
        raise wrong("channel", "is empty")
    order = str(value("order")) or f"{at}/{number}"
    return OrderLine(at, sku, units, channel, max(0.0, price) * 100), order


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
