"""Edit what is said of a product in the catalog, or of one listing on its channel alone."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from entrepot.agents.actions import (
    Action,
    ActionInput,
    CannotUndo,
    Change,
    Look,
    Measure,
    NothingToDo,
    Outcome,
    Receipt,
    Verdict,
)
from entrepot.agents.library.common import plural, said, verdict_of
from entrepot.catalog import editing
from entrepot.catalog import reading as catalog_reading
from entrepot.catalog.editing import ProductChanged, ProductEdit
from entrepot.catalog.snapshot import flat, plain
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, Scope, record
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import conflicts, field_status

EDITED = {
    "title": "Title", "description": "Description", "vendor": "Vendor", "product_type": "Type", "tags": "Tags",
    "seo_title": "Search title", "seo_description": "Search description", "attributes": "Attributes",
}  # fmt: skip
_Text = Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")]
_Short = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class EditProductInput(ActionInput):
    """A product and its new fields; what is left out stays."""

    product_id: UUID
    title: _Short | None = None
    description: _Text | None = None
    vendor: _Short | None = None
    product_type: _Short | None = None
    tags: Annotated[list[_Short] | None, Field(max_length=100)] = None
    seo_title: _Short | None = None
    seo_description: _Short | None = None
    attributes: dict[_Short, _Short] | None = None


class EditProduct(Action[EditProductInput]):
    """Change what the catalog says of a product; every channel that shows it follows."""

    name, title, input, scope = "product.edit", "Edit a product", EditProductInput, Scope.PRODUCTS_WRITE

    async def look(self, tx: Tx, given: EditProductInput) -> Look:
        """Say which fields change, and on which channels. See Action.look."""
        product = await catalog_reading.product_detail(tx, given.product_id)
        now = flat(product)
        wanted = _wanted(given)
        changing = {name: value for name, value in wanted.items() if value != now[name]}
        if not changing:
            raise NothingToDo("The product is as it would be made.")
        live = [each for each in product.listings if each.active]
        changes = tuple(Change(EDITED[name], said(now[name]), said(value)) for name, value in changing.items())
        return Look(
            f"{plural(len(changing), 'field')} of {product.row.title} changed",
            changes,
            {"before": {name: now[name] for name in changing}, "after": changing,
             "channels": sorted({str(each.connection_id) for each in live})},
            Measure(units=1, channels=tuple(sorted({each.channel for each in live}))),
            (("Listings that follow", str(len(live))),),
        )  # fmt: skip

    async def perform(self, tx: Tx, actor: Actor, given: EditProductInput, key: str) -> Receipt:
        """Change the fields."""
        now = flat(await catalog_reading.product_detail(tx, given.product_id))
        wanted = {name: value for name, value in _wanted(given).items() if value != now[name]}
        before = {name: now[name] for name in wanted}
        saved = await editing.save(tx, given.product_id, ProductEdit(wanted), base=before)
        await record(tx, actor, "product.update", "product", given.product_id, saved.before, saved.after)
        return {"before": before, "after": {name: saved.after.get(name, value) for name, value in wanted.items()}}

    async def verify(self, tx: Tx, given: EditProductInput, receipt: Receipt) -> Verdict:
        """Read the fields back, in the catalog and on every channel."""
        return await _read_back(tx, given.product_id, receipt["after"])

    async def undo(self, tx: Tx, actor: Actor, given: EditProductInput, receipt: Receipt) -> Receipt:
        """Put the former fields back. Raises CannotUndo where somebody has changed one of them since."""
        try:
            saved = await editing.save(tx, given.product_id, ProductEdit(receipt["before"]), base=receipt["after"])
        except ProductChanged as error:
            names = ", ".join(EDITED.get(change.field, change.field) for change in error.changes)
            raise CannotUndo(f"Somebody has changed this since: {names}.") from error
        await record(tx, actor, "product.update", "product", given.product_id, saved.before, saved.after)
        return {"after": receipt["before"]}

    async def verify_undone(self, tx: Tx, given: EditProductInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read the former fields back."""
        return await _read_back(tx, given.product_id, undone["after"])


def _wanted(given: EditProductInput) -> dict[str, Any]:
    found = {name: plain(getattr(given, name)) for name in EDITED if getattr(given, name) is not None}
    if not found:
        raise InvalidInput("Name at least one field of the product to change.")
    return found


async def _read_back(tx: Tx, product_id: UUID, wanted: dict[str, Any]) -> Verdict:
    now = flat(await catalog_reading.product_detail(tx, product_id))
    other = [EDITED[name] for name, value in wanted.items() if now[name] != value]
    if other:
        return Verdict(Outcome.DIFFERENT, f"The product has other values in the hub by now: {', '.join(other)}.")
    return verdict_of(await field_status.of_product(tx, product_id, list(wanted)))


class EditListingInput(ActionInput):
    """A listing, one of its fields, and its value on that channel alone; `value` null: the catalog's again."""

    listing_id: UUID
    field: Annotated[str, Field(max_length=50)]
    value: Any = None


class EditListing(Action[EditListingInput]):
    """Give one listing a value of its own, which the catalog and the other channels do not have."""

    name, title, input, scope = "listing.edit", "Edit a listing", EditListingInput, Scope.PRODUCTS_WRITE

    async def look(self, tx: Tx, given: EditListingInput) -> Look:
        """Say what the listing shows now and then. See Action.look."""
        now = await field_status.listing_value(tx, given.listing_id, given.field, given.value)
        if (now.own is None and given.value is None) or (now.own is not None and now.own == now.new):
            raise NothingToDo("The listing is as it would be made.")
        listings = await catalog_reading.listings_of(tx, [now.variant_id])
        listing = next(each for each in listings if each.id == given.listing_id)
        return Look(
            f"{now.title} of {now.sku} on {listing.connection_name} alone",
            (Change(f"{now.title} on {listing.connection_name}", said(now.wanted), said(now.new)),),
            {"shown": now.wanted, "own": now.own, "after": now.new},
            Measure(units=1, channels=(listing.channel,)),
            (("In the catalog", said(now.catalogs)),),
        )

    async def perform(self, tx: Tx, actor: Actor, given: EditListingInput, key: str) -> Receipt:
        """Set the listing's own value."""
        now = await field_status.listing_value(tx, given.listing_id, given.field, given.value)
        await conflicts.set_override(tx, actor, given.listing_id, given.field, given.value, utc_now())
        return {"own": now.own, "after": now.new, "cleared": given.value is None}

    async def verify(self, tx: Tx, given: EditListingInput, receipt: Receipt) -> Verdict:
        """Read the value back on the channel."""
        return await self._read_back(tx, given, receipt["after"])

    async def undo(self, tx: Tx, actor: Actor, given: EditListingInput, receipt: Receipt) -> Receipt:
        """Put the listing's former value back. Raises CannotUndo where somebody has changed it since."""
        now = await field_status.listing_value(tx, given.listing_id, given.field, None)
        if (now.own is not None) if receipt["cleared"] else (now.own != receipt["after"]):
            raise CannotUndo("Somebody has changed this value since.")
        await conflicts.set_override(tx, actor, given.listing_id, given.field, receipt["own"], utc_now())
        return {"after": now.catalogs if receipt["own"] is None else receipt["own"]}

    async def verify_undone(self, tx: Tx, given: EditListingInput, receipt: Receipt, undone: Receipt) -> Verdict:
        """Read the former value back on the channel."""
        return await self._read_back(tx, given, undone["after"])

    async def _read_back(self, tx: Tx, given: EditListingInput, wanted: Any) -> Verdict:
        status = await field_status.of_listing(tx, given.listing_id, given.field, wanted)
        return verdict_of([] if status is None else [(given.field.replace("_", " ").capitalize(), status)])
