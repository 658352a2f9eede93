"""Our orders as Printful takes them. Pure; raises RequestRejected where Printful could not take it.

The second version takes items of the catalog with their design; items of the store (whose design Printful keeps) are taken
by the first version only. An order that holds one of these goes by the first version whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from entrepot.channels.contract import (
    Address,
    AttributeValue,
    DesignLayer,
    MakingDraft,
    MakingLine,
    Placement,
    RequestRejected,
    RetailCosts,
)
from entrepot.channels.contract.making import EXTERNAL_ID

USUAL_SHIPPING = "STANDARD"
QUANTITY_MAX = 1_000_000
LAYERS_MAX = 5
_STATE_CODE = re.compile(r"[A-Z0-9]{1,3}")
_NEEDS_STATE = frozenset({"US", "CA", "AU", "JP"})
_CENT = Decimal("0.01")


def of_store(line: MakingLine) -> bool:
    """Return whether a line is a variant of the store, whose design Printful keeps."""
    return not line.placements and bool(line.ref.keys.get("sync_variant_id"))


def goes_by_first_version(draft: MakingDraft) -> bool:
    """Return whether the order holds something that only the first version takes."""
    return any(of_store(line) for line in draft.lines)


def check(draft: MakingDraft) -> None:
    """Raise RequestRejected, with what to do, where Printful could not take the draft."""
    check_external_id(draft.external_id)
    if not draft.lines:
        raise RequestRejected("The order has no lines.", code="lines")
    keys = [line.key for line in draft.lines]
    if not all(keys) or len(set(keys)) < len(keys):
        raise RequestRejected("Each line needs a key of its own.", code="lines")
    for line in draft.lines:
        _check_line(line)
    _check_recipient(draft.recipient)


def check_external_id(external_id: str) -> None:
    """Raise RequestRejected if Printful could not take the id."""
    if not EXTERNAL_ID.fullmatch(external_id):
        raise RequestRejected(
            f"The external id {external_id[:40]!r} must be 1 to 32 letters, digits, hyphens and underscores.",
            code="external_id",
        )


def _check_line(line: MakingLine) -> None:
    name = line.title or line.key
    if not 1 <= line.quantity <= QUANTITY_MAX:
        raise RequestRejected(f"{name}: the quantity must be 1 to {QUANTITY_MAX}.", code="quantity")
    if of_store(line):
        return
    if not line.ref.keys.get("catalog_variant_id"):
        raise RequestRejected(f"{name} is not a variant of Printful: match it to one first.", code="variant")
    if not line.placements:
        raise RequestRejected(
            f"{name} is a blank product: give it a design, or match it to a product of your Printful store.",
            code="placements",
        )
    for placement in line.placements:
        if not 1 <= len(placement.layers) <= LAYERS_MAX:
            raise RequestRejected(f"{name}: {placement.name} needs 1 to {LAYERS_MAX} pictures.", code="placements")
        for layer in placement.layers:
            parts = urlsplit(layer.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise RequestRejected(
                    f"{name}: the picture for {placement.name} has no address that Printful could fetch.",
                    code="placements",
                )


def _check_recipient(to: Address) -> None:
    for value, what in ((to.name or to.company, "a name"), (to.line1, "a street"), (to.city, "a city")):
        if not value.strip():
            raise RequestRejected(f"The address has not {what}.", code="recipient")
    if not re.fullmatch("[A-Z]{2}", to.country):
        raise RequestRejected("The address needs a country of two capital letters.", code="recipient")
    if to.country in _NEEDS_STATE and not to.region.strip():
        raise RequestRejected(f"An address in {to.country} needs a state.", code="recipient")


# ---- second version ----------------------------------------------------------------------------------------------


def order_body(draft: MakingDraft) -> dict[str, Any]:
    """Return the order as the second version takes it."""
    body: dict[str, Any] = {
        "external_id": draft.external_id,
        "shipping": draft.shipping_method or USUAL_SHIPPING,
        "recipient": recipient_body(draft.recipient, draft.recipient_email),
        "order_items": [item_body(line) for line in draft.lines],
    }
    slip = _packing_slip(draft)
    if slip:
        body["customization"] = {"packing_slip": slip}
    if draft.retail is not None:
        body["retail_costs"] = retail_body(draft.retail)
    return body


def estimate_body(draft: MakingDraft) -> dict[str, Any]:
    """Return what the second version needs to work out the costs."""
    body = order_body(draft)
    return {name: body[name] for name in ("recipient", "order_items", "retail_costs") if name in body}


def item_body(line: MakingLine) -> dict[str, Any]:
    """Return a line as an item of the catalog with its design."""
    body: dict[str, Any] = {
        "source": "catalog",
        "catalog_variant_id": int(line.ref.keys["catalog_variant_id"]),
        "external_id": line.key,
        "quantity": line.quantity,
        "placements": [_placement(each) for each in line.placements],
    }
    if line.title:
        body["name"] = line.title
    if line.retail_price is not None:
        body["retail_price"] = amount(line.retail_price)
    if line.options:
        body["product_options"] = _options(line.options)
    return body


def _placement(placement: Placement) -> dict[str, Any]:
    body: dict[str, Any] = {
        "placement": placement.name,
        "technique": placement.technique,
        "layers": [_layer(each) for each in placement.layers],
    }
    if placement.options:
        body["placement_options"] = _options(placement.options)
    return body


def _layer(layer: DesignLayer) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "file", "url": layer.url}
    if layer.options:
        body["layer_options"] = _options(layer.options)
    if layer.position:
        body["position"] = {name: float(value) for name, value in layer.position.items()}
    return body


def _options(options: Mapping[str, AttributeValue]) -> list[dict[str, Any]]:
    return [{"name": name, "value": _plain(value)} for name, value in options.items()]


def _plain(value: AttributeValue) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def recipient_body(to: Address, email: str) -> dict[str, str]:
    """Return the address; what is not there is left out, as Printful takes no empty state."""
    region = to.region.strip()
    is_code = _STATE_CODE.fullmatch(region) is not None
    told = {
        "name": to.name or to.company,
        "company": to.company,
        "address1": to.line1,
        "address2": to.line2,
        "city": to.city,
        "state_code": region if is_code else "",
        "state_name": "" if is_code else region,
        "country_code": to.country,
        "zip": to.postal_code,
        "phone": to.phone,
        "email": email,
    }
    return {name: value for name, value in told.items() if value}


def retail_body(retail: RetailCosts) -> dict[str, str]:
    """Return what the buyer paid beside the goods."""
    return {
        "currency": retail.currency,
        "discount": amount(retail.discount),
        "shipping": amount(retail.shipping),
        "tax": amount(retail.tax),
    }


def amount(value: Decimal) -> str:
    """Return an amount as Printful writes it: text with two decimals. Raises RequestRejected if that would round it."""
    if not value.is_finite() or value != value.quantize(_CENT):
        raise RequestRejected(f"Printful takes amounts with two decimals, not {value}.", code="amount")
    return format(value.quantize(_CENT), "f")


def _packing_slip(draft: MakingDraft) -> dict[str, str]:
    told = {"custom_order_id": draft.number, "message": draft.message}
    return {name: value for name, value in told.items() if value}


# ---- first version -----------------------------------------------------------------------------------------------


def old_order_body(draft: MakingDraft) -> dict[str, Any]:
    """Return the order as the first version takes it."""
    body: dict[str, Any] = {
        "external_id": draft.external_id,
        "shipping": draft.shipping_method or USUAL_SHIPPING,
        "recipient": recipient_body(draft.recipient, draft.recipient_email),
        "items": [_old_item(line) for line in draft.lines],
    }
    slip = _packing_slip(draft)
    if slip:
        body["packing_slip"] = slip
    if draft.retail is not None:
        body["retail_costs"] = retail_body(draft.retail)
    return body


def old_estimate_body(draft: MakingDraft) -> dict[str, Any]:
    """Return what the first version needs to work out the costs."""
    body = old_order_body(draft)
    return {name: body[name] for name in ("shipping", "recipient", "items", "retail_costs") if name in body}


def _old_item(line: MakingLine) -> dict[str, Any]:
    body: dict[str, Any] = {"external_id": line.key, "quantity": line.quantity}
    if of_store(line):
        body["sync_variant_id"] = int(line.ref.keys["sync_variant_id"])
    else:
        body["variant_id"] = int(line.ref.keys["catalog_variant_id"])
        body["files"] = _old_files(line)
    if line.title:
        body["name"] = line.title
    if line.retail_price is not None:
        body["retail_price"] = amount(line.retail_price)
    return body


def _old_files(line: MakingLine) -> Sequence[dict[str, str]]:
    """Return the design for the first version, which knows one picture a placement and no options as the second has."""
    for placement in line.placements:
        only = placement.layers[0]
        if len(placement.layers) > 1 or only.position or only.options or placement.options or line.options:
            raise RequestRejected(
                f"{line.title or line.key}: a design with several layers, positions or options cannot be ordered together "
                "with products of your Printful store. Order it by itself.",
                code="mixed",
            )
    return [{"type": placement.name, "url": placement.layers[0].url} for placement in line.placements]
