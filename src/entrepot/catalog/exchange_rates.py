"""Exchange rates with their day and source, entered by hand or from a file. The hub asks nobody for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from entrepot.catalog.price_events import tell_rates
from entrepot.catalog.pricing import Rate
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput

RATES_MAX = 10_000


class InvalidRates(InvalidInput):
    """The exchange rates are not valid."""


async def newest_rates(tx: Tx) -> dict[tuple[str, str], Rate]:
    """Return the newest rate of each pair of currencies; those of days to come do not count yet."""
    rows = await tx.fetch(
        """select distinct on (base, quote) base, quote, rate, day, source from exchange_rate
           where organisation_id = $1 and day <= (now() at time zone 'utc')::date order by base, quote, day desc""",
        tx.organisation,
    )
    return {
        (row["base"], row["quote"]): Rate(row["base"], row["quote"], row["rate"], row["day"], row["source"])
        for row in rows
    }


async def rates_changed_at(tx: Tx) -> datetime | None:
    """Return when a rate that counts was entered last."""
    found: datetime | None = await tx.fetch_value(
        "select max(created_at) from exchange_rate where organisation_id = $1 and day <= (now() at time zone 'utc')::date",
        tx.organisation,
    )
    return found


async def list_rates(tx: Tx, limit: int = 200) -> tuple[Rate, ...]:
    """Return the newest rates that were entered, of all days."""
    rows = await tx.fetch(
        "select base, quote, rate, day, source from exchange_rate where organisation_id = $1"
        " order by day desc, base, quote limit $2",
        tx.organisation,
        limit,
    )
    return tuple(Rate(row["base"], row["quote"], row["rate"], row["day"], row["source"]) for row in rows)


async def save_rates(tx: Tx, rates: Sequence[Rate], actor: str) -> int:
    """Write rates, each replacing the one of its pair and day; return how many. Prices of channels follow.

    Raises InvalidRates.
    """
    if not 0 < len(rates) <= RATES_MAX:
        raise InvalidRates(f"Send 1 to {RATES_MAX:,} rates.")
    for rate in rates:
        _check_rate(rate)
    last = {(rate.base, rate.quote, rate.day): rate for rate in rates}
    chosen = [last[key] for key in sorted(last)]
    written = await tx.execute(
        """insert into exchange_rate (organisation_id, base, quote, day, rate, source, actor, followed)
           select $1, i.base, i.quote, i.day, i.rate, i.source, $2, i.day <= (now() at time zone 'utc')::date
           from unnest($3::text[], $4::text[], $5::date[], $6::numeric[], $7::text[]) as i(base, quote, day, rate, source)
           on conflict (organisation_id, base, quote, day) do update set
               rate = excluded.rate, source = excluded.source, actor = excluded.actor, followed = excluded.followed,
               created_at = now()""",
        tx.organisation,
        actor,
        [rate.base for rate in chosen],
        [rate.quote for rate in chosen],
        [rate.day for rate in chosen],
        [rate.value for rate in chosen],
        [rate.source for rate in chosen],
    )
    await tell_rates(tx)
    return written


def _check_rate(rate: Rate) -> None:
    for code in (rate.base, rate.quote):
        if len(code) != 3 or not code.isascii() or not code.isupper():
            raise InvalidRates(f"{code!r} is not a currency code such as EUR.")
    if rate.base == rate.quote:
        raise InvalidRates(f"A rate is between two currencies, not from {rate.base} to itself.")
    if not rate.value.is_finite() or not Decimal("0.0000001") <= rate.value < 10**10:
        raise InvalidRates(f"The rate from {rate.base} to {rate.quote} is out of bounds: {rate.value}.")
    if not 0 < len(rate.source) <= 100 or "\x00" in rate.source:
        raise InvalidRates("Say where the rate is from, in 1 to 100 characters, such as ECB.")


def read_rates(text: str, source: str = "") -> list[Rate]:
    """Read rates from CSV: columns base, quote, rate, day and source, or the European Central Bank's file of a day.

    The bank's file has a column Date and one per currency, each the worth of one euro. Pure. Raises InvalidRates,
    naming the row.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    header = [cell.strip() for cell in rows[0]] if rows else []
    lower = [cell.lower() for cell in header]
    body = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(rows[1:], 2)
        if any(c.strip() for c in row)
    ]
    if lower[:1] == ["date"]:
        return [
            _rate(number, "EUR", code, cell, row[0], source or "ECB")
            for number, row in body
            for code, cell in zip(header[1:], row[1:], strict=False)
            if code and cell and cell != "N/A"
        ]
    if not {"base", "quote", "rate", "day"} <= set(lower):
        raise InvalidRates("The file needs the columns base, quote, rate and day, or is the ECB's with Date first.")
    found = []
    for number, row in body:
        told = dict(zip(lower, row, strict=False))
        found.append(
            _rate(number, told.get("base", ""), told.get("quote", ""), told.get("rate", ""), told.get("day", ""),
                  told.get("source", "") or source)
        )  # fmt: skip
    return found


def _rate(row: int, base: str, quote: str, value: str, day: str, source: str) -> Rate:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidRates(f"Row {row}: {value[:40]!r} is not a rate such as 1.0825.") from None
    rate = Rate(base.upper(), quote.upper(), number, _day(day, row), source)
    try:
        _check_rate(rate)
    except InvalidRates as error:
        raise InvalidRates(f"Row {row}: {error.detail}") from None
    return rate


def _day(text: str, row: int) -> date:
    for form in ("%Y-%m-%d", "%d %B %Y"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 (a day has no zone)
        except ValueError:
            continue
    raise InvalidRates(f"Row {row}: {text[:40]!r} is not a day such as 2026-11-20.")
