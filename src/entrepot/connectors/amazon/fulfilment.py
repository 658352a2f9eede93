"""Telling Amazon that a parcel left."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import Api, Fulfilment, RequestRejected
from entrepot.connectors.amazon import calls
from entrepot.connectors.amazon.reading import body_of, inner, objects, optional_text

CARRIERS: Mapping[str, str] = {
    "amazon shipping": "Amazon Shipping",
    "australia post": "Australia Post",
    "bpost": "BPOST",
    "canada post": "Canada Post",
    "chronopost": "Chronopost",
    "colissimo": "Colissimo",
    "correos": "Correos",
    "deutsche post": "Deutsche Post",
    "dhl": "DHL",
    "dpd": "DPD",
    "evri": "Evri",
    "fedex": "FedEx",
    "gls": "GLS",
    "la poste": "La Poste",
    "ontrac": "OnTrac",
    "parcelforce": "Parcelforce",
    "postnl": "PostNL",
    "royal mail": "Royal Mail",
    "seur": "SEUR",
    "tnt": "TNT",
    "ups": "UPS",
    "usps": "USPS",
    "yodel": "Yodel",
}
"""Carriers by Amazon's code; any other is sent as Other with its name."""


async def push(api: Api, parcel: Fulfilment) -> str:
    """Confirm the parcel and return its package reference. The same parcel again is the same package."""
    reference = package_reference(parcel)
    body = confirmation(parcel, api.settings["marketplace_id"])
    try:
        await api.send(calls.confirm_shipment(parcel.external_order_id, body))
    except RequestRejected as error:
        # Amazon refuses some repetitions; if it has the package, all is well.
        if not await _known(api, parcel, reference):
            raise error from None
    return reference


def confirmation(parcel: Fulfilment, marketplace_id: str) -> dict[str, Any]:
    """Return the body that tells of the parcel. Pure. Raises RequestRejected in plain words."""
    if not parcel.tracking_number:
        raise RequestRejected("Amazon asks for a tracking number.", code="no_tracking_number")
    code = CARRIERS.get(parcel.carrier.strip().lower())
    detail: dict[str, Any] = {
        "packageReferenceId": package_reference(parcel),
        "carrierCode": code or "Other",
        "trackingNumber": parcel.tracking_number,
        "shipDate": calls.iso8601(parcel.shipped_at),
        "orderItems": [{"orderItemId": line.external_line_id, "quantity": line.quantity} for line in parcel.lines],
    }
    if code is None:
        detail["carrierName"] = parcel.carrier.strip() or "Other"
    return {"marketplaceId": marketplace_id, "packageDetail": detail}


def package_reference(parcel: Fulfilment) -> str:
    """Return a positive number that belongs to this parcel for ever."""
    digest = hashlib.sha256(parcel.idempotency_key.encode()).digest()
    return str(int.from_bytes(digest[:8], "big") % 999_999_999 + 1)


async def _known(api: Api, parcel: Fulfilment, reference: str) -> bool:
    try:
        order = inner(body_of(await api.send(calls.get_order(parcel.external_order_id, "PACKAGES"))), "order")
    except RequestRejected:
        return False
    packages = objects(order, "packages")
    return any(
        optional_text(each, "packageReferenceId") == reference
        or optional_text(each, "trackingNumber") == parcel.tracking_number
        for each in packages
    )
