"""How pages write numbers, money and times. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from entrepot.kernel.money import exponent, to_decimal

_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
NONE = "–"

WORDS = {
    "open": "Open",
    "pending": "Pending",
    "ready": "Packed",
    "partly_shipped": "Partly shipped",
    "shipped": "Shipped",
    "cancelled": "Cancelled",
    "healthy": "Healthy",
    "degraded": "Slow",
    "down": "Down",
    "paused": "Paused",
    "needs_attention": "Needs you",
    "disconnected": "Disconnected",
    "new": "New",
    "in_step": "In step",
    "differs": "Differs",
    "error": "Error",
    "queued": "Queued",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "held": "Failed, held",
    "dismissed": "Dismissed",
    "active": "Active",
    "draft": "Draft",
    "reserve": "Reserved",
    "sale": "Shipped",
    "release": "Released",
    "ship": "Shipped",
    "count": "Counted",
    "hold": "Held",
    "expire": "Hold ended",
    "purchase": "Came in",
    "return": "Returned",
    "damage": "Damaged",
    "archived": "Archived",
    "transfer": "Transferred",
    "adjustment": "Corrected",
    "goods": "Goods",
    "claims": "Claims",
    "in_transit": "In transit",
    "partly_received": "Partly in",
    "received": "Received",
    "ordered": "Ordered",
    "confirmed": "Taken over",
    "warehouse": "Warehouse",
    "store": "Store",
    "supplier": "Supplier",
    "dropship": "Dropship",
    "undoing": "Being undone",
    "problem": "Not changed",
    "left": "Left alone",
    "accepted": "Accepted",
    "rejected": "Rejected",
    "awaiting_approval": "Waits for approval",
    "approved": "Approved",
    "in_progress": "In progress",
    "completed": "Completed",
    "best-practice": "Best practice",
    "first_approval": "Approved by the first of two",
    "carry_out": "Carried out",
    "send_back": "Sent back for review",
    "approve": "Approved",
    "reject": "Rejected",
    "assign": "Assigned",
    "complete": "Completed",
    "edit": "Edited",
    "undo": "Undone",
    "finish": "Finished",
    "verify": "Read back",
    "create": "Proposed",
    "submit": "Handed in",
    "unconfirmed": "Not confirmed",
}
TONES = {
    "in_progress": "warn", "ready": "info",
    "open": "info", "pending": "warn", "partly_shipped": "info", "shipped": "ok", "cancelled": "muted",
    "healthy": "ok", "degraded": "warn", "down": "bad", "paused": "muted", "needs_attention": "bad",
    "disconnected": "muted", "new": "info", "in_step": "ok", "differs": "warn", "error": "bad",
    "queued": "muted", "running": "info", "done": "ok", "failed": "bad", "held": "bad", "dismissed": "muted",
    "active": "ok", "draft": "muted", "archived": "muted",
    "in_transit": "info", "ordered": "info", "partly_received": "warn", "received": "ok", "confirmed": "ok",
    "publishing": "info", "live": "ok", "ending": "info", "ended": "muted",
    "awaiting_approval": "warn", "approved": "info", "completed": "ok", "rejected": "muted",
    "verified": "ok", "unconfirmed": "warn",
    "undoing": "info", "undone": "muted", "changed": "ok", "problem": "bad", "left": "warn",
}  # fmt: skip


def word(code: str) -> str:
    """Return the words for a state or kind."""
    return WORDS.get(code) or code.replace("_", " ").replace(".", " ").capitalize()


def tone(code: str) -> str:
    """Return the colour role of a state: ok, info, warn, bad or muted."""
    return TONES.get(code, "muted")


def number(value: int | None) -> str:
    """Return a whole number with thousands separators; a dash for what is unknown."""
    return NONE if value is None else f"{value:,}".replace("-", "−")


def figure(value: float, digits: int = 3) -> str:
    """Return a measured number with so many significant digits and never an exponent: `0.25`, `1,560`."""
    if not value:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{round(value, digits - 1 - math.floor(math.log10(abs(value)))):,.{places}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: int) -> str:
    """Return a number with its sign (a true minus)."""
    return f"+{value:,}" if value > 0 else number(value)


def money(minor: int | None, currency: str | None) -> str:
    """Return an amount such as `€ 1,234.50`; a dash for what is unknown."""
    if minor is None or currency is None:
        return NONE
    text = f"{to_decimal(abs(minor), currency):,.{exponent(currency)}f}"
    return f"{'−' if minor < 0 else ''}{_SIGNS.get(currency, currency)}\u00a0{text}"


def rhythm(cron: str) -> str:
    """Return what a schedule such as `*/5 * * * *`, `7 * * * *` or `20 0 * * *` means; others as they are."""
    minute, *rest = cron.split()
    if [minute, *rest] == ["*"] * 5:
        return "every minute"
    if rest[1:] == ["*"] * 3 and minute.isdigit() and rest[0].isdigit():
        return f"every day at {int(rest[0]):02}:{int(minute):02} UTC"
    if rest == ["*"] * 4 and minute.startswith("*/"):
        return f"every {minute[2:]} minutes"
    if rest == ["*"] * 4 and minute.isdigit():
        return f"every hour, {int(minute)} min past"
    return cron


def plain_amount(minor: int, currency: str) -> str:
    """Return an amount as it is typed: `1234.50`."""
    return str(to_decimal(minor, currency))


def short(value: Decimal) -> str:
    """Return a number without zeros at its end: `1.08`, `10`."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago that was: `8 s ago`, `6 min ago`, `3 h ago`, `2 d ago`; `never` if not at all."""
    if at is None:
        return "never"
    seconds = int((now - at).total_seconds())
    if seconds < 0:
        return "just now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def zone(name: str) -> tzinfo:
    """Return the time zone of that name, UTC if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def moment(at: datetime | None, where: tzinfo, now: datetime) -> str:
    """Return a time for people: `10:42:05` today, else `19 Nov 10:42`, with the year if it is another one."""
    if at is None:
        return NONE
    local, today = at.astimezone(where), now.astimezone(where)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if local.year == today.year:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b %Y}"


def duration(start: datetime, end: datetime) -> str:
    """Return a span: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    seconds = max(0, int((end - start).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def every(seconds: int) -> str:
    """Return an interval: `30 s`, `5 min`, `2 h`."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
