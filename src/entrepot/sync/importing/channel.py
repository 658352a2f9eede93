"""What a connection lists, as products to be imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.catalog.files.cells import slug
from entrepot.catalog.files.contracts import FileProduct, FileVariant, RowProblem
from entrepot.channels import facade as channels
from entrepot.channels.contract import ChannelListing, Page, PullsListings
from entrepot.channels.contracts import FindConnector
from entrepot.database.pool import Database
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.context import Transport


@dataclass(frozen=True, slots=True)
class ChannelListings:
    """Reads the listings of connections, page by page."""

    database: Database
    transport: Transport
    find_connector: FindConnector

    async def page(self, organisation_id: UUID, connection_id: UUID, cursor: str | None) -> Page[ChannelListing]:
        """Return a page of what a connection lists. Raises ConnectorError, InvalidInput if it cannot list."""
        async with self.database.transaction(organisation_id) as tx:
            connection = await channels.get(tx, connection_id)
        connector = self.find_connector(connection.channel)
        if not isinstance(connector, PullsListings):
            raise InvalidInput(f"{connection.name} cannot tell what it lists.")
        return await connector.pull_listings(self.transport.api(connection), cursor)


def products_of(
    listings: Sequence[ChannelListing], first: int
) -> tuple[list[tuple[str, FileProduct]], list[RowProblem]]:
    """Return the products of a page of listings with their keys (the channel's ids). Rows count from `first`. Pure."""
    found: dict[str, FileProduct] = {}
    problems = []
    for row, listing in enumerate(listings, start=first):
        sku = (listing.sku or "").strip()
        if not sku or len(sku) > 200:
            problems.append(
                RowProblem(
                    row, sku[:40], f"{listing.product_title or listing.title}: the listing has no SKU."
                    if not sku else "A SKU has at most 200 characters.", "SKU", listing.ref.external_id,
                    "Give it a SKU on the channel and read it again.",
                )
            )  # fmt: skip
            continue
        key = listing.product_external_id or listing.ref.external_id
        product = found.get(key)
        if product is None:
            product = found[key] = FileProduct("", row, _fields(listing, key), [])
        product.variants.append(FileVariant(sku, row, _variant(listing), listing.quantity))
    return list(found.items()), problems


def _fields(listing: ChannelListing, key: str) -> dict[str, Any]:
    title = (listing.product_title or listing.title).strip()[:1000]
    fields: dict[str, Any] = {"handle_wish": "-".join(filter(None, (slug(title)[:120], slug(key)[-40:])))}
    for name, value in (
        ("title", title),
        ("description", listing.description),
        ("vendor", listing.vendor),
        ("product_type", listing.product_type),
    ):
        # What a channel does not tell is not taken away.
        if value.strip():
            fields[name] = value.strip()
    if listing.options:
        fields["option_names"] = [name for name, _ in listing.options]
    return fields


def _variant(listing: ChannelListing) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if listing.price is not None and listing.price >= 0 and listing.currency:
        fields["price"], fields["currency"] = f"{listing.price:f}", listing.currency
    if listing.barcode:
        fields["barcode"] = listing.barcode[:200]
    if listing.options:
        fields["option_values"] = [value for _, value in listing.options]
        fields["title_wish"] = " / ".join(fields["option_values"])
    return fields
