"""Every GraphQL text that is sent to Shopify, with what Shopify asks for it. Admin API 2026-10.

Costs are points that Shopify wants to see in the bucket before it runs a query; what was not used is given back. The
formula is only partly published (an object 1, a mutation 10, lists by their `first`, growing slower than it), and no
query may cost more than 1,000: page sizes below stay under that even if lists counted in full. `cost` is what to expect.
"""

from __future__ import annotations

from dataclasses import dataclass

API_VERSION = "2026-10"

ORDERS_A_PAGE = 18
LINES_A_PAGE = 9
LINES_A_WHOLE_ORDER = 200
LISTINGS_A_PAGE = 90
QUANTITIES_A_CALL = 200
FULFILMENTS_A_CALL = 12
FULFILMENT_LINES_A_CALL = 30
REFUNDS_A_CALL = 8
REFUND_LINES_A_CALL = 12
PARCELS_A_CALL = 25
SUBSCRIPTIONS_A_PAGE = 100
ARRAY_MAX = 250
"""The most items in any array that is sent (shopify.dev: API limits, input limits)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A GraphQL document. `idempotent`: sending it twice is harmless. `cost_each`: for each of the `ids` asked for."""

    name: str
    text: str
    cost: float
    cost_each: float = 0
    idempotent: bool = True


NAMESPACE, KEY = "entrepot", "key"
"""The metafield that says which of our products it is."""

PRODUCT_FIELDS = f"""
fragment ProductFields on Product {{
  id title handle status vendor productType description descriptionHtml tags updatedAt
  seo {{ title description }}
  category {{ id }}
  metafield(namespace: "{NAMESPACE}", key: "{KEY}") {{ value }}
}}
"""
VARIANT_FIELDS = """
fragment VariantFields on ProductVariant {
  id title sku barcode price compareAtPrice
  selectedOptions { name value }
  inventoryItem {
    id tracked
    measurement { weight { unit value } }
    inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } }
  }
}
"""

_MONEY = "{ shopMoney { amount } }"

_ORDER_FIELDS = f"""
fragment OrderFields on Order {{
  id name createdAt updatedAt cancelledAt currencyCode email sourceIdentifier
  displayFinancialStatus displayFulfillmentStatus
  currentTotalPriceSet {_MONEY}
  currentTotalTaxSet {_MONEY}
  currentTotalDiscountsSet {_MONEY}
  totalShippingPriceSet {_MONEY}
  shippingAddress {{ name company address1 address2 city provinceCode zip countryCodeV2 phone }}
  customer {{ firstName lastName }}
}}
fragment LineFields on LineItem {{
  id name sku quantity currentQuantity unfulfilledQuantity
  variant {{ id }}
  originalUnitPriceSet {_MONEY}
}}
"""

_FIRST_LINES = f"lineItems(first: {LINES_A_PAGE}) {{ nodes {{ ...LineFields }} pageInfo {{ hasNextPage endCursor }} }}"

ORDERS_PAGE = Operation(
    "orders_page",
    f"""query OrdersPage($after: String, $query: String) {{
  orders(first: {ORDERS_A_PAGE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ ...OrderFields {_FIRST_LINES} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}{_ORDER_FIELDS}""",
    cost=200,
)

ORDERS_BY_ID = Operation(
    "orders_by_id",
    f"""query OrdersById($ids: [ID!]!) {{
  nodes(ids: $ids) {{ ... on Order {{ ...OrderFields {_FIRST_LINES} }} }}
}}{_ORDER_FIELDS}""",
    cost=2,
    cost_each=32,
)

ORDER_WHOLE = Operation(
    "order_whole",
    f"""query OrderWhole($id: ID!, $after: String) {{
  order(id: $id) {{
    ...OrderFields
    lineItems(first: {LINES_A_WHOLE_ORDER}, after: $after) {{
      nodes {{ ...LineFields }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}{_ORDER_FIELDS}""",
    cost=70,
)

ORDER_MOVES = Operation(
    "order_moves",
    f"""query OrderMoves($id: ID!) {{
  order(id: $id) {{
    updatedAt
    fulfillments(first: {FULFILMENTS_A_CALL}) {{
      id status
      trackingInfo(first: 1) {{ number }}
      fulfillmentLineItems(first: {FULFILMENT_LINES_A_CALL}) {{
        nodes {{ quantity lineItem {{ id }} }}
        pageInfo {{ hasNextPage endCursor }}
      }}
    }}
    refunds(first: {REFUNDS_A_CALL}) {{
      refundLineItems(first: {REFUND_LINES_A_CALL}) {{
        nodes {{ quantity restockType lineItem {{ id }} }}
        pageInfo {{ hasNextPage endCursor }}
      }}
    }}
  }}
}}""",
    cost=50,
)

LISTINGS_PAGE = Operation(
    "listings_page",
    f"""query ListingsPage($after: String, $location: ID!) {{
  shop {{ currencyCode }}
  productVariants(first: {LISTINGS_A_PAGE}, after: $after, sortKey: ID) {{
    nodes {{ ...VariantFields product {{ ...ProductFields }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}{PRODUCT_FIELDS}{VARIANT_FIELDS}""",
    cost=110,
)

QUANTITIES = Operation(
    "quantities",
    """query Quantities($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id tracked
      inventoryLevel(locationId: $location) { quantities(names: ["available"]) { name quantity } }
    }
  }
}""",
    cost=2,
    cost_each=3,
)

SET_QUANTITIES = Operation(
    "set_quantities",
    """mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}""",
    cost=11,
)

PARCELS = Operation(
    "parcels",
    f"""query Parcels($id: ID!) {{
  order(id: $id) {{
    fulfillments(first: {PARCELS_A_CALL}) {{ id status trackingInfo(first: 3) {{ number }} }}
    fulfillmentOrders(first: 10) {{
      nodes {{
        id status
        assignedLocation {{ location {{ id }} }}
        lineItems(first: 40) {{
          nodes {{ id remainingQuantity lineItem {{ id }} }}
          pageInfo {{ hasNextPage endCursor }}
        }}
      }}
    }}
  }}
}}""",
    cost=130,
)

PARCEL_LINES = Operation(
    "parcel_lines",
    """query ParcelLines($id: ID!, $after: String) {
  fulfillmentOrder(id: $id) {
    lineItems(first: 200, after: $after) {
      nodes { id remainingQuantity lineItem { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}""",
    cost=40,
)

FULFIL = Operation(
    "fulfil",
    """mutation Fulfil($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) {
    fulfillment { id }
    userErrors { field message }
  }
}""",
    cost=11,
    idempotent=False,
)

SUBSCRIPTIONS = Operation(
    "subscriptions",
    f"""query Subscriptions($after: String) {{
  webhookSubscriptions(first: {SUBSCRIPTIONS_A_PAGE}, after: $after) {{
    nodes {{ id topic uri format includeFields filter }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}""",
    cost=20,
)

SUBSCRIBE = Operation(
    "subscribe",
    """mutation Subscribe($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) {
    webhookSubscription { id }
    userErrors { field message }
  }
}""",
    cost=11,
    idempotent=False,
)

UNSUBSCRIBE = Operation(
    "unsubscribe",
    """mutation Unsubscribe($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}""",
    cost=10,
)

CHECK = Operation(
    "check",
    """query Check($location: ID!) {
  shop { name myshopifyDomain }
  currentAppInstallation { accessScopes { handle } }
  location(id: $location) { name isActive }
}""",
    cost=5,
)

OPERATIONS = (
    ORDERS_PAGE,
    ORDERS_BY_ID,
    ORDER_WHOLE,
    ORDER_MOVES,
    LISTINGS_PAGE,
    QUANTITIES,
    SET_QUANTITIES,
    PARCELS,
    PARCEL_LINES,
    FULFIL,
    SUBSCRIPTIONS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    CHECK,
)
