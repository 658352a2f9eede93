"""A contested field as a question to policies and people: who says what since when, what it could cost. Pure but for reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.channels.contracts import Connection, FindConnector
from entrepot.database.pool import Tx
from entrepot.sync.fields import conflict_store
from entrepot.sync.fields.conflict_store import Found
from entrepot.sync.fields.store import Row
from entrepot.sync.merge.fields import FIELDS
from entrepot.sync.merge.learning import Decision, Learned, learn
from entrepot.sync.merge.policies import HUB, HUB_PRIORITY, Answer, Policy, Question, Source, advise
from entrepot.sync.merge.rules import Side, Why
from entrepot.sync.merge.values import FieldKind, Value, amount, same


@dataclass(frozen=True, slots=True)
class Ours:
    """Our value of a field, whether it is this listing's own, and where it came from."""

    value: Value
    own: bool
    source: str
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Asker:
    """Makes questions of contested fields of one connection."""

    connection: Connection
    find_connector: FindConnector
    clock_offset: timedelta
    learned: Mapping[str, Learned]
    others: Mapping[tuple[UUID, str], Sequence[Source]]

    def question(self, row: Row, ours: Ours, variant_id: UUID) -> Question:
        """Return the question. Times are by our clock: the channel's is turned by how far it is off."""
        at = row.known.theirs_at
        return Question(
            FIELDS[row.field].kind,
            row.known.base,
            Source(ours.source, ours.value, ours.at, self._priority(ours.source)),
            Source(
                self.connection.channel,
                row.known.theirs,
                None if at is None else at - self.clock_offset,
                self._priority(self.connection.channel),
            ),
            tuple(self.others.get((variant_id, row.field), ())),
            self.learned.get(row.field, Learned()),
        )

    def _priority(self, source: str) -> int:
        return HUB_PRIORITY if source == HUB else self.find_connector(source).manifest.source_priority


async def asker(
    tx: Tx,
    connection: Connection,
    find_connector: FindConnector,
    clock_offset: timedelta,
    contested: Iterable[tuple[str, UUID]],
) -> Asker:
    """Return what makes questions of these contested (field, variant) of a connection, told what people decided before."""
    fields = sorted({name for name, _ in contested})
    variants = sorted({variant for _, variant in contested})
    past = await conflict_store.past(tx, connection.id, fields) if fields else []
    others: dict[tuple[UUID, str], list[Source]] = {}
    for row in await conflict_store.contested_elsewhere(tx, connection.id, variants) if variants else []:
        others.setdefault((row["variant_id"], row["field"]), []).append(Source(row["source"], row["theirs"]))
    return Asker(connection, find_connector, clock_offset, learned_of(past), others)


def learned_of(past: Iterable[Mapping[str, Any]]) -> dict[str, Learned]:
    """Return what resolved conflicts tell, by field."""
    history: dict[str, list[Decision]] = {}
    for row in past:
        chosen = row["resolution"]["value"]
        history.setdefault(row["field"], []).append(Decision(row["ours"], row["theirs"], chosen))
    return {name: learn(FIELDS[name].kind, decisions) for name, decisions in history.items() if name in FIELDS}


def asked_before(row: Mapping[str, Any], learned: Learned) -> Question:
    """Return the question of a conflict that is stored, as it stood then."""
    sources = row["sources"]
    sides = [
        Source(sources[s]["name"], row[s], row[f"{s}_at"], sources[s]["priority"])
        if s in sources
        else Source(HUB if s == "ours" else "", row[s], row[f"{s}_at"])
        for s in ("ours", "theirs")
    ]
    return Question(FIELDS[row["field"]].kind, row["base"], sides[0], sides[1], (), learned)


def found(row: Row, why: Why, question: Question, ours: Ours, variant_id: UUID) -> Found:
    """Return the conflict that a contested field is, with what a person is advised."""
    answer = _advice(why, question)
    return Found(
        kind="price" if question.kind is FieldKind.MONEY else "content",
        subject_id=row.listing_id,
        field=row.field,
        connection_id=row.connection_id,
        variant_id=variant_id,
        why=str(why),
        base=row.known.base,
        ours=ours.value,
        theirs=row.known.theirs,
        ours_by=ours.by,
        ours_at=ours.at,
        theirs_at=question.theirs.at,
        sources={
            s: {"name": v.name, "priority": v.priority}
            for s, v in (("ours", question.ours), ("theirs", question.theirs))
        },
        suggestion=None if answer is None else as_json(answer),
        risk=risk(row.field, why, question),
    )


def _advice(why: Why, question: Question) -> Answer | None:
    if why is Why.SWING_OUT:
        return None
    if why is Why.SWING_IN:
        return Answer(Side.OURS, question.ours.value, Policy.MANUAL, "Only theirs changed, and by more than the limit.")
    return advise(question)


def as_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as it is stored."""
    return {
        "side": str(answer.side),
        "value": answer.value,
        "policy": str(answer.policy),
        "reason": answer.reason,
    }


def risk(name: str, why: Why, question: Question) -> int:
    """Return how much a wrong answer may cost, 0 to 100: the field's weight, and for numbers how far they are apart."""
    weight = FIELDS[name].weight
    first, second = amount(question.kind, question.ours.value), amount(question.kind, question.theirs.value)
    if first is not None and second is not None:
        low, high = sorted((abs(first), abs(second)))
        apart = 100 if not low else min(100, int(100 * (high - low) / low))
        return min(100, weight + apart * 2 // 5 + (10 if why in (Why.SWING_IN, Why.SWING_OUT) else 0))
    return weight // 2 if why is Why.NEVER_AGREED else weight


def ours_now(
    name: str, catalog_value: Value, override: Mapping[str, Any] | None, origin: Mapping[str, Any] | None,
    seen_before: Row, changed_at: datetime,
) -> Ours:  # fmt: skip
    """Return our value of a field with where it came from: the listing's own, a channel's that came in, else the hub's."""
    kind = FIELDS[name].kind
    if override is not None:
        return Ours(override["value"], True, HUB, override["set_by"], override["set_at"])
    if origin is not None and same(kind, origin["value"], catalog_value):
        return Ours(catalog_value, False, origin["source"], origin["changed_by"], origin["changed_at"])
    known_at = seen_before.ours_at if seen_before.ours == catalog_value else None
    return Ours(catalog_value, False, HUB, "", known_at or changed_at)
