"""The examples that Printful's own specification gives, field by field, map without loss."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.connectors.printful.given import SPEC
from tests.connectors.specs import spec_bytes

from entrepot.connectors.printful import CONNECTOR, availability, catalog, orders
from entrepot.connectors.printful.manifest import ORDER_TOPICS, STOCK_TOPIC
from entrepot.connectors.printful.reading import money


class Examples:
    """Makes things out of the examples of their fields."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = msgspec.json.decode(spec_bytes(SPEC))

    def schema(self, name: str) -> Any:
        return self.of({"$ref": f"#/components/schemas/{name}"})

    def of(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            found: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/")]
            return self.of(found)
        parts = [self.of(each) for each in schema.get("allOf", ())]
        if any(isinstance(each, dict) for each in parts):
            whole: dict[str, Any] = {}
            for each in parts:
                whole |= each if isinstance(each, dict) else {}
            return whole | self._object(schema)
        if "example" in schema:
            return schema["example"]
        if schema.get("oneOf"):
            return self.of(schema["oneOf"][0])
        if "properties" in schema or schema.get("type") == "object":
            return self._object(schema)
        if schema.get("type") == "array":
            return [self.of(schema["items"])] if "items" in schema else []
        if schema.get("enum"):
            return schema["enum"][0]
        usual = {"string": "", "integer": 1, "number": 1, "boolean": False}
        return "2026-11-20T10:00:00Z" if schema.get("format") == "date-time" else usual.get(schema.get("type", ""))

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {name: self.of(each) for name, each in schema.get("properties", {}).items()}

    def event(self, topic: str) -> dict[str, Any]:
        name = self.document["x-webhooks"][topic]["post"]["requestBody"]["$ref"].rpartition("/")[2]
        schema = self.document["components"]["requestBodies"][name]["content"]["application/json"]["schema"]
        told: dict[str, Any] = self.of(schema)
        return told | {"type": topic}


@pytest.fixture(scope="module")
def examples() -> Examples:
    return Examples()


def test_an_order(examples: Examples) -> None:
    told = examples.schema("Order")
    made = orders.order_of(told)
    assert (made.maker_id, made.external_id) == (str(told["id"]), told["external_id"])
    assert (made.channel_status, made.shipping_method) == (told["status"], told["shipping"])
    (line,), (item,) = made.lines, told["order_items"]
    assert (line.maker_id, line.quantity, line.key) == (str(item["id"]), item["quantity"], item["external_id"])
    assert line.unit_cost == money(item, "price")
    assert made.costs.total == money(told["costs"], "total")
    assert made.costs.fees == sum(money(told["costs"], name) or 0 for name in orders._FEES)


def test_a_parcel(examples: Examples) -> None:
    told = examples.schema("Shipment")
    parcel = orders.shipment_of(told)
    assert (parcel.maker_id, parcel.order_maker_id) == (str(told["id"]), str(told["order_id"]))
    assert (parcel.carrier, parcel.service) == (told["carrier"], told["service"])
    assert parcel.tracking_url == told["tracking_url"]
    assert parcel.departs_from == told["departure_address"]["country_code"]
    assert [each.quantity for each in parcel.lines] == [each["quantity"] for each in told["shipment_items"]]
    assert [each.words for each in parcel.events] == [each["description"] for each in told["tracking_events"]]


def test_a_blank_and_what_can_be_made(examples: Examples) -> None:
    product, variant = examples.schema("Product"), examples.schema("Variant")
    listing = catalog.catalog_listing(product, variant)
    assert listing.ref.keys["catalog_variant_id"] == str(variant["id"])
    assert (listing.title, listing.product_title) == (variant["name"], product["name"])
    told = examples.schema("VariantStockAvailability")
    region = told["techniques"][0]["selling_regions"][0]["name"]
    assert availability.techniques_of(told, region)


@pytest.mark.parametrize("topic", [*ORDER_TOPICS, STOCK_TOPIC])
def test_an_event(examples: Examples, topic: str) -> None:
    told = examples.event(topic)
    event = CONNECTOR.parse_webhook(msgspec.json.encode(told), {})
    if topic == STOCK_TOPIC:
        assert [each.keys["catalog_variant_id"] for each in event.availability] == [
            str(each["catalog_variant_id"]) for each in told["data"]
        ]
        return
    (news,) = event.news
    assert news.maker_id == str(told["data"]["order"]["id"])
    assert news.external_id == told["data"]["order"]["external_id"]
    if told["data"].get("reason"):
        assert news.reason == told["data"]["reason"]
    if "shipment" in told["data"]:
        assert news.shipment is not None
        assert news.shipment.tracking_number == told["data"]["shipment"]["tracking_number"]
