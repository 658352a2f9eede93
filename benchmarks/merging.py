"""Fields of listings. `merge_fields_s`: how many are merged in a second on one core; pure figures without a database.

Most fields of a catalog are as they were; one in ten was changed on one side or both, and one in a hundred asks its policy.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.report import Figures, Line
from entrepot.sync.merge import values
from entrepot.sync.merge.fields import FIELDS
from entrepot.sync.merge.policies import Policy, Question, Source, decide
from entrepot.sync.merge.rules import (
    FieldRule,
    FieldState,
    Outcome,
    Reading,
    agreed,
    merge,
    resolve,
    take_reading,
    taken_in,
)

KEYS = ("merge_fields_s",)
LISTINGS = 4_000
NAMES = ("title", "description", "vendor", "tags", "price", "images")
SEED = 20_261_121
NOW = datetime(2026, 11, 21, tzinfo=UTC)
DESCRIPTION = (
    "<p>{n}. Thrown by hand, glazed <b>twice</b>.</p><ul><li>Holds 300 ml</li><li>Dishwasher safe</li></ul>" * 3
)


def measure(seconds: float) -> tuple[Figures, list[Line]]:
    """Measure for about so many seconds."""
    rate = merge_fields_s(seconds)
    return {"merge_fields_s": rate}, [
        Line("Fields read, merged and decided, one core", f"{rate:,.0f}/s", "at least 16,667/s (1,000,000 a minute)")
    ]


def merge_fields_s(seconds: float) -> float:
    """Return how many fields a second go from what a channel told to what is to be done with them."""
    chance = random.Random(SEED)  # noqa: S311
    listings = [_listing(chance, n) for n in range(LISTINGS)]
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for fields in listings:
            for name, state, told, ours in fields:
                _field(name, state, told, ours)
            done += len(fields)
    return done / spent


def _field(name: str, state: FieldState, told: Any, ours: Any) -> FieldState:
    """Take a field as a channel told it, in its one form, and do what follows."""
    field = FIELDS[name]
    rule = RULES[name]
    state = take_reading(field.kind, state, Reading(_normal(name, told), NOW, NOW), timedelta(0))
    ours = _normal(name, ours)
    merged = merge(rule, state, ours)
    if merged.outcome is Outcome.AGREED:
        return agreed(state, ours)
    if merged.outcome is Outcome.IN:
        return taken_in(state)
    if merged.outcome is Outcome.CONFLICT:
        sides = Source("hub", ours, NOW), Source("shopify", state.theirs, NOW, 80)
        answer = decide(Policy.SOURCE_PRIORITY, Question(field.kind, state.base, *sides))
        if answer is not None:
            return resolve(field.kind, state, ours, answer.side, answer.value).state
    return state


RULES = {name: FieldRule(FIELDS[name].kind) for name in NAMES}


def _normal(name: str, given: Any) -> Any:
    match name:
        case "description":
            return values.html(given)
        case "tags":
            return values.tags(given)
        case "price":
            return values.money(given, "EUR")
        case "images":
            return values.images(given)
        case _:
            return values.text(given)


def _listing(chance: random.Random, n: int) -> list[tuple[str, FieldState, Any, Any]]:
    was: dict[str, Any] = {
        "title": f"Enamel  mug {n}, blue",
        "description": DESCRIPTION.format(n=n),
        "vendor": "Casa Verde",
        "tags": ("kitchen", "Mugs", f"line-{n % 20}"),
        "price": f"{n % 90}.50",
        "images": (f"https://hub.example/{n}/1.jpg", f"https://hub.example/{n}/2.jpg"),
    }
    after: dict[str, Any] = {
        "title": f"Mug {n}", "description": f"<p>New {n}</p>", "vendor": "Other", "tags": ("sale",),
        "price": f"{n % 90}.90", "images": (f"https://hub.example/{n}/3.jpg",),
    }  # fmt: skip
    found = []
    for name in NAMES:
        state = FieldState(
            base=_normal(name, was[name]), theirs=_normal(name, was[name]), read_at=NOW - timedelta(days=1)
        )
        happens = chance.random()
        told = after[name] if happens < 0.06 else was[name]
        ours = after[name] if 0.06 <= happens < 0.10 else was[name]
        if happens < 0.01:
            ours = was[name] * 2 if name != "price" else "1.00"
        elif name == "description" and happens > 0.9:
            told = told.replace("<b>", "<strong>").replace("</b>", "</strong>")
        found.append((name, state, told, ours))
    return found
