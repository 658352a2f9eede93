"""The quantity mutations: atomic, compare-and-set, and done once for one idempotency key.

A mutation either does all of its changes or, with a user error, none. The result of the first request with a key is
given again to every later one with the same input; a request that failed uses its key up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, get_directive_values

from entrepot_sandbox.books import Listing
from entrepot_sandbox.journal import WriteKind
from entrepot_sandbox.shopify import ids, webhooks
from entrepot_sandbox.shopify.catalog import Node, item_node, location_node, quantity_of
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.state import Attempt, State
from entrepot_sandbox.shopify.words import stamp

Info = GraphQLResolveInfo[Any]
INPUT_MAX = 250
QUANTITY_MAX = 1_000_000_000
REASONS = frozenset(
    (
        "correction",
        "cycle_count_available",
        "damaged",
        "movement_canceled",
        "movement_created",
        "movement_received",
        "movement_updated",
        "other",
        "promotion",
        "quality_control",
        "received",
        "reservation_created",
        "reservation_deleted",
        "reservation_updated",
        "restock",
        "safety_stock",
        "shrinkage",
    )
)
MESSAGES = {
    "CHANGE_FROM_QUANTITY_STALE": "The changeFromQuantity argument no longer matches the persisted quantity.",
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": (
        "The same idempotency key cannot be used with different operation parameters."
    ),
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": (
        "A previous request with this idempotency key failed. Retry with a new idempotency key."
    ),
    "INVALID_INVENTORY_ITEM": "The specified inventory item could not be found.",
    "INVALID_LOCATION": "The specified location could not be found.",
    "INVALID_NAME": "The quantity name must be either 'available' or 'on_hand'.",
    "INVALID_QUANTITY_NAME": "The specified quantity name is invalid.",
    "INVALID_QUANTITY_NEGATIVE": "The quantity can't be negative.",
    "INVALID_QUANTITY_TOO_HIGH": "The quantity is too high.",
    "INVALID_QUANTITY_TOO_LOW": "The quantity is too low.",
    "INVALID_REASON": "The specified reason is invalid.",
    "INVALID_REFERENCE_DOCUMENT": "The specified reference document is invalid.",
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": "The combination of inventoryItemId and locationId must be unique.",
    "INVALID_AVAILABLE_DOCUMENT": "A ledger document URI is not allowed when adjusting available.",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One wanted change of what is available of a listing."""

    listing: Listing
    delta: int


Plan = tuple[list[Change], list[Node]]


def set_quantities(state: State, info: Info, wanted: Mapping[str, Any]) -> Node:
    """Answer inventorySetQuantities."""
    rows = wanted["quantities"]
    _require_change_from(rows, "InventoryQuantityInput")
    return _once(state, info, wanted, lambda: _set(state, wanted, rows))


def adjust_quantities(state: State, info: Info, wanted: Mapping[str, Any]) -> Node:
    """Answer inventoryAdjustQuantities."""
    rows = wanted["changes"]
    _require_change_from(rows, "InventoryChangeInput")
    return _once(state, info, wanted, lambda: _adjust(state, wanted, rows))


def _require_change_from(rows: Sequence[Mapping[str, Any]], kind: str) -> None:
    if len(rows) > INPUT_MAX:
        raise GraphQLError(
            f"The input array size of {len(rows)} is greater than the maximum allowed of {INPUT_MAX}.",
            extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"},
        )
    if any("changeFromQuantity" not in row for row in rows):
        raise GraphQLError(
            f"{kind} must include the following argument: changeFromQuantity.",
            extensions={"code": "INVALID_FIELD_ARGUMENTS"},
        )


def _once(state: State, info: Info, wanted: Mapping[str, Any], act: Callable[[], Node]) -> Node:
    """Do it, or give the answer that the first request with this key got."""
    key = _idempotency_key(info)
    fingerprint = json.dumps([info.field_name, wanted], sort_keys=True)
    first = state.attempts.get(key)
    if first is None:
        answer = act()
        state.attempts[key] = Attempt(fingerprint, None if answer["userErrors"] else answer)
        return answer
    if first.fingerprint != fingerprint:
        return _refusal([_error("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None)])
    if first.payload is None:
        return _refusal([_error("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None)])
    return first.payload


def _idempotency_key(info: Info) -> str:
    directive = info.schema.get_directive("idempotent")
    assert directive is not None
    values = get_directive_values(directive, info.field_nodes[0], info.variable_values)
    if values is None:
        raise GraphQLError(
            "The @idempotent directive is required for this mutation but was not provided.",
            extensions={"code": "BAD_REQUEST"},
        )
    key = str(values["key"])
    if not key.strip() or len(key) > 255:
        raise GraphQLError("The idempotency key is invalid.", extensions={"code": "BAD_REQUEST"})
    return key


def _set(state: State, wanted: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Node:
    name = wanted["name"]
    errors = _common_errors(wanted)
    if name not in ("available", "on_hand"):
        errors.append(_error("INVALID_NAME", ["input", "name"]))
    if errors:
        return _refusal(errors)
    changes: list[Change] = []
    seen: set[str] = set()
    for index, row in enumerate(rows):
        listing, error = _target(state, row, "quantities", index)
        path = ["input", "quantities", str(index)]
        if listing is None:
            errors.append(error)
            continue
        before, after, expected = quantity_of(state, listing, name), row["quantity"], row["changeFromQuantity"]
        if listing.id in seen:
            errors.append(_error("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", path))
        elif after < 0:
            errors.append(_error("INVALID_QUANTITY_NEGATIVE", [*path, "quantity"]))
        elif after > QUANTITY_MAX:
            errors.append(_error("INVALID_QUANTITY_TOO_HIGH", [*path, "quantity"]))
        elif expected is not None and expected != before:
            errors.append(_error("CHANGE_FROM_QUANTITY_STALE", [*path, "changeFromQuantity"]))
        seen.add(listing.id)
        changes.append(Change(listing, after - before))
    if errors:
        return _refusal(errors)
    compared = all(row["changeFromQuantity"] is not None for row in rows)
    return _carry_out(state, wanted, changes, WriteKind.COMPARE_AND_SET if compared else WriteKind.ABSOLUTE)


def _adjust(state: State, wanted: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Node:
    errors = _common_errors(wanted)
    if wanted["name"] != "available":
        errors.append(_error("INVALID_QUANTITY_NAME", ["input", "name"]))
    if errors:
        return _refusal(errors)
    changes: list[Change] = []
    for index, row in enumerate(rows):
        listing, error = _target(state, row, "changes", index)
        path = ["input", "changes", str(index)]
        if listing is None:
            errors.append(error)
            continue
        expected = row["changeFromQuantity"]
        if row.get("ledgerDocumentUri"):
            errors.append(_error("INVALID_AVAILABLE_DOCUMENT", [*path, "ledgerDocumentUri"]))
        elif abs(listing.quantity + row["delta"]) > 2 * QUANTITY_MAX:
            errors.append(_error("INVALID_QUANTITY_TOO_HIGH", [*path, "delta"]))
        elif expected is not None and expected != listing.quantity:
            errors.append(_error("CHANGE_FROM_QUANTITY_STALE", [*path, "changeFromQuantity"]))
        changes.append(Change(listing, row["delta"]))
    return _refusal(errors) if errors else _carry_out(state, wanted, changes, WriteKind.DELTA)


def _common_errors(wanted: Mapping[str, Any]) -> list[Node]:
    errors = []
    if wanted["reason"] not in REASONS:
        errors.append(_error("INVALID_REASON", ["input", "reason"]))
    document = wanted.get("referenceDocumentUri")
    scheme, separator, rest = (document or "").partition("://")
    if document is not None and not (scheme and separator and rest):
        errors.append(_error("INVALID_REFERENCE_DOCUMENT", ["input", "referenceDocumentUri"]))
    return errors


def _target(state: State, row: Mapping[str, Any], field: str, index: int) -> tuple[Listing | None, Node]:
    listing = state.by_item.get(ids.number_of(row["inventoryItemId"], "InventoryItem") or "")
    if listing is None:
        return None, _error("INVALID_INVENTORY_ITEM", ["input", field, str(index), "inventoryItemId"])
    if ids.number_of(row["locationId"], "Location") != str(ids.LOCATION):
        return None, _error("INVALID_LOCATION", ["input", field, str(index), "locationId"])
    return listing, {}


def _carry_out(state: State, wanted: Mapping[str, Any], changes: Sequence[Change], kind: WriteKind) -> Node:
    state.adjustment_count += 1
    number = ids.ADJUSTMENT + state.adjustment_count
    entries: list[Node] = []
    for change in changes:
        listing = change.listing
        after = listing.quantity + change.delta
        state.shop.write_quantity(listing, after, kind=kind, request_id=str(number))
        if change.delta:
            entries += [_change_node(state, listing, name, change.delta) for name in ("available", "on_hand")]
    webhooks.tell_stock(state, (change.listing for change in changes if change.delta))
    if not entries:
        return {"inventoryAdjustmentGroup": None, "userErrors": []}
    return {"inventoryAdjustmentGroup": _group(state, number, wanted, entries), "userErrors": []}


def _change_node(state: State, listing: Listing, name: str, delta: int) -> Node:
    return {
        "delta": delta,
        "name": name,
        "quantityAfterChange": quantity_of(state, listing, name),
        "ledgerDocumentUri": None,
        "item": lambda _info: item_node(state, listing),
        "location": lambda _info: location_node(state),
        "_item": gid("InventoryItem", listing.keys["item"]),
    }


def _group(state: State, number: int, wanted: Mapping[str, Any], entries: Sequence[Node]) -> Node:
    def changes(
        _info: Any,
        inventoryItemIds: list[str] | None = None,  # noqa: N803 - the channel's names
        locationIds: list[str] | None = None,  # noqa: N803
        quantityNames: list[str] | None = None,  # noqa: N803
    ) -> list[Node]:
        here = locationIds is None or gid("Location", ids.LOCATION) in locationIds
        return [
            entry
            for entry in entries
            if here
            and (quantityNames is None or entry["name"] in quantityNames)
            and (inventoryItemIds is None or entry["_item"] in inventoryItemIds)
        ]

    return {
        "__typename": "InventoryAdjustmentGroup",
        "id": gid("InventoryAdjustmentGroup", number),
        "createdAt": stamp(state.desk.now()),
        "reason": wanted["reason"],
        "referenceDocumentUri": wanted.get("referenceDocumentUri"),
        "changes": changes,
    }


def _refusal(errors: list[Node]) -> Node:
    return {"inventoryAdjustmentGroup": None, "userErrors": errors}


def _error(code: str, field: list[str] | None) -> Node:
    return {"code": code, "field": field, "message": MESSAGES[code]}
