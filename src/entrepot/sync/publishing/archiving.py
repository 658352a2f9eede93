"""What follows on channels when a product or a variant is archived: its listings end there, as gently as each channel can."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from entrepot.catalog import bulk
from entrepot.catalog import facade as catalog
from entrepot.catalog import publishing as catalog_publishing
from entrepot.channels import facade as channels
from entrepot.channels.contract import Capability, EndKind, Manifest
from entrepot.channels.contracts import Connection, ConnectionState, FindConnector
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, system_actor
from entrepot.kernel.clock import utc_now
from entrepot.sync.publishing import asking, store
from entrepot.sync.publishing.choosing import can_hide_variants
from entrepot.sync.publishing.contracts import Ask, Ending, Wanted

GENTLE = (Wanted.ARCHIVE, Wanted.UNPUBLISH)
"""What may be done without asking: both can be taken back. Nothing is deleted by archiving."""
HUB = "the hub"
"""Who asks for what follows from a match."""
WORDS = {
    Wanted.ARCHIVE: "archived there, once it shows no stock",
    Wanted.UNPUBLISH: "unpublished, once it shows no stock",
}


async def end_everywhere(tx: Tx, actor: Actor, find: FindConnector, product_ids: Sequence[UUID]) -> tuple[Ending, ...]:
    """End these products wherever they are listed or about to be; return what becomes of them on each connection.

    Where a channel can neither archive nor unpublish them, their listings show no stock from now on.
    """
    listed = await catalog_publishing.connections_listing(tx, product_ids)
    concerned = set(listed) | await store.connections_asked(tx, product_ids)
    endings, closing = [], []
    for connection in sorted(await channels.list_all(tx), key=lambda each: each.id):
        if connection.id not in concerned:
            continue
        ending = _ending(connection, find(connection.channel).manifest)
        if ending.wanted is not None:
            asked = Ask(ending.wanted, (connection.id,))
            await asking.ask(tx, actor, find, bulk.selection(product_ids), asked)
        else:
            closing += listed.get(connection.id, [])
        endings.append(ending)
    if closing:
        await catalog_publishing.close_listings(tx, closing, closing=True)
        await catalog.tell_matched(tx, closing)
    return tuple(sorted(endings, key=lambda each: each.connection.lower()))


def _ending(connection: Connection, manifest: Manifest) -> Ending:
    if connection.state is ConnectionState.DISCONNECTED:
        return Ending(connection.id, connection.name, None, "disconnected, so it stays there as it is")
    ends = manifest.listing_ends if Capability.END_LISTINGS in manifest.capabilities else frozenset()
    for wanted in GENTLE:
        if EndKind(str(wanted)) in ends:
            return Ending(connection.id, connection.name, wanted, WORDS[wanted])
    return Ending(connection.id, connection.name, None, "it can only be deleted there, so it stays and shows no stock")


async def listings_matched(tx: Tx, find: FindConnector, listing_ids: Sequence[UUID]) -> None:
    """Listings have another variant now: that of one out of use closes and, where the channel can, ends, as if it went out of
    use there; one that was closed for another variant opens again.

    One of an archived product ends as the product did there. If nobody asked for that there, it stays, as the others of it do.
    """
    products = await catalog_publishing.products_of_listings(tx, listing_ids)
    if products:
        await variants_changed(tx, find, products)
    on_sale = await catalog_publishing.archived_on_sale(tx, listing_ids)
    ended = await store.have_ended(tx, sorted({row["product_id"] for row in on_sale})) if on_sale else {}
    actor = system_actor(tx.organisation, HUB)
    for row in on_sale:
        wanted = ended.get((row["connection_id"], row["product_id"]))
        if wanted is not None:
            asked = Ask(Wanted(wanted), (row["connection_id"],))
            await asking.ask(tx, actor, find, bulk.selection([row["product_id"]]), asked)


async def variants_changed(tx: Tx, find: FindConnector, product_ids: Sequence[UUID]) -> None:
    """Products were changed: listings of variants that went out of use close and, where the channel can, end.

    What came back into use shows stock again, unless its product is about to end there.
    """
    retired = await catalog_publishing.retired_listings(tx, product_ids)
    back = await catalog_publishing.listings_back_in_use(tx, product_ids)
    if not retired and not back:
        return
    connections = {each.id: each for each in await channels.list_all(tx)}
    able = {i for i, each in connections.items() if can_hide_variants(find(each.channel).manifest)}
    pairs = sorted({(row["connection_id"], row["product_id"]) for row in retired if row["connection_id"] in able})
    for connection_id in await store.end_variants(tx, pairs, utc_now()):
        tx.hint(f"publish:{connection_id}")
    ending = await store.are_ending(tx, sorted({row["product_id"] for row in back}))
    again = [row["id"] for row in back if (row["connection_id"], row["product_id"]) not in ending]
    closed = [row["id"] for row in retired]
    await catalog_publishing.close_listings(tx, closed, closing=True)
    await catalog_publishing.close_listings(tx, again, closing=False)
    await catalog.tell_matched(tx, [*closed, *again])
