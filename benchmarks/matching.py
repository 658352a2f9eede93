"""Same product or not, on pairs of two shops whose truth is known: F1, and recall at 95% precision.

Protocol: learned on `train`, calibrated and thresholds chosen on `valid`, reported on `test`. Blocking and standing use
both shops' records, as the hub does, never a label. Data: `listing_match` (see `ENTREPOT_DATA`); skipped without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Figures, Line
from entrepot.catalog.matching.blocking import Index, stand
from entrepot.catalog.matching.boosting import Growing
from entrepot.catalog.matching.features import compare, nearness, weigh
from entrepot.catalog.matching.judging import best_f1_from, f1, precise_from, precision_recall
from entrepot.catalog.matching.model import PLAIN, Model, learn
from entrepot.catalog.matching.words import Record, prepare

SETS: Mapping[str, tuple[str, float]] = {
    "walmart_amazon": ("Walmart-Amazon", 0.88),
    "abt_buy": ("Abt-Buy", 0.88),
    "amazon_google": ("Amazon-Google", 0.65),
}
KEYS = ("f1", "recall_at_95")
DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "listing_match"


@dataclass(slots=True)
class Split:
    """Pairs of one split."""

    rows: list[list[float]]
    truth: list[bool]


def measure(seconds: float) -> tuple[Figures, list[Line]]:
    """Measure all three; they are small, so `seconds` changes nothing."""
    figures: dict[str, dict[str, float | None]] = {key: dict.fromkeys(SETS) for key in KEYS}
    lines: list[Line] = []
    for name, (title, target) in SETS.items():
        path = DATA / f"{name}.parquet"
        if not path.exists():
            lines.append(Line(title, "skipped", f"{path} is not there: set ENTREPOT_DATA"))
            continue
        found, told = _measure(path, title, target)
        for key in KEYS:
            figures[key][name] = found[key]
        lines += told
    return figures, lines


def _measure(path: Path, title: str, target: float) -> tuple[dict[str, float], list[Line]]:
    began = time.process_time()
    splits, reached = _pairs(path)
    train, valid, test = splits["train"], splits["valid"], splits["test"]
    compared = time.process_time()
    model = learn(train.rows, train.truth, valid.rows, valid.truth, Growing())
    learned = time.process_time()
    figures, words = _judge(model, valid, test)
    before, _ = _judge(PLAIN, valid, test)
    pairs = sum(len(split.rows) for split in splits.values())
    return figures, [
        Line(f"{title}: F1", f"{figures['f1']:.3f}", f"wanted {target:.2f}; the scorecard alone {before['f1']:.3f}"),
        Line(f"{title}: recall at 95% precision", f"{figures['recall_at_95']:.3f}", words),
        Line(f"{title}: true pairs that blocking finds", f"{reached:.1%}", "10 candidates for each listing"),
        Line(
            f"{title}: CPU",
            f"{(compared - began) / pairs * 1e6:,.0f} us a pair",
            f"{learned - compared:.0f} s to learn",
        ),
    ]


def _judge(model: Model, valid: Split, test: Split) -> tuple[dict[str, float], str]:
    """Choose thresholds on `valid`, report on `test`."""
    chosen_on = [model.score(row) for row in valid.rows]
    scores = [model.score(row) for row in test.rows]
    f1_from = best_f1_from(chosen_on, valid.truth)
    sure_from = precise_from(chosen_on, valid.truth, deviations=0.0)
    precision, recall = precision_recall(scores, test.truth, sure_from if sure_from is not None else 2.0)
    return {
        "f1": f1(*precision_recall(scores, test.truth, f1_from)),
        "recall_at_95": recall,
    }, f"score {sure_from if sure_from is not None else 1:.2f} chosen on valid; precision on test {precision:.3f}"


def _pairs(path: Path) -> tuple[dict[str, Split], float]:
    """Return the pairs by split, and the share of true pairs that blocking finds."""
    import pyarrow.parquet as parquet

    rows: Sequence[Mapping[str, Any]] = parquet.read_table(path).to_pylist()
    pairs = [(_record(row, "l_"), _record(row, "r_")) for row in rows]
    left = {record: prepare(record) for record, _ in pairs}
    right = {record: prepare(record) for _, record in pairs}
    weights = weigh([*(p.more_words for p in left.values()), *(p.more_words for p in right.values())])
    index: Index[Record] = Index((p.words for p in left.values()), weights)
    for record, prepared in right.items():
        index.add(record, prepared.words)
    found = {record: index.nearest(prepared.words) for record, prepared in left.items()}
    met = {(a, b) for a, candidates in found.items() for b, _ in candidates}
    true = [pair for pair, row in zip(pairs, rows, strict=True) if row["label"]]
    # Pairs of the benchmark that our blocking would not have met are compared all the same: every one counts.
    for a, b in dict.fromkeys(pairs):
        if (a, b) not in met:
            found[a].append((b, nearness(weights, left[a].words, right[b].words)))
    standing = stand(found)
    splits = {name: Split([], []) for name in ("train", "valid", "test")}
    for (a, b), row in zip(pairs, rows, strict=True):
        split = splits[row["split"]]
        split.rows.append(compare(left[a], right[b], weights, standing[a, b]))
        split.truth.append(bool(row["label"]))
    return splits, sum(pair in met for pair in true) / len(true)


def _record(row: Mapping[str, Any], side: str) -> Record:
    def value(*names: str) -> str:
        return next((str(row[side + name]) for name in names if row.get(side + name)), "")

    return Record(
        title=value("title", "name"),
        brand=value("brand", "manufacturer"),
        code=value("modelno"),
        description=value("description"),
        price_minor=_price(value("price")),
        currency="USD",
    )


def _price(text: str) -> int | None:
    try:
        return round(float(text.replace("$", "").replace(",", "").split()[0]) * 100)
    except (ValueError, IndexError):
        return None
