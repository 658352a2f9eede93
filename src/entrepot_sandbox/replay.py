"""Replays a real order file: UCI Online Retail (a British gift seller's invoices of a year), time compressed.

Left out: codes that are no products (postage, fees, manual entries, vouchers), lines without a price, and corrections
of stock. Invoices that begin with C are cancellations, matched to the customer's latest earlier order of the SKU.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from entrepot_sandbox.books import Product, Sale, World
from entrepot_sandbox.goods import opening_stock
from entrepot_sandbox.shoppers import Regret, Visit, customer_of, spread

FILE_NAME = "online_retail.parquet"
CURRENCY = "GBP"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
NO_PRODUCTS = frozenset(
    {"POST", "D", "M", "BANK CHARGES", "AMAZONFEE", "DOT", "CRUK", "S", "PADS", "B", "C2"},
)
_COUNTRIES = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA",
    "Channel Islands": "JE", "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI",
    "France": "FR", "Germany": "DE", "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL",
    "Italy": "IT", "Japan": "JP", "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT", "Netherlands": "NL",
    "Norway": "NO", "Poland": "PL", "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG",
    "Spain": "ES", "Sweden": "SE", "Switzerland": "CH", "USA": "US", "United Arab Emirates": "AE",
    "United Kingdom": "GB",
}  # fmt: skip


class Entry(NamedTuple):
    """One line of the file, as far as it is about a product. `at` in microseconds (of any epoch)."""

    invoice: str
    sku: str
    title: str
    units: int
    price: Decimal
    at: int
    customer: str
    country: str


@cache
def product_code(code: str) -> str | None:
    """Return the SKU of a stock code, None where it stands for no product."""
    sku = code.strip().upper()
    return None if not sku or sku in NO_PRODUCTS or sku.startswith("GIFT_") else sku


@cache
def _price(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


@cache
def _title(text: str) -> str:
    return " ".join(text.split()).capitalize()


def entry_of(row: Sequence[Any]) -> Entry | None:
    """Return the entry of a row (in the order of COLUMNS), None where it is no sale or cancellation of a product."""
    invoice, code, description, units, at, value, customer, country = row
    sku, price = product_code(code), _price(value)
    if sku is None or price <= 0 or units == 0 or (units < 0) != invoice.startswith("C"):
        return None
    buyer = "" if customer is None else str(customer)
    return Entry(invoice, sku, _title(description or sku), units, price, at, buyer, _COUNTRIES.get(country, "GB"))


def read_invoices(folder: Path, lines: int = 0) -> list[list[Entry]]:
    """Return the invoices of the first `lines` lines of the file (0: of all), oldest first.

    Raises FileNotFoundError where the file is absent (ask `available` first).
    """
    import pyarrow.parquet as parquet

    table = parquet.read_table(folder / FILE_NAME, columns=list(COLUMNS)).slice(0, lines or None)
    table = table.set_column(COLUMNS.index("InvoiceDate"), "InvoiceDate", table.column("InvoiceDate").cast("int64"))
    rows = zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)
    entries = [entry for row in rows if (entry := entry_of(row)) is not None]
    entries.sort(key=lambda entry: (entry.at, entry.invoice))
    return [list(invoice) for _, invoice in groupby(entries, key=lambda entry: entry.invoice)]


def available(folder: Path) -> bool:
    """Return whether the file is there."""
    return (folder / FILE_NAME).is_file()


def replay_products(invoices: Sequence[Sequence[Entry]], count: int, seed: int) -> tuple[Product, ...]:
    """Return the `count` products that stand on most invoices (0: all), with a stock that some will run out of.

    The file knows no stock: it is the usual units of a line times a seeded number, mostly 5 to 60.
    """
    lines: defaultdict[str, list[Entry]] = defaultdict(list)
    for invoice in invoices:
        for entry in invoice:
            if entry.units > 0:
                lines[entry.sku].append(entry)
    chosen = sorted(lines, key=lambda sku: (-len(lines[sku]), sku))[: count or None]
    chance = random.Random(f"{seed}/replay")  # noqa: S311
    products = []
    for sku in chosen:
        entries = lines[sku]
        title = Counter(entry.title for entry in entries).most_common(1)[0][0]
        price = Counter(entry.price for entry in entries).most_common(1)[0][0]
        usual = max(1, int(statistics.median(entry.units for entry in entries)))
        products.append(Product(sku, title, price, CURRENCY, "", usual * opening_stock(chance)))
    return tuple(products)


class ReplayDemand:
    """The file's customers, in its order. A customer always comes to the same channel; who it is, the seed decides.

    Pauses keep the file's own rhythm: an invoice of the same minute follows at once, a night is as long as a long pause
    by day.
    """

    invents_cancellations = False

    def __init__(self, world: World, invoices: Sequence[Sequence[Entry]], shares: Mapping[str, float]) -> None:
        self._world, self._shares = world, shares
        self._happenings = self._all(invoices)

    def __next__(self) -> Visit | Regret:
        """Return what happens next. Raises StopIteration at the end of the file."""
        return next(self._happenings)

    def _all(self, invoices: Sequence[Sequence[Entry]]) -> Iterator[Visit | Regret]:
        pauses = _pauses([invoice[0].at for invoice in invoices])
        for invoice, gap in zip(invoices, pauses, strict=True):
            lines: Counter[str] = Counter()
            for entry in invoice:
                if entry.sku in self._world.products:
                    lines[entry.sku] += entry.units
            first = invoice[0]
            if first.invoice.startswith("C"):
                for sku, units in lines.items():
                    yield Regret(first.customer, sku, -units, 0.0)
            elif lines:
                name = first.customer or first.invoice
                sale = Sale(tuple(lines.items()), customer_of(self._world.seed, name, first.country))
                channel = spread(self._world.seed, name, self._shares)
                yield Visit(channel, sale, gap, takes_what_is_there=True, customer=first.customer)


LONGEST_PAUSE_S = 900.0


def _pauses(times: Sequence[int]) -> list[float]:
    """Return the pause before each time, long ones cut, in units of their mean."""
    seconds = [0.0] + [min(LONGEST_PAUSE_S, (later - earlier) / 1e6) for earlier, later in pairwise(times)]
    mean = sum(seconds) / len(seconds) if seconds else 0.0
    return [pause / mean if mean else 1.0 for pause in seconds]
