"""What a product type requires, from Amazon's own schema of it. The mapping is pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from entrepot.channels.contract import Api, AttributeKind, AttributeRule, ListingField, ListingRules, RequestRejected
from entrepot.channels.replies import json_of
from entrepot.connectors.amazon import calls
from entrepot.connectors.amazon.attributes import OURS
from entrepot.connectors.amazon.errors import AmazonRejected
from entrepot.connectors.amazon.manifest import RULES
from entrepot.connectors.amazon.reading import body_of, inner, optional_text, text

_KINDS = {
    "integer": AttributeKind.WHOLE,
    "number": AttributeKind.NUMBER,
    "boolean": AttributeKind.YES_NO,
}
_REQUIRED = {
    "product_description": ListingField.DESCRIPTION,
    "brand": ListingField.VENDOR,
    "externally_assigned_product_identifier": ListingField.BARCODE,
    "item_package_weight": ListingField.WEIGHT,
    "item_package_dimensions": ListingField.DIMENSIONS,
    "main_product_image_locator": ListingField.IMAGES,
    "list_price": ListingField.COMPARE_AT,
}


async def read(api: Api, category: str) -> ListingRules:
    """Return what Amazon requires of a product type. Raises RequestRejected if there is none of the name."""
    try:
        call = calls.get_definition(api.settings["seller_id"], api.settings["marketplace_id"], category)
        definition = body_of(await api.send(call))
    except AmazonRejected as error:
        if error.status == 404:
            raise RequestRejected(f"Amazon has no product type {category!r}.", code="NO_PRODUCT_TYPE") from error
        raise
    link = inner(inner(definition, "schema"), "link")
    schema = json_of(await api.send(calls.download_schema(text(link, "resource"))))
    return rules_of_schema(category, schema if isinstance(schema, dict) else {})


def rules_of_schema(category: str, schema: Mapping[str, Any]) -> ListingRules:
    """Return the rules in a product type's JSON schema."""
    properties, wanted = inner(schema, "properties"), schema.get("required")
    names = frozenset(each for each in wanted if isinstance(each, str)) if isinstance(wanted, list) else frozenset()
    fields = {field for name, field in _REQUIRED.items() if name in names}
    attributes = tuple(_rule(name, inner(properties, name), name in names) for name in properties if name not in OURS)
    return replace(
        RULES,
        category=category,
        required=RULES.required | fields,
        wanted=RULES.wanted - fields,
        title_length_max=_length(inner(properties, "item_name")) or RULES.title_length_max,
        description_length_max=_length(inner(properties, "product_description")) or RULES.description_length_max,
        images_min=1 if "main_product_image_locator" in names else 0,
        attributes=tuple(sorted(attributes, key=lambda rule: (not rule.required, rule.name))),
    )


def _rule(name: str, schema: Mapping[str, Any], required: bool) -> AttributeRule:
    value = _value(schema)
    choices, most = _choices(value), schema.get("maxUniqueItems", schema.get("maxItems"))
    length = value.get("maxLength")
    return AttributeRule(
        name=name,
        title=optional_text(schema, "title") or name.replace("_", " "),
        kind=_KINDS.get(optional_text(value, "type"), AttributeKind.TEXT),
        required=required,
        choices=choices,
        length_max=length if isinstance(length, int) else None,
        values_max=most if isinstance(most, int) else 0,
        help=" ".join(optional_text(schema, "description").split())[:300],
    )


def _value(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an attribute's own value (the theme's name, for variations)."""
    properties = inner(inner(schema, "items"), "properties")
    return inner(properties, "value") or inner(properties, "name")


def _choices(value: Mapping[str, Any]) -> tuple[str, ...]:
    found = value.get("enum")
    if found is None:
        # "One of these, or any text": only a list that is all there is binds.
        return ()
    return tuple(str(each) for each in found) if isinstance(found, list) else ()


def _length(schema: Mapping[str, Any]) -> int | None:
    length = _value(schema).get("maxLength")
    return length if isinstance(length, int) else None
