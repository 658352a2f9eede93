"""What people ask: publish, unpublish, archive or delete products on channels, look first, try again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog import bulk, search
from entrepot.catalog import facade as catalog
from entrepot.catalog import publishing as catalog_publishing
from entrepot.catalog.bulk import Selection
from entrepot.catalog.filters import filter_of
from entrepot.channels import facade as channels
from entrepot.channels.contract import Capability, EndKind
from entrepot.channels.contracts import Connection, ConnectionState, FindConnector
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.clock import utc_now
from entrepot.kernel.paging import Counted
from entrepot.sync.publishing import choosing, store
from entrepot.sync.publishing.contracts import (
    Ask,
    IntentNotFound,
    InvalidPublication,
    Preview,
    State,
    Wanted,
    problem_of,
)

STEP = 1000
PREVIEW_MOST = 200
NAMES_MOST = 200
TEXT_MOST = 2000


async def ask(tx: Tx, actor: Actor, find: FindConnector, chosen: Selection, asked: Ask) -> int:
    """Note what is asked of the chosen products on these connections; return how many products it is.

    Sent by the publish lane soon after. Raises InvalidPublication, ConnectionNotFound.
    """
    connections = await _connections(tx, find, asked)
    now, count = utc_now(), 0
    state = State.PUBLISHING if asked.wanted is Wanted.PUBLISH else State.ENDING
    after: UUID | None = None
    while ids := await _next(tx, chosen, after, STEP):
        after = ids[-1]
        count += len(ids)
        for connection in connections:
            wanted = ids
            if asked.wanted is not Wanted.PUBLISH:
                wanted = await _there(tx, connection.id, ids)
            else:
                await _reopen(tx, connection.id, ids)
            await store.ask(
                tx, connection.id, wanted, asked.wanted, state, asked.category,
                None if asked.attributes is None else dict(asked.attributes), actor.name, now,
            )  # fmt: skip
    for connection in connections:
        tx.hint(f"publish:{connection.id}")
        after_words = {"products": count, "wanted": str(asked.wanted), "category": asked.category or ""}
        await identity.record(tx, actor, f"listing.{asked.wanted}", "connection", connection.id, None, after_words)
    return count


async def _reopen(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> None:
    """What was about to end, and has not, is to show stock again."""
    there = await catalog_publishing.listings_there(tx, connection_id, product_ids)
    closing = [each["id"] for found in there.values() for each in found if each["closing"] and not each["retired"]]
    if closing:
        await catalog_publishing.close_listings(tx, closing, closing=False)
        await catalog.tell_matched(tx, closing)


async def _there(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of these products that the connection lists, or that somebody asked to be there."""
    listed = await catalog_publishing.listings_there(tx, connection_id, product_ids)
    asked = await store.asked_for(tx, connection_id, product_ids)
    return [each for each in product_ids if each in listed or each in asked]


async def _connections(tx: Tx, find: FindConnector, asked: Ask) -> list[Connection]:
    if not asked.connection_ids:
        raise InvalidPublication("Choose at least one channel.")
    if asked.attributes is not None and (
        len(asked.attributes) > NAMES_MOST
        or any(not name or len(name) > 200 or len(value) > TEXT_MOST for name, value in asked.attributes.items())
    ):
        raise InvalidPublication(
            f"At most {NAMES_MOST} attributes, each with a name and at most {TEXT_MOST:,} characters."
        )
    if asked.category is not None and len(asked.category) > 200:
        raise InvalidPublication("The category on the channel has at most 200 characters.")
    found = []
    for connection_id in sorted(set(asked.connection_ids)):
        connection = await channels.get(tx, connection_id)
        manifest = find(connection.channel).manifest
        if connection.state is ConnectionState.DISCONNECTED:
            raise InvalidPublication(f"{connection.name} is disconnected: connect it again first.")
        if asked.wanted is Wanted.PUBLISH:
            able = Capability.PUSH_LISTINGS in manifest.capabilities
        else:
            ends = manifest.listing_ends if Capability.END_LISTINGS in manifest.capabilities else frozenset()
            able = EndKind(str(asked.wanted)) in ends
        if not able:
            raise InvalidPublication(
                f"{connection.name}: {manifest.title} cannot {asked.wanted} products through the hub."
            )
        found.append(connection)
    return found


async def _next(tx: Tx, chosen: Selection, after: UUID | None, limit: int) -> list[UUID]:
    if chosen.parameters is None:
        return [id for id in chosen.products if after is None or id > after][:limit]
    assert chosen.until is not None
    wanted = filter_of(chosen.parameters, chosen.currency)
    return await search.matching_ids(tx, wanted, after, chosen.until, limit)


async def preview(tx: Tx, find: FindConnector, chosen: Selection, asked: Ask) -> tuple[Counted, tuple[Preview, ...]]:
    """Return how many products are meant, and what publishing the first of them would meet; nothing is changed.

    Checked by the rules that the connector knows by itself; what a channel only tells when asked is checked before sending.
    """
    connections = await _connections(tx, find, asked)
    ids = await _next(tx, chosen, None, PREVIEW_MOST)
    wholes = await catalog_publishing.wholes(tx, ids)
    found = []
    for connection in connections:
        known = await store.asked_for(tx, connection.id, ids)
        rows: list[dict[str, Any]] = [
            {
                "id": id, "product_id": id, "external_id": known[id]["external_id"] if id in known else "",
                "category": _said(asked.category, known.get(id), "category", ""),
                "attributes": _said(asked.attributes, known.get(id), "attributes", {}),
            }
            for id in ids if id in wholes
        ]  # fmt: skip
        plans = await choosing.plan(tx, find(connection.channel).manifest, connection.id, rows, {})
        for row in rows:
            plan = plans[row["id"]]
            problems = tuple(problem_of(choosing.problem_json(each)) for each in plan.checked.problems)
            found.append(
                Preview(
                    row["id"], wholes[row["id"]].product["title"], connection.id, plan.checked.completeness.score,
                    tuple(plan.checked.missing), problems, plan.done,
                )
            )  # fmt: skip
    return await bulk.count_selected(tx, chosen), tuple(found)


def _said(now: Any, known: Any, name: str, otherwise: Any) -> Any:
    if now is not None:
        return now
    return otherwise if known is None else known[name]


async def try_again(tx: Tx, actor: Actor, intent_ids: Sequence[UUID] | None, connection_id: UUID | None = None) -> int:
    """Try what was refused or waits once more; return how many that are. Raises IntentNotFound for one that is not there."""
    found = await store.again(tx, intent_ids, connection_id, utc_now())
    if intent_ids is not None and len(intent_ids) == 1 and not found:
        raise IntentNotFound("There is nothing to try again: it is done, or nobody asked for it.")
    for each in set(found):
        tx.hint(f"publish:{each}")
    if found:
        await identity.record(
            tx, actor, "listing.retry", "connection", connection_id or found[0], None, {"count": len(found)}
        )
    return len(found)


async def products_changed(tx: Tx, product_ids: Sequence[UUID]) -> None:
    """These products were changed: what waited for missing pieces is looked at again."""
    for connection_id in await store.look_again(tx, product_ids):
        tx.hint(f"publish:{connection_id}")
