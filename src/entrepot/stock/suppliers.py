"""Suppliers: who sells us what, at which price, in which packs and how quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound
from entrepot.kernel.ids import new_id
from entrepot.stock import store_supply
from entrepot.stock.contracts import MAX_QUANTITY

LEAD_TIME_MAX_DAYS = 730
OFFERS_MAX = 5_000


class SupplierNotFound(NotFound):
    """There is no such supplier."""


class SupplierNameTaken(Conflict):
    """Another supplier has this name."""


class InvalidSupplier(InvalidInput):
    """A supplier has a name of 1 to 200 characters, a currency such as EUR and a lead time of 0 to 730 days."""


class InvalidOffer(InvalidInput):
    """A price is 0 or more, packs and least order are 1 or more, a lead time is 0 to 730 days."""


@dataclass(frozen=True, slots=True)
class Offer:
    """That a supplier sells a variant. Money in minor units of the supplier's currency; None: not known.

    Orders are rounded up to `pack_units` and are at least `minimum_units`. `preferred`: bought here, whatever others ask.
    """

    variant_id: UUID
    supplier_sku: str = ""
    cost_minor: int | None = None
    lead_time_days: int | None = None
    pack_units: int = 1
    minimum_units: int = 1
    preferred: bool = False


async def create_supplier(
    tx: Tx, name: str, currency: str, *, email: str = "", lead_time_days: int = 7, note: str = ""
) -> UUID:
    """Make a supplier; return its id. Raises InvalidSupplier, SupplierNameTaken."""
    _check(name=name, currency=currency, email=email, lead_time_days=lead_time_days, note=note)
    id = new_id()
    made = await store_supply.insert_supplier(
        tx,
        {"id": id, "name": name.strip(), "currency": currency, "email": email, "lead_time_days": lead_time_days,
         "note": note},
    )  # fmt: skip
    if not made:
        raise SupplierNameTaken(f"There is a supplier called {name.strip()!r} already.")
    return id


async def change_supplier(tx: Tx, id: UUID, **values: Any) -> None:
    """Change some of name, email, lead_time_days, note, active. Raises SupplierNotFound, and what create does."""
    _check(**values)
    if await store_supply.lock_supplier(tx, id) is None:
        raise SupplierNotFound(supplier_id=str(id))
    if "name" in values:
        values["name"] = values["name"].strip()
        if await store_supply.supplier_named(tx, values["name"]) not in (None, id):
            raise SupplierNameTaken(f"There is a supplier called {values['name']!r} already.")
    if values:
        await store_supply.set_supplier(tx, id, values)


async def put_offers(tx: Tx, supplier_id: UUID, offers: Sequence[Offer]) -> None:
    """Write what a supplier sells; what it sold besides stays. Raises SupplierNotFound, InvalidOffer, VariantNotFound."""
    if len(offers) > OFFERS_MAX:
        raise InvalidOffer(f"Send up to {OFFERS_MAX:,} SKUs at once.")
    for offer in offers:
        _check_offer(offer)
    if await store_supply.lock_supplier(tx, supplier_id) is None:
        raise SupplierNotFound(supplier_id=str(supplier_id))
    last = {offer.variant_id: offer for offer in offers}
    rows: list[store_supply.SupplierVariantRow] = [
        (o.variant_id, o.supplier_sku, o.cost_minor, o.lead_time_days, o.pack_units, o.minimum_units, o.preferred)
        for o in last.values()
    ]
    missing = await store_supply.put_supplier_variants(tx, supplier_id, rows)
    if missing:
        raise VariantNotFound(variant_id=str(missing[0]))


async def drop_offers(tx: Tx, supplier_id: UUID, variant_ids: Sequence[UUID]) -> None:
    """Forget that a supplier sells these variants. Raises SupplierNotFound."""
    if await store_supply.lock_supplier(tx, supplier_id) is None:
        raise SupplierNotFound(supplier_id=str(supplier_id))
    await store_supply.drop_supplier_variants(tx, supplier_id, variant_ids)


def _check(**values: Any) -> None:
    name, currency, days = values.get("name"), values.get("currency"), values.get("lead_time_days")
    if (
        (name is not None and not 1 <= len(name.strip()) <= 200)
        or (currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isupper()))
        or (days is not None and not 0 <= days <= LEAD_TIME_MAX_DAYS)
        or len(values.get("email") or "") > 320
        or len(values.get("note") or "") > 2_000
    ):
        raise InvalidSupplier


def _check_offer(offer: Offer) -> None:
    if (
        (offer.cost_minor is not None and not 0 <= offer.cost_minor < 10**15)
        or (offer.lead_time_days is not None and not 0 <= offer.lead_time_days <= LEAD_TIME_MAX_DAYS)
        or not 1 <= offer.pack_units <= MAX_QUANTITY
        or not 1 <= offer.minimum_units <= MAX_QUANTITY
        or len(offer.supplier_sku) > 200
    ):
        raise InvalidOffer
