"""Square's inventory: counts that come of a history of physical counts and adjustments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Listing, Shop
from entrepot_sandbox.journal import WriteKind
from entrepot_sandbox.square.answers import (
    Ids,
    Json,
    Keys,
    bad,
    body_of,
    limit_of,
    list_of,
    not_found,
    object_of,
    ok,
    page_of,
    read_time,
    stamp,
    start_of,
)

CHANGES_MAX = 100
_OLDEST = timedelta(hours=24)
_AHEAD = timedelta(seconds=60)
_MOVES = frozenset(
    {
        ("NONE", "IN_STOCK"),
        ("UNLINKED_RETURN", "IN_STOCK"),
        ("SOLD", "IN_STOCK"),
        ("IN_STOCK", "SOLD"),
        ("IN_STOCK", "WASTE"),
        ("IN_STOCK", "NONE"),
    }
)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class History:
    """What happened to a variation since its last physical count: (when, units)."""

    counted_at: datetime = _BEGINNING
    moves: list[tuple[datetime, int]] = field(default_factory=list)

    def count(self, at: datetime, units: int) -> int | None:
        """Take a physical count and return the quantity now; None if a later count stands already."""
        if at < self.counted_at:
            return None
        self.counted_at = at
        self.moves = [move for move in self.moves if move[0] > at]
        return units + sum(amount for _, amount in self.moves)

    def move(self, at: datetime, units: int) -> int:
        """Take an adjustment and return the change of the quantity: none if a later count covers it."""
        if at <= self.counted_at:
            return 0
        self.moves.append((at, units))
        return units


@dataclass(frozen=True, slots=True)
class _Change:
    """A change that was checked."""

    listing: Listing
    is_count: bool
    units: int
    at: datetime
    told: Json


class Inventory:
    """Quantities in stock at the one location. `changed` is called with the listings whose count changed."""

    def __init__(
        self,
        shop: Shop,
        ids: Ids,
        location_id: str,
        now: Callable[[], datetime],
        changed: Callable[[list[Listing]], None],
    ) -> None:
        self._shop, self._ids, self._location_id = shop, ids, location_id
        self._now, self._changed = now, changed
        self._keys = Keys()
        self._histories: dict[str, History] = {}
        self._changed_at: dict[str, datetime] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/inventory/changes/batch-create", self.batch_create, methods=["POST"]),
            Route("/v2/inventory/counts/batch-retrieve", self.batch_retrieve, methods=["POST"]),
        ]

    def moved(self, listing: Listing, units: int) -> None:
        """Note a sale (negative) that the books already hold."""
        now = self._now()
        self._history(listing).moves.append((now, units))
        self._changed_at[listing.id] = now

    def _history(self, listing: Listing) -> History:
        return self._histories.setdefault(listing.id, History())

    async def batch_create(self, request: Request) -> Response:
        """BatchChangeInventory: all changes or none, in the order of `occurred_at`."""
        body = await body_of(request)
        key = body.get("idempotency_key")
        earlier = self._keys.earlier(key, body)
        if earlier is not None:
            return ok(earlier)
        told = list_of(body, "changes", at_most=CHANGES_MAX, required=True)
        changes = [self._read(change, index) for index, change in enumerate(told)]
        for change in sorted(changes, key=lambda change: change.at):
            self._apply(change, str(key))
        listings = list({change.listing.id: change.listing for change in changes}.values())
        answer: Json = {
            "counts": [self.count(listing) for listing in listings],
            "changes": [change.told for change in changes],
        }
        self._keys.keep(key, body, answer)
        self._changed(listings)
        return ok(answer)

    def _apply(self, change: _Change, request_id: str) -> None:
        history, listing = self._history(change.listing), change.listing
        if change.is_count:
            after, kind = history.count(change.at, change.units), WriteKind.ABSOLUTE
        else:
            after, kind = listing.quantity + history.move(change.at, change.units), WriteKind.DELTA
        if after is None:
            return
        self._shop.write_quantity(listing, after, kind=kind, request_id=request_id)
        self._changed_at[listing.id] = self._now()

    def _read(self, told: object, index: int) -> _Change:
        """Return a checked change. Raises SquareError that names the field."""
        where = f"changes[{index}]"
        if not isinstance(told, dict):
            raise bad("EXPECTED_OBJECT", "Expected an object.", where)
        kind = told.get("type")
        if kind == "PHYSICAL_COUNT":
            return self._read_count(object_of(told, "physical_count"), f"{where}.physical_count")
        if kind == "ADJUSTMENT":
            return self._read_adjustment(object_of(told, "adjustment"), f"{where}.adjustment")
        raise bad("INVALID_ENUM_VALUE", f"`{kind}` is not a valid enum value.", f"{where}.type")

    def _read_count(self, told: Json, where: str) -> _Change:
        listing, units, at = self._common(told, where, at_least=0)
        if told.get("state") != "IN_STOCK":
            raise bad("INVALID_VALUE", "Only IN_STOCK can be counted.", f"{where}.state")
        made = self._told(told, listing, units, at) | {"state": "IN_STOCK"}
        return _Change(listing, True, units, at, {"type": "PHYSICAL_COUNT", "physical_count": made})

    def _read_adjustment(self, told: Json, where: str) -> _Change:
        listing, units, at = self._common(told, where, at_least=1)
        move = (told.get("from_state"), told.get("to_state"))
        if move not in _MOVES:
            raise bad("INVALID_VALUE", f"Cannot move from {move[0]} to {move[1]}.", f"{where}.to_state")
        made = self._told(told, listing, units, at) | {"from_state": move[0], "to_state": move[1]}
        signed = units if move[1] == "IN_STOCK" else -units
        return _Change(listing, False, signed, at, {"type": "ADJUSTMENT", "adjustment": made})

    def _common(self, told: Json, where: str, *, at_least: int) -> tuple[Listing, int, datetime]:
        object_id = told.get("catalog_object_id")
        listing = self._shop.listings.get(str(object_id))
        if listing is None:
            error = not_found(f"Catalog object with ID {object_id} not found.")
            error.field = f"{where}.catalog_object_id"
            raise error
        if told.get("location_id") != self._location_id:
            raise bad("INVALID_LOCATION", "The location is not one of the seller's.", f"{where}.location_id")
        at, now = read_time(told.get("occurred_at"), f"{where}.occurred_at"), self._now()
        if at > now + _AHEAD or at < now - _OLDEST:
            detail = "The timestamp cannot be older than 24 hours or in the future."
            raise bad("INVALID_TIME", detail, f"{where}.occurred_at")
        return listing, _units(told.get("quantity"), f"{where}.quantity", at_least), min(at, now)

    def _told(self, told: Json, listing: Listing, units: int, at: datetime) -> Json:
        made: Json = {
            "id": self._ids.letters(),
            "catalog_object_id": listing.id,
            "catalog_object_type": "ITEM_VARIATION",
            "location_id": self._location_id,
            "quantity": str(units),
            "occurred_at": stamp(at),
            "created_at": stamp(self._now()),
        }
        if told.get("reference_id"):
            made["reference_id"] = str(told["reference_id"])
        return made

    async def batch_retrieve(self, request: Request) -> Response:
        """BatchRetrieveInventoryCounts: variations that were never counted or moved have none."""
        body = await body_of(request)
        ids = [str(object_id) for object_id in list_of(body, "catalog_object_ids", at_most=1000)]
        places = list_of(body, "location_ids", at_most=1000)
        states = list_of(body, "states", at_most=20)
        since = read_time(body["updated_after"], "updated_after") if body.get("updated_after") else _BEGINNING
        wanted = [self._shop.listings[object_id] for object_id in ids if object_id in self._shop.listings]
        found = [
            listing
            for listing in (wanted if ids else self._shop.listings.values())
            if self._changed_at.get(listing.id, _BEGINNING) > since
        ]
        if (places and self._location_id not in places) or (states and "IN_STOCK" not in states):
            found = []
        page, following = page_of(found, start_of(body.get("cursor")), limit_of(body, usual=1000, at_most=1000))
        return ok({"counts": [self.count(listing) for listing in page] or None, "cursor": following})

    def count(self, listing: Listing) -> Json:
        """Return the count of a listing."""
        return {
            "catalog_object_id": listing.id,
            "catalog_object_type": "ITEM_VARIATION",
            "state": "IN_STOCK",
            "location_id": self._location_id,
            "quantity": str(listing.quantity),
            "calculated_at": stamp(self._changed_at.get(listing.id, listing.updated_at)),
        }


def _units(value: object, where: str, at_least: int) -> int:
    """Return whole units of a decimal text. Raises SquareError."""
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or found != found.to_integral_value():
        raise bad("INVALID_VALUE", "The quantity must be a whole number, as text.", where)
    if found < at_least:
        raise bad("VALUE_TOO_LOW", f"The quantity must be at least {at_least}.", where)
    return int(found)
