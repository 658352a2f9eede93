"""Making orders, step by step by the sandbox's clock: accepted, held, out of stock, sent in one or several parcels."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime

from entrepot_sandbox.printful.books import Order, Parcel
from entrepot_sandbox.printful.orders import Orders

STEP_S = 1.0
"""How long a step takes (the real thing takes days)."""
ENDED = frozenset({"fulfilled", "canceled", "failed"})


@dataclass(slots=True)
class Accidents:
    """Shares of orders that fail when they are accepted, are held for a while, or go in several parcels."""

    fail: float = 0.0
    hold: float = 0.0
    split: float = 0.3


class Production:
    """Makes orders. `told` publishes a parcel's event; `sent` hears of parcels that left, `failed` of
    orders that will not be made."""

    def __init__(
        self,
        orders: Orders,
        chance: random.Random,
        new_id: Callable[[], int],
        now: Callable[[], datetime],
        told: Callable[[str, Order, Parcel, str], None],
        sent: Callable[[Order, Parcel], None],
        failed: Callable[[Order], None],
    ) -> None:
        self.accidents = Accidents()
        self._orders, self._chance, self._new_id, self._now = orders, chance, new_id, now
        self._told, self._sent, self._failed = told, sent, failed

    def expect(self, shares: dict[str, float]) -> None:
        """Change the shares of accidents. Raises ValueError."""
        known = {each.name for each in fields(Accidents)}
        for name, share in shares.items():
            if name not in known or not 0 <= share <= 1:
                raise ValueError(f"There are shares (0 to 1) for {', '.join(sorted(known))}; not {name} = {share}.")
            setattr(self.accidents, name, share)

    def step(self, order: Order) -> None:
        """Do what comes next for an order."""
        if order.status == "pending":
            self._accept(order)
        elif order.status == "onhold" and order.held_steps is not None:
            order.held_steps -= 1
            if order.held_steps <= 0:
                self.release(order)
        elif order.status in ("inprocess", "partial"):
            self._make(order)

    def _accept(self, order: Order) -> None:
        wrong = missing_file(order)
        if wrong:
            for item in order.items:
                for placement in item.placements:
                    if any("missing" in layer["url"] for layer in placement["layers"]):
                        placement |= {"status": "failed", "status_explanation": wrong}
            self.fail(order, wrong)
        elif self._chance.random() < self.accidents.fail:
            self.fail(order, "Your payment method was declined.")
        else:
            order.status = "inprocess"
            if not order.parcels:
                order.parcels = self._plan(order)
            self._orders.touch(order, "order_updated")
            if self._chance.random() < self.accidents.hold:
                self.hold(order, "The address needs to be confirmed.", steps=2)

    def _plan(self, order: Order) -> list[Parcel]:
        """Return the parcels that an order goes in: one, or two where it holds more than one unit."""
        now = self._now()
        every = [(item.id, 1) for item in order.items for _ in range(item.quantity)]
        cut = len(every)
        if len(every) > 1 and self._chance.random() < self.accidents.split:
            cut = self._chance.randint(1, len(every) - 1)
        parcels = []
        for part in (every[:cut], every[cut:]):
            units: dict[int, int] = {}
            for item_id, count in part:
                units[item_id] = units.get(item_id, 0) + count
            if units:
                parcels.append(Parcel(self._new_id(), units, now))
        return parcels

    def _make(self, order: Order) -> None:
        """Send the next parcel that can be made; note those that cannot."""
        variants = {each.id: each.variant for each in order.items}
        for parcel in order.parcels:
            if parcel.shipped_at is not None or parcel.status == "canceled":
                continue
            out = any(variants[item_id].out_of_stock for item_id in parcel.units)
            if out and parcel.status != "outstock":
                parcel.status = "outstock"
                self._told("shipment_out_of_stock", order, parcel, "")
            elif not out and parcel.status == "outstock":
                parcel.status = "pending"
                self._told("shipment_out_of_stock", order, parcel, "")
            if not out:
                self.send(order, parcel)
                return

    def send(self, order: Order, parcel: Parcel) -> None:
        """Have a parcel leave."""
        parcel.status, parcel.shipped_at = "shipped", self._now()
        parcel.tracking_number = f"1Z{parcel.id:016}"
        order.status = "fulfilled" if all(each.shipped_at for each in order.parcels) else "partial"
        self._orders.touch(order, "order_updated")
        self._sent(order, parcel)
        self._told("shipment_sent", order, parcel, "")

    def fail(self, order: Order, reason: str) -> None:
        """Have a confirmed order fail."""
        order.status, order.reason = "failed", reason
        self._failed(order)
        self._orders.touch(order, "order_failed")

    def hold(self, order: Order, reason: str, steps: int | None = None) -> None:
        """Put an order on hold; `steps`: for so long, None: until it is released."""
        order.status_before_hold = order.status
        order.status, order.reason, order.held_steps = "onhold", reason, steps
        self._orders.touch(order, "order_put_hold")

    def release(self, order: Order) -> None:
        """End a hold."""
        order.status, order.reason, order.held_steps = order.status_before_hold, "", None
        self._orders.touch(order, "order_remove_hold")

    def give_back(self, order: Order, reason: str) -> None:
        """Have the first parcel that was sent come back. Raises ValueError where none was."""
        parcel = next((each for each in order.parcels if each.shipped_at), None)
        if parcel is None:
            raise ValueError(f"Nothing of the order {order.id} was sent yet.")
        parcel.status = "returned"
        self._told("shipment_returned", order, parcel, reason or "The address is not known.")


def missing_file(order: Order) -> str:
    """Return what is wrong with an order's files, empty where all are there."""
    urls = [layer["url"] for item in order.items for each in item.placements for layer in each["layers"]]
    found = next((url for url in urls if "missing" in url), None)
    return "" if found is None else f"The file {found} could not be downloaded."
