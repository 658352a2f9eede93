"""Telling eBay that a parcel left. eBay has no idempotency key, so the parcels it knows are looked at first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.channels.contract import Api, Fulfilment, Payload, RequestRejected, UnexpectedAnswer
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.reading import body_of, objects, optional_text, text, whole

CARRIERS: Mapping[str, str] = {
    "an post": "AnPost",
    "australia post": "AustraliaPost",
    "bpost": "Bpost",
    "canada post": "CanadaPost",
    "chronopost": "Chronopost",
    "colissimo": "Colissimo",
    "correos": "Correos",
    "deutsche post": "DeutschePost",
    "dhl": "DHL",
    "dpd": "DPD",
    "evri": "Hermes",
    "fedex": "FedEx",
    "gls": "GLS",
    "hermes": "Hermes",
    "la poste": "LaPoste",
    "ontrac": "ONTRAC",
    "parcelforce": "Parcelforce",
    "postnl": "PostNL",
    "royal mail": "RoyalMail",
    "tnt": "TNT",
    "ups": "UPS",
    "usps": "USPS",
    "yodel": "Yodel",
}
"""Carriers by eBay's code; any other is sent by its name without spaces."""
_LOCATION = re.compile(r"/shipping_fulfillment/([^/?#]+)")


async def push(api: Api, parcel: Fulfilment) -> str:
    """Tell of the parcel and return its id at eBay. One that eBay knows is not told again."""
    body = body_of_parcel(parcel)
    known = body_of(await quota.send(api, calls.parcels(parcel.external_order_id)))
    found = known_id(objects(known, "fulfillments"), body)
    if found:
        return found
    reply = await quota.send(api, calls.create_parcel(parcel.external_order_id, body))
    named = _LOCATION.search(reply.headers.get("location", ""))
    if named is not None:
        return named[1]
    again = body_of(await quota.send(api, calls.parcels(parcel.external_order_id)))
    found = known_id(objects(again, "fulfillments"), body)
    if not found:
        raise UnexpectedAnswer("eBay took the parcel, but does not show it")
    return found


def body_of_parcel(parcel: Fulfilment) -> dict[str, Any]:
    """Return the body that tells of the parcel. Pure. Raises RequestRejected in plain words.

    eBay wants a carrier with a tracking number, or neither; it takes letters and digits only.
    """
    if not parcel.lines:
        raise RequestRejected("The parcel holds nothing.", code="no_lines")
    body: dict[str, Any] = {
        "lineItems": [{"lineItemId": line.external_line_id, "quantity": line.quantity} for line in parcel.lines],
        "shippedDate": calls.iso8601(parcel.shipped_at),
    }
    number = re.sub(r"[^A-Za-z0-9]", "", parcel.tracking_number)
    if number:
        body["trackingNumber"] = number
        carrier = " ".join(parcel.carrier.lower().split())
        body["shippingCarrierCode"] = CARRIERS.get(carrier) or re.sub(r"[^A-Za-z0-9]", "", parcel.carrier) or "Other"
    return body


def known_id(parcels: Sequence[Payload], body: Mapping[str, Any]) -> str:
    """Return the id of the parcel that the body tells of, empty where eBay does not know it yet. Pure."""
    number = body.get("trackingNumber", "")
    lines = {each["lineItemId"]: each["quantity"] for each in body["lineItems"]}
    for each in parcels:
        its = optional_text(each, "shipmentTrackingNumber")
        held = {text(line, "lineItemId"): whole(line, "quantity") or 1 for line in objects(each, "lineItems")}
        if its == number and (held == lines if not number else lines.keys() <= held.keys()):
            return text(each, "fulfillmentId")
    return ""
