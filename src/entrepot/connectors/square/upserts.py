"""Writing catalog objects in one request, each in a batch of its own, so that one that Square refuses spares the others.

Every object names the version that it changes. Where Square says that one was changed meanwhile, or refuses a part, the rest is
read again before it is sent again: what was written already is then found as it should be.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from entrepot.channels.contract import Api, RateLimited, TemporarilyUnavailable, UnexpectedAnswer
from entrepot.channels.in_turn import as_lost
from entrepot.connectors.square import calls
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.reading import body_of, objects, optional_text

R = TypeVar("R")
Json = Mapping[str, Any]

CONFLICTS = frozenset({"CONFLICT", "VERSION_MISMATCH"})
ROUNDS_MAX = 3
_BATCH = re.compile(r"batches\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Written:
    """What Square answered for an object: it as it is now, and the ids of what was new in it."""

    object: Json
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """What is to be written, by name.

    `plan` reads anew and returns what is decided without a write, and the objects to write. `written` and `refused` make
    results; a refusal with a code of CONFLICTS means that it was changed again and again meanwhile.
    """

    plan: Callable[[Sequence[str]], Awaitable[tuple[dict[str, R], dict[str, dict[str, Any]]]]]
    written: Callable[[str, Written], R]
    refused: Callable[[str, SquareRejected], R]


async def upsert(api: Api, key: str, names: Sequence[str], work: Work[R], round_number: int = 0) -> dict[str, R]:
    """Write the objects; return a result for every name. Raises OutcomeUnknown where the answer was lost."""
    results, to_send = await work.plan(names)
    if not to_send:
        return results
    sent = list(to_send)
    call = calls.upsert_objects(_key(key, to_send), [[to_send[name]] for name in sent])
    try:
        body = body_of(await api.send(call))
    except SquareRejected as error:
        return results | await _after_refusal(api, key, sent, work, error, round_number)
    except RateLimited:
        raise
    except (TemporarilyUnavailable, UnexpectedAnswer) as error:
        raise as_lost(error) from error
    ids = {
        optional_text(each, "client_object_id"): optional_text(each, "object_id")
        for each in objects(body, "id_mappings")
    }
    by_id = {optional_text(each, "id"): each for each in objects(body, "objects")}
    for name in sent:
        own = str(to_send[name]["id"])
        results[name] = work.written(name, Written(by_id.get(ids.get(own, own), {}), ids))
    return results


async def _after_refusal(
    api: Api, key: str, names: list[str], work: Work[R], error: SquareRejected, round_number: int
) -> dict[str, R]:
    last = round_number + 1 >= ROUNDS_MAX
    if error.code in CONFLICTS and not last:
        return await upsert(api, key, names, work, round_number + 1)
    if len(names) == 1:
        return {names[0]: work.refused(names[0], error)}
    blamed = {int(match[1]) for field in error.fields if (match := _BATCH.search(field))}
    if blamed and error.code not in CONFLICTS:
        results = {name: work.refused(name, error) for index, name in enumerate(names) if index in blamed}
        good = [name for index, name in enumerate(names) if index not in blamed]
        return results | (await upsert(api, key, good, work) if good else {})
    middle = len(names) // 2
    first = await upsert(api, key, names[:middle], work)
    return first | await upsert(api, key, names[middle:], work)


def _key(key: str, to_send: Mapping[str, Json]) -> str:
    """Return the idempotency key of a request: the same for the same objects of the same batch."""
    content = hashlib.sha256(msgspec.json.encode([key, to_send], order="sorted")).hexdigest()
    return f"catalog-{content[:64]}"
