"""Price lists saved with a look at what follows: prices that would move by more than the limit are asked about once, for the
whole list, and not again for each listing. Every function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog import price_lists
from entrepot.catalog.price_events import connections_meant
from entrepot.catalog.price_lists import PriceListInput
from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import Conflict
from entrepot.sync.fields import policy_store, store
from entrepot.sync.fields.ours import prices_of
from entrepot.sync.fields.policies import FieldPolicy, field_policies
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import rules
from entrepot.sync.merge.rules import Why
from entrepot.sync.merge.values import Value

STEP = 2_000
"""So many listings are looked at with one statement."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Move:
    """A price (or what it is compared with) that would move by more than the limit. Values as listings have them."""

    sku: str
    connection: str
    field: str
    before: Value
    after: Value


@dataclass(slots=True)
class Moves:
    """What moves by more than the limit: how many, and the first of them."""

    count: int = 0
    first: tuple[Move, ...] = ()


class PricesMove(Conflict):
    """Prices would move by more than the limit."""

    def __init__(self, moves: Moves) -> None:
        self.moves = moves
        prices = "1 price" if moves.count == 1 else f"{moves.count:,} prices"
        super().__init__(
            f"{prices} would move by more than the limit. Confirm that number to save.", prices=moves.count
        )


async def create(tx: Tx, actor: Actor, given: PriceListInput, confirmed: int = 0) -> UUID:
    """Make a price list. `confirmed`: so many prices may move by more than the limit. Raises PricesMove and what
    `price_lists.create_price_list` raises."""
    id = await price_lists.create_price_list(tx, given)
    await _look(tx, actor, id, [given], None, confirmed)
    return id


async def change(tx: Tx, actor: Actor, price_list_id: UUID, given: PriceListInput, confirmed: int = 0) -> None:
    """Change a price list, like `create`. Raises PricesMove and what `price_lists.change_price_list` raises."""
    before = await price_lists.get_price_list(tx, price_list_id)
    await price_lists.change_price_list(tx, price_list_id, given)
    await _look(tx, actor, price_list_id, [before, given], None, confirmed)


async def set_prices(
    tx: Tx, actor: Actor, price_list_id: UUID, prices: Mapping[UUID, tuple[int, int | None] | None], confirmed: int = 0
) -> None:
    """Set prices by hand, like `create`. Raises PricesMove and what `price_lists.set_prices` raises."""
    await price_lists.set_prices(tx, price_list_id, prices)
    row = await price_lists.get_price_list(tx, price_list_id)
    await _look(tx, actor, price_list_id, [row], sorted(prices), confirmed)


async def delete(tx: Tx, actor: Actor, price_list_id: UUID, confirmed: int = 0) -> None:
    """Delete a price list, like `create`. Raises PricesMove and what `price_lists.delete_price_list` raises."""
    before = await price_lists.get_price_list(tx, price_list_id)
    await price_lists.delete_price_list(tx, price_list_id)
    await _look(tx, actor, price_list_id, [before], None, confirmed)


async def _look(
    tx: Tx, actor: Actor, price_list_id: UUID, lists: Sequence[PriceListInput | price_lists.PriceList],
    variant_ids: Sequence[UUID] | None, confirmed: int,
) -> None:  # fmt: skip
    """Look at what the lists as they are now make of prices; let pass what moves too far, if it was confirmed.

    One that was paused before and after changes nothing.
    """
    used = [each for each in lists if each.active]
    connections = await connections_meant(tx, [each.connection_id for each in used], [each.channel for each in used])
    moves = await look(tx, connections, variant_ids, let_pass=confirmed > 0)
    if moves.count > confirmed:
        raise PricesMove(moves)
    if moves.count:
        after = {"prices": moves.count}
        await identity.record(tx, actor, "price-list.confirm", "price_list", price_list_id, None, after)


async def look(
    tx: Tx, connection_ids: Sequence[UUID], variant_ids: Sequence[UUID] | None = None,
    listing_ids: Sequence[UUID] | None = None, *, let_pass: bool,
) -> Moves:  # fmt: skip
    """Return which prices of listings would move by more than the limit, of all variants, of these, or of these listings; with
    `let_pass` they may, as the prices are now. What waits under Conflicts for that already is left out.
    """
    moves = Moves()
    for connection_id in sorted(connection_ids):
        await store.lock_connection(tx, connection_id)
        name = (await channels.get(tx, connection_id)).name
        policies = field_policies(await policy_store.policies_for(tx, connection_id), connection_id)
        listings = listing_ids
        if listings is None:
            listings = await store.listings_with_prices(tx, connection_id, variant_ids)
        for start in range(0, len(listings), STEP):
            found = await store.price_rows(tx, listings[start : start + STEP])
            prices = await catalog.channel_prices(tx, connection_id, list({each["variant_id"] for _, each in found}))
            passing: list[Row] = []
            for row, each in found:
                ours = prices_of(each, prices.get(each["variant_id"]))[row.field]
                if row.connection_id != connection_id or not _moves_too_far(policies[row.field], row, ours):
                    continue
                moves.count += 1
                if moves.count <= SHOWN:
                    move = Move(each["variant_sku"], name, row.field, row.known.theirs, ours)
                    moves.first = (*moves.first, move)
                row.known = replace(row.known, approved=ours)
                passing.append(row)
            if let_pass:
                await store.put_rows(tx, passing)
    return moves


def _moves_too_far(policy: FieldPolicy, row: Row, ours: Value) -> bool:
    """Return whether the merge will ask about this price because we moved it too far, and does not ask already."""
    if ours is None or (row.state == "conflict" and row.ours == ours):
        return False
    return rules.merge(policy.rule, row.known, ours).why is Why.SWING_OUT
