"""What other rooms may ask of stock. Every function works in the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock import store_balances
from entrepot.stock.availability import days_without_stock
from entrepot.stock.booking import BundleHasNoStock, LocationNotFound, LocationRests
from entrepot.stock.buying import AUTOMATIC, NoSupplier, SuggestionNotOpen, buy_automatically, buy_suggested, dismiss
from entrepot.stock.changes import StockChange, change_on_hand, set_damaged, set_safety_stock
from entrepot.stock.claims import (
    STOCK_CHANGED,
    HoldNotFound,
    end_holds,
    expire_holds,
    extend_hold,
    extend_holds,
    place_holds,
    release_hold,
    release_holds,
)
from entrepot.stock.contracts import KeptBack, Level, Mismatch, Pool
from entrepot.stock.counts import SHEET_MAX, cancel_count, confirm_count, open_count, record_counts
from entrepot.stock.documents import DocumentNotFound, NotOnDocument, Receipt, WrongState
from entrepot.stock.gate import HoldGate
from entrepot.stock.kits import HasStockOfItsOwn, set_bundle
from entrepot.stock.locations import (
    KINDS,
    InvalidLocation,
    LocationInUse,
    LocationNameTaken,
    activate_location,
    change_location,
    create_location,
    deactivate_location,
    order_locations,
)
from entrepot.stock.placing import NotReserved, place_sales
from entrepot.stock.purchases import (
    cancel_purchase,
    change_purchase,
    draft_purchase,
    order_purchase,
    receive_purchase,
)
from entrepot.stock.remedies import ShortageNotFound, buy_for, give_up, send_from_supplier, take_from_location
from entrepot.stock.reordering import Advice, PointRule, Position, ReorderRule, by_point, stock_words
from entrepot.stock.sales import claim_sales, lock_for_sales, release_sales, ship_sales
from entrepot.stock.store_claims import ReservedAt, claims_of_lines, reserved_places
from entrepot.stock.store_offers import (
    offers_for,
    on_hand_at_first,
    preferred_elsewhere,
    supplier_currency,
    suppliers_named,
    variants_by_supplier_sku,
)
from entrepot.stock.store_places import Location, locations
from entrepot.stock.suppliers import (
    Offer,
    SupplierNameTaken,
    SupplierNotFound,
    change_supplier,
    create_supplier,
    drop_offers,
    put_offers,
)
from entrepot.stock.transfers import (
    cancel_transfer,
    change_transfer,
    draft_transfer,
    receive_transfer,
    ship_transfer,
)
from entrepot.stock.watch import StockWatch, see_alert, set_reorder_rule, set_threshold

__all__ = [
    "AUTOMATIC",
    "KINDS",
    "SHEET_MAX",
    "STOCK_CHANGED",
    "Advice",
    "BundleHasNoStock",
    "DocumentNotFound",
    "HasStockOfItsOwn",
    "HoldGate",
    "HoldNotFound",
    "InvalidLocation",
    "Location",
    "LocationInUse",
    "LocationNameTaken",
    "LocationNotFound",
    "LocationRests",
    "NoSupplier",
    "NotOnDocument",
    "NotReserved",
    "Offer",
    "PointRule",
    "Position",
    "Receipt",
    "ReorderRule",
    "ReservedAt",
    "ShortageNotFound",
    "StockChange",
    "StockWatch",
    "SuggestionNotOpen",
    "SupplierNameTaken",
    "SupplierNotFound",
    "WrongState",
    "activate_location",
    "available_to_sell",
    "buy_automatically",
    "buy_for",
    "buy_suggested",
    "by_point",
    "cancel_count",
    "cancel_purchase",
    "cancel_transfer",
    "change_location",
    "change_on_hand",
    "change_purchase",
    "change_supplier",
    "change_transfer",
    "claim_sales",
    "claims_of_lines",
    "confirm_count",
    "create_location",
    "create_supplier",
    "days_without_stock",
    "deactivate_location",
    "dismiss",
    "draft_purchase",
    "draft_transfer",
    "drop_offers",
    "end_holds",
    "expire_holds",
    "extend_hold",
    "extend_holds",
    "give_up",
    "levels",
    "locations",
    "lock_for_sales",
    "offers_for",
    "on_hand_at_first",
    "open_count",
    "order_locations",
    "order_purchase",
    "parts_without",
    "place_holds",
    "place_sales",
    "pools",
    "preferred_elsewhere",
    "put_offers",
    "receive_purchase",
    "receive_transfer",
    "record_counts",
    "release_hold",
    "release_holds",
    "release_sales",
    "reserved_places",
    "see_alert",
    "send_from_supplier",
    "set_bundle",
    "set_damaged",
    "set_reorder_rule",
    "set_safety_stock",
    "set_threshold",
    "ship_sales",
    "ship_transfer",
    "stock_words",
    "supplier_currency",
    "suppliers_named",
    "take_from_location",
    "variants_by_supplier_sku",
    "verify",
]


async def levels(tx: Tx, variant_ids: Sequence[UUID]) -> list[Level]:
    """Return the levels of these variants at all locations."""
    return [Level(*row) for row in await store_balances.read_levels(tx, variant_ids)]


async def available_to_sell(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return units available to sell over all locations, less open shortages, by variant."""
    return await store_balances.available_to_sell(tx, variant_ids)


async def pools(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, Pool]:
    """Return what channels may show of these variants: available to sell, less the buffers of locations."""
    if not await store_balances.any_buffers(tx):
        return {v: Pool(units) for v, units in (await available_to_sell(tx, variant_ids)).items()}
    kept: defaultdict[UUID, list[KeptBack]] = defaultdict(list)
    for row in await store_balances.kept_back(tx, variant_ids):
        kept[row["variant_id"]].append(KeptBack(row["location"], row["units"], row["sku"]))
    found = await store_balances.available_to_sell(tx, variant_ids, less_buffers=True)
    return {v: Pool(units, tuple(kept[v])) for v, units in found.items()}


async def parts_without(tx: Tx, location_ids: Sequence[UUID]) -> dict[str, float]:
    """Return, by SKU, the part of its units that is at other locations than these; whole ones are left out."""
    if not location_ids:
        return {}
    return {row["sku"]: row["part"] for row in await store_balances.parts_without(tx, location_ids)}


async def verify(tx: Tx) -> list[Mismatch]:
    """Return every balance that is not the sum of its ledger movements: empty if all is well."""
    return [Mismatch(*row) for row in await store_balances.mismatches(tx)]
