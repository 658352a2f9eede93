"""Orders and parcels as Printful tells them, in both versions."""

from __future__ import annotations

from decimal import Decimal

from entrepot_sandbox.printful.answers import Json, amount, stamp
from entrepot_sandbox.printful.books import Item, Order, Parcel

CARRIER, SERVICE = "UPS", "UPS Ground"
_AMOUNTS = (
    "subtotal",
    "discount",
    "shipping",
    "digitization",
    "additional_fee",
    "fulfillment_fee",
    "retail_delivery_fee",
    "vat",
    "tax",
    "total",
)
_API = "https://api.printful.com/v2/orders"


class Shower:
    """Shows orders of one store."""

    def __init__(self, store_id: int, currency: str) -> None:
        self.store_id, self.currency = store_id, currency

    # -- second version --

    def order(self, order: Order, *, costs_ready: bool, whole: bool = True) -> Json:
        """Return an order; `whole`: as it is told when asked for alone."""
        link = f"{_API}/{order.id}"
        told: Json = {
            "id": order.id,
            "external_id": order.external_id,
            "store_id": self.store_id,
            "shipping": order.shipping,
            "status": order.status,
            "created_at": stamp(order.created_at),
            "updated_at": stamp(order.updated_at),
            "recipient": order.recipient,
            "costs": self.costs(order, ready=costs_ready),
            "retail_costs": self.retail(order, ready=costs_ready),
            "order_items": [self._summary(order, each) for each in order.items],
            "_links": {"self": {"href": link}, "order_items": {"href": f"{link}/order-items"}},
        }
        told["_links"]["shipments"] = {"href": f"{link}/shipments"}
        if whole:
            told["customization"] = order.customization
        return told

    def costs(self, order: Order, *, ready: bool) -> Json:
        """Return what Printful asks for, once it is worked out."""
        if not ready:
            return {"calculation_status": "calculating", "currency": None, **dict.fromkeys(_AMOUNTS)}
        zero = amount(Decimal(0))
        return {
            "calculation_status": "done",
            "currency": self.currency,
            **dict.fromkeys(_AMOUNTS, zero),
            "subtotal": amount(order.subtotal),
            "shipping": amount(order.shipping_cost),
            "total": amount(order.subtotal + order.shipping_cost),
        }

    def retail(self, order: Order, *, ready: bool) -> Json:
        """Return what the buyer paid, as the seller told it."""
        zero = amount(Decimal(0))
        parts = {name: order.retail.get(name, zero) for name in ("discount", "shipping", "tax")}
        goods = sum((each.retail_price or Decimal(0)) * each.quantity for each in order.items)
        total = goods + Decimal(parts["shipping"]) + Decimal(parts["tax"]) - Decimal(parts["discount"])
        return {
            "calculation_status": "done" if ready else "calculating",
            "currency": order.retail.get("currency", self.currency),
            "subtotal": amount(Decimal(goods)) if ready else None,
            **parts,
            "vat": zero,
            "total": amount(total) if ready else None,
        }

    def _summary(self, order: Order, item: Item) -> Json:
        told: Json = {
            "id": item.id,
            "type": "order_item",
            "source": "catalog",
            "catalog_variant_id": item.variant.id,
            "external_id": item.external_id,
            "quantity": item.quantity,
            "name": item.name,
            "price": amount(item.variant.price),
            "currency": self.currency,
            "_links": {"self": {"href": f"{_API}/{order.id}/order-items/{item.id}"}},
        }
        if item.retail_price is not None:
            told |= {"retail_price": amount(item.retail_price), "retail_currency": self.currency}
        return told

    def item(self, item: Item) -> Json:
        """Return an item whole, with its design."""
        told: Json = {
            "id": item.id,
            "source": "catalog",
            "catalog_variant_id": item.variant.id,
            "external_id": item.external_id,
            "quantity": item.quantity,
            "name": item.name,
            "placements": item.placements,
            "product_options": item.product_options,
        }
        if item.retail_price is not None:
            told["retail_price"] = amount(item.retail_price)
        return told

    def shipment(self, order: Order, parcel: Parcel) -> Json:
        """Return a parcel. The specification has no tracking number there, only the address to track it."""
        sent = parcel.shipped_at is not None
        names = {each.id: each for each in order.items}
        told: Json = {
            "id": parcel.id,
            "order_id": order.id,
            "order_external_id": order.external_id,
            "carrier": CARRIER if sent else None,
            "service": SERVICE if sent else None,
            "shipment_status": parcel.status,
            "shipped_at": stamp(parcel.shipped_at) if parcel.shipped_at else None,
            "delivery_status": "delivered" if parcel.delivered_at else "pre_transit" if sent else "unknown",
            "delivered_at": stamp(parcel.delivered_at) if parcel.delivered_at else None,
            "departure_address": {"country_name": "Latvia", "country_code": "LV"},
            "is_reshipment": parcel.is_reshipment,
            "tracking_events": [],
            "estimated_delivery": None,
            "shipment_items": [
                {
                    "id": parcel.id * 10 + place,
                    "order_item_id": item_id,
                    "order_item_external_id": names[item_id].external_id,
                    "order_item_name": names[item_id].name,
                    "quantity": units,
                }
                for place, (item_id, units) in enumerate(parcel.units.items())
            ],
        }
        if sent:
            told["tracking_url"] = tracking_url(parcel)
        return told

    # -- first version --

    def old_order(self, order: Order) -> Json:
        """Return an order as the first version tells it."""
        return {
            "id": order.id,
            "external_id": order.external_id,
            "store": self.store_id,
            "status": order.status,
            "shipping": order.shipping,
            "created": int(order.created_at.timestamp()),
            "updated": int(order.updated_at.timestamp()),
            "recipient": order.recipient,
            "items": [self._old_item(each) for each in order.items],
            "costs": self.old_costs(order),
            "shipments": [self._old_shipment(each) for each in order.parcels if each.shipped_at],
        }

    def old_costs(self, order: Order) -> Json:
        """Return the costs as the first version tells them."""
        told = self.costs(order, ready=True)
        return {name: value for name, value in told.items() if name != "calculation_status"}

    def _old_item(self, item: Item) -> Json:
        return {
            "id": item.id,
            "external_id": item.external_id,
            "variant_id": item.variant.id,
            "sync_variant_id": item.sync_variant_id,
            "quantity": item.quantity,
            "price": amount(item.variant.price),
            "name": item.name,
        }

    def _old_shipment(self, parcel: Parcel) -> Json:
        assert parcel.shipped_at is not None
        return {
            "id": parcel.id,
            "carrier": CARRIER,
            "service": SERVICE,
            "tracking_number": parcel.tracking_number,
            "tracking_url": tracking_url(parcel),
            "ship_date": parcel.shipped_at.date().isoformat(),
            "shipped_at": int(parcel.shipped_at.timestamp()),
            "reshipment": parcel.is_reshipment,
            "items": [{"item_id": item_id, "quantity": units} for item_id, units in parcel.units.items()],
        }


def tracking_url(parcel: Parcel) -> str:
    """Return where a parcel can be followed."""
    return f"https://track.example/{parcel.tracking_number}"
