"""The mutations that write products: productSet at once or later, prices in bulk, status, deletion.

productSet does all or nothing: lists (variants, files) become exactly what is sent, other fields change only if they
are sent. productVariantsBulkUpdate with allowPartialUpdates writes the good ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from entrepot_sandbox.books import Listing
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.shopify import drafting, ids, webhooks
from entrepot_sandbox.shopify.catalog import Node, product_node, shop_node, variant_node
from entrepot_sandbox.shopify.drafting import Objection, price_of
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.state import State

OPERATION_S = 4.0
"""How long an asynchronous productSet takes."""
INPUT_MAX = 250
_IDENTIFIERS = frozenset({"id", "handle"})


@dataclass(slots=True)
class Operation:
    """A product that is being written. `status`: CREATED, ACTIVE, COMPLETE."""

    id: str
    status: str = "CREATED"
    sheet: Sheet | None = None
    errors: tuple[Objection, ...] = ()


def product_set(
    state: State, wanted: Mapping[str, Any], identifier: Mapping[str, Any] | None, synchronous: bool | None
) -> Node:
    """Answer productSet."""
    sheet, objection = _identified(state, wanted, identifier or {})
    if objection is not None:
        return _set_answer(None, None, (objection,), state)
    if synchronous is False:
        operation = Operation(gid("ProductSetOperation", ids.OPERATION + len(state.operations) + 1), sheet=sheet)
        state.operations[operation.id] = operation
        state.desk.spawn(_later(state, operation, wanted, identifier or {}))
        return _set_answer(None, operation, (), state)
    plan = drafting.plan(state, wanted, sheet)
    if plan.objections:
        return _set_answer(None, None, plan.objections, state)
    return _set_answer(_carry_out(state, plan), None, (), state)


async def _later(state: State, operation: Operation, wanted: Mapping[str, Any], identifier: Mapping[str, Any]) -> None:
    await state.desk.sleep(OPERATION_S / 2)
    operation.status = "ACTIVE"
    await state.desk.sleep(OPERATION_S / 2)
    # Another call may have made or removed it in the meantime.
    sheet, objection = _identified(state, wanted, identifier)
    plan = drafting.plan(state, wanted, sheet) if objection is None else None
    if plan is None or plan.objections:
        operation.errors = plan.objections if plan is not None else (objection,) if objection else ()
    else:
        operation.sheet = _carry_out(state, plan)
    operation.status = "COMPLETE"


def _identified(
    state: State, wanted: Mapping[str, Any], identifier: Mapping[str, Any]
) -> tuple[Sheet | None, Objection | None]:
    """Return the product that is meant (None: a new one), or what is wrong with how it is named."""
    given = {name: value for name, value in identifier.items() if value is not None}
    if len(given) > 1 or given.keys() - _IDENTIFIERS:
        raise GraphQLError("Exactly one identifier is required", extensions={"code": "BAD_REQUEST"})
    if given and wanted.get("id"):
        return None, Objection(
            "ID_NOT_ALLOWED", "The id field is not allowed if identifier is provided.", "input", "id"
        )
    product_id = given.get("id") or wanted.get("id")
    if product_id:
        sheet = state.sheets.get(ids.number_of(product_id, "Product") or "")
        if sheet is None:
            return None, Objection("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "input")
        return sheet, None
    if "handle" in given:
        if wanted.get("handle") is None:
            message = "The input field corresponding to the identifier is required."
            return None, Objection("MISSING_FIELD_REQUIRED", message, "input", "handle")
        if wanted["handle"] != given["handle"]:
            message = "The identifier value does not match the value of the corresponding field in the input."
            return None, Objection("INPUT_MISMATCH", message, "input", "handle")
        return state.by_handle(given["handle"]), None
    return None, None


def _carry_out(state: State, plan: drafting.Plan) -> Sheet:
    sheet, is_new = drafting.carry_out(state, plan)
    webhooks.tell_product(state, sheet, "PRODUCTS_CREATE" if is_new else "PRODUCTS_UPDATE")
    return sheet


def _set_answer(sheet: Sheet | None, operation: Operation | None, errors: tuple[Objection, ...], state: State) -> Node:
    return {
        "product": product_node(state, sheet) if sheet else None,
        "productSetOperation": operation_node(state, operation) if operation else None,
        "userErrors": [each.node() for each in errors],
    }


def operation_node(state: State, operation: Operation) -> Node:
    """An operation as it is now."""
    return {
        "__typename": "ProductSetOperation",
        "id": operation.id,
        "status": operation.status,
        "product": lambda _info: product_node(state, operation.sheet) if operation.sheet else None,
        "userErrors": [each.node() for each in operation.errors],
    }


def bulk_update(state: State, product_id: str, variants: list[Mapping[str, Any]], partial: bool | None) -> Node:
    """Answer productVariantsBulkUpdate: prices and barcodes."""
    if len(variants) > INPUT_MAX:
        raise GraphQLError(
            f"The input array size of {len(variants)} is greater than the maximum allowed of {INPUT_MAX}.",
            extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"},
        )
    sheet = state.sheets.get(ids.number_of(product_id, "Product") or "")
    if sheet is None:
        error = Objection("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
        return {"product": None, "productVariants": None, "userErrors": [error.node()]}
    errors: list[Objection] = []
    good: list[tuple[Listing, Mapping[str, Any]]] = []
    for index, row in enumerate(variants):
        listing = state.by_variant.get(ids.number_of(row.get("id") or "", "ProductVariant") or "")
        if listing is None or listing.sheet is not sheet:
            message = "Product variant does not exist"
            errors.append(Objection("PRODUCT_VARIANT_DOES_NOT_EXIST", message, "variants", str(index), "id"))
            continue
        wrong = [
            name for name in ("price", "compareAtPrice") if row.get(name) is not None and price_of(row[name]) is None
        ]
        if wrong:
            message = "Price must be greater than or equal to 0"
            errors.append(Objection("GREATER_THAN_OR_EQUAL_TO", message, "variants", str(index), wrong[0]))
            continue
        good.append((listing, row))
    if errors and not partial:
        good = []
    for listing, row in good:
        drafting.change_variant(state, listing, row)
    if good:
        sheet.touch(state.desk.now())
        webhooks.tell_product(state, sheet, "PRODUCTS_UPDATE")
    return {
        "product": product_node(state, sheet),
        "productVariants": [variant_node(state, listing) for listing, _ in good],
        "userErrors": [each.node() for each in errors],
    }


def product_update(state: State, wanted: Mapping[str, Any] | None) -> Node:
    """Answer productUpdate."""
    sheet = state.sheets.get(ids.number_of((wanted or {}).get("id") or "", "Product") or "")
    if sheet is None or wanted is None:
        return {"product": None, "userErrors": [{"field": ["id"], "message": "Product does not exist"}]}
    objections = tuple(drafting.field_objections(wanted, is_new=False))
    if objections:
        plain = [{"field": list(each.path), "message": each.message} for each in objections]
        return {"product": product_node(state, sheet), "userErrors": plain}
    drafting.change_fields(state, sheet, wanted)
    sheet.touch(state.desk.now())
    webhooks.tell_product(state, sheet, "PRODUCTS_UPDATE")
    return {"product": product_node(state, sheet), "userErrors": []}


def product_delete(state: State, wanted: Mapping[str, Any]) -> Node:
    """Answer productDelete."""
    sheet = state.sheets.get(ids.number_of(wanted["id"], "Product") or "")
    if sheet is None:
        errors = [{"field": ["id"], "message": "Product does not exist"}]
        return {"deletedProductId": None, "shop": shop_node(state), "userErrors": errors}
    delete(state, sheet)
    return {"deletedProductId": wanted["id"], "shop": shop_node(state), "userErrors": []}


def delete(state: State, sheet: Sheet) -> None:
    """Take a product out of the shop and tell subscribers."""
    for listing in tuple(sheet.listings):
        drafting.remove_variant(state, listing)
    state.sheets.pop(sheet.id, None)
    webhooks.tell_deleted(state, sheet)


def bulk_delete(state: State, product_id: str, variant_ids: list[str]) -> Node:
    """Answer productVariantsBulkDelete."""
    sheet = state.sheets.get(ids.number_of(product_id, "Product") or "")
    if sheet is None:
        error = Objection("PRODUCT_DOES_NOT_EXIST", "Product does not exist", "productId")
        return {"product": None, "userErrors": [error.node()]}
    found = []
    for index, variant_id in enumerate(variant_ids):
        listing = state.by_variant.get(ids.number_of(variant_id, "ProductVariant") or "")
        if listing is None or listing.sheet is not sheet:
            message = "At least one variant does not belong to the product"
            error = Objection("AT_LEAST_ONE_VARIANT_DOES_NOT_BELONG_TO_THE_PRODUCT", message, "variantsIds", str(index))
            return {"product": product_node(state, sheet), "userErrors": [error.node()]}
        found.append(listing)
    if len(found) == len(sheet.listings):
        error = Objection("CANNOT_DELETE_LAST_VARIANT", "Cannot delete the last variant of a product", "variantsIds")
        return {"product": product_node(state, sheet), "userErrors": [error.node()]}
    for listing in found:
        drafting.remove_variant(state, listing)
    sheet.touch(state.desk.now())
    webhooks.tell_product(state, sheet, "PRODUCTS_UPDATE")
    return {"product": product_node(state, sheet), "userErrors": []}
