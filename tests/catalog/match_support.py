"""A catalog, a connection with listings, and the job run to its end, for the tests of matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.catalog.match_contracts import MATCHING, MatchRound
from entrepot.catalog.match_work import Sizes, match_listings
from entrepot.channels.contract import ChannelListing, ListingRef
from entrepot.database.pool import Database, Tx
from entrepot.identity.contracts import Actor, system_actor
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders

DRILL = ("D1", "Makita DHP453 cordless combi drill 18 V", "Makita", 8900, "0088381656801")
SAW = ("S1", "Bosch PST 700 jigsaw 500 W", "Bosch", 5900, "3165140649186")
MUG = ("M1", "Enamel camping mug white 350 ml", "Falcon", 1200, "")
GOODS = (DRILL, SAW, MUG)


def product(sku: str, title: str, vendor: str, price_minor: int, barcode: str) -> NewProduct:
    variant = NewVariant(sku, price_minor, "EUR", barcode=barcode)
    return NewProduct(sku.lower(), title, (variant,), vendor=vendor)


def listing(
    external_id: str, title: str, *, sku: str | None = None, price: str = "89.00", **more: Any
) -> ChannelListing:
    return ChannelListing(
        ListingRef(external_id), sku, title, f"p{external_id}", title, price=Decimal(price), currency="EUR", **more
    )


@dataclass(slots=True)
class Shop:
    """An organisation with a catalog and a connection."""

    database: Database
    id: UUID
    connection_id: UUID
    variants: dict[str, UUID]

    @property
    def actor(self) -> Actor:
        return system_actor(self.id, "Ada")

    async def save(self, *products: NewProduct) -> dict[str, UUID]:
        async with self.database.transaction(self.id) as tx:
            saved = await catalog.save_products(tx, products)
        self.variants |= saved
        return saved

    async def show(self, *listings: ChannelListing, connection_id: UUID | None = None) -> dict[str, UUID]:
        """The channel shows these; return external id -> listing."""
        async with self.database.transaction(self.id) as tx:
            saved = await catalog.save_listings(tx, connection_id or self.connection_id, listings, utc_now())
        return {external_id: found for external_id, (found, _) in saved.items()}

    async def match(self, sizes: Sizes = Sizes()) -> Mapping[str, Any]:
        """Run the job to its end; return what it says."""
        async with self.database.transaction(self.id) as tx:
            job_id = await jobs.enqueue(tx, MATCHING, MatchRound(), actor="test")
        handler = partial(match_listings, settle=orders.settle_exceptions, sizes=sizes)
        await jobs.perform(self.database, MATCHING, handler, self.id, job_id)
        async with self.database.transaction(self.id) as tx:
            job = await jobs.detail(tx, job_id)
        assert job.state == "done", job.error
        assert job.result is not None
        return job.result

    async def variant_of(self, listing_id: UUID) -> UUID | None:
        async with self.database.transaction(self.id) as tx:
            found: UUID | None = await tx.fetch_value("select variant_id from listing where id = $1", listing_id)
        return found

    async def candidates(self, listing_id: UUID) -> Sequence[Any]:
        async with self.database.transaction(self.id) as tx:
            return await tx.fetch(
                "select * from match_candidate where listing_id = $1 order by score_ppm desc", listing_id
            )

    async def queued(self) -> int:
        async with self.database.transaction(self.id) as tx:
            counts = await jobs.counts(tx)
        return counts[MATCHING.name].queued if MATCHING.name in counts else 0


async def connection(tx: Tx, channel: str = "shopify") -> UUID:
    made = new_id()
    await tx.execute(
        "insert into connection (organisation_id, id, channel, name, environment) values ($1, $2, $3, $4, 'x')",
        tx.organisation, made, channel, f"{channel} {made.hex[-6:]}",
    )  # fmt: skip
    return made


async def shop(database: Database, organisation_id: UUID, goods: Sequence[tuple[Any, ...]] = GOODS) -> Shop:
    async with database.transaction(organisation_id) as tx:
        connection_id = await connection(tx)
    made = Shop(database, organisation_id, connection_id, {})
    await made.save(*(product(*each) for each in goods))
    return made
