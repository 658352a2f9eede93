"""The GraphQL texts by which products are read whole and written. What they cost is explained in queries.py.

Shopify also counts what is sent: 0.2 for each variant and 1.9 for each file of a productSet.
"""

from __future__ import annotations

from entrepot.connectors.shopify.queries import KEY, NAMESPACE, PRODUCT_FIELDS, VARIANT_FIELDS, Operation

VARIANTS_A_CALL = 70
IMAGES_A_CALL = 200
HEADS_A_CALL = 150
SYNCHRONOUS_MAX = 50
"""Products with more variants are written by an operation that Shopify finishes later."""
COST_OF_VARIANT, COST_OF_FILE = 0.2, 1.9

PRODUCT_WHOLE = Operation(
    "product_whole",
    f"""query ProductWhole($id: ID!, $after: String, $location: ID!) {{
  shop {{ currencyCode }}
  product(id: $id) {{
    ...ProductFields
    media(first: {IMAGES_A_CALL}) {{ nodes {{ id alt ... on MediaImage {{ image {{ url width height }} }} }} }}
    variants(first: {VARIANTS_A_CALL}, after: $after) {{
      nodes {{ ...VariantFields }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}{PRODUCT_FIELDS}{VARIANT_FIELDS}""",
    cost=110,
)

_HEAD = f"""
fragment Head on Product {{
  id handle updatedAt
  metafield(namespace: "{NAMESPACE}", key: "{KEY}") {{ value }}
  media(first: {IMAGES_A_CALL}) {{ nodes {{ id alt ... on MediaImage {{ image {{ url }} }} }} }}
  variants(first: {HEADS_A_CALL}, after: $after) {{
    nodes {{ id sku selectedOptions {{ name value }} inventoryItem {{ id }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

HEAD_BY_ID = Operation(
    "product_head",
    f"""query ProductHead($id: ID!, $after: String) {{
  shop {{ currencyCode }}
  product: productByIdentifier(identifier: {{ id: $id }}) {{ ...Head }}
}}{_HEAD}""",
    cost=75,
)

HEAD_BY_HANDLE = Operation(
    "product_head_by_handle",
    f"""query ProductHeadByHandle($handle: String!, $after: String) {{
  shop {{ currencyCode }}
  product: productByIdentifier(identifier: {{ handle: $handle }}) {{ ...Head }}
}}{_HEAD}""",
    cost=75,
)

SET_PRODUCT = Operation(
    "set_product",
    f"""mutation SetProduct($identifier: ProductSetIdentifiers, $input: ProductSetInput!, $synchronous: Boolean!) {{
  productSet(identifier: $identifier, input: $input, synchronous: $synchronous) {{
    product {{
      id updatedAt
      variants(first: {SYNCHRONOUS_MAX}) {{
        nodes {{ id sku selectedOptions {{ name value }} inventoryItem {{ id }} }}
      }}
    }}
    productSetOperation {{ id status }}
    userErrors {{ code field message }}
  }}
}}""",
    cost=45,
)

SET_OPERATION = Operation(
    "set_operation",
    """query SetOperation($id: ID!) {
  productOperation(id: $id) {
    status
    product { id }
    ... on ProductSetOperation { userErrors { code field message } }
  }
}""",
    cost=4,
)

SET_PRICES = Operation(
    "set_prices",
    """mutation SetPrices($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants, allowPartialUpdates: true) {
    productVariants { id price compareAtPrice }
    userErrors { code field message }
  }
}""",
    cost=12,
)

SET_STATUS = Operation(
    "set_status",
    """mutation SetStatus($product: ProductUpdateInput!) {
  productUpdate(product: $product) {
    product { id status updatedAt }
    userErrors { field message }
  }
}""",
    cost=12,
)

DELETE_PRODUCT = Operation(
    "delete_product",
    """mutation DeleteProduct($id: ID!) {
  productDelete(input: { id: $id }, synchronous: true) {
    deletedProductId
    userErrors { field message }
  }
}""",
    cost=11,
)

DELETE_VARIANTS = Operation(
    "delete_variants",
    """mutation DeleteVariants($product: ID!, $variants: [ID!]!) {
  productVariantsBulkDelete(productId: $product, variantsIds: $variants) {
    product { id }
    userErrors { code field message }
  }
}""",
    cost=12,
)

OPERATIONS = (
    PRODUCT_WHOLE,
    HEAD_BY_ID,
    HEAD_BY_HANDLE,
    SET_PRODUCT,
    SET_OPERATION,
    SET_PRICES,
    SET_STATUS,
    DELETE_PRODUCT,
    DELETE_VARIANTS,
)
