"""Tables of products, variants and listings."""

import sqlalchemy as sa

from entrepot.database.schema import (
    JSONB,
    TEXT_ARRAY,
    UUID,
    created_at,
    metadata,
    reference,
    tenant_table,
    timestamp,
    updated_at,
)

category = tenant_table(
    "category",
    sa.Column("parent_id", UUID),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, server_default="1"),
    created_at(),
    updated_at(),
    sa.ForeignKeyConstraint(["organisation_id", "parent_id"], ["category.organisation_id", "category.id"]),
    sa.CheckConstraint("name <> ''", name="name"),
    sa.CheckConstraint("parent_id <> id", name="itself"),
    sa.UniqueConstraint("organisation_id", "parent_id", "name", postgresql_nulls_not_distinct=True),
)
product = tenant_table(
    "product",
    sa.Column("handle", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("vendor", sa.Text, nullable=False, server_default=""),
    sa.Column("product_type", sa.Text, nullable=False, server_default=""),
    sa.Column("tags", TEXT_ARRAY, nullable=False, server_default="{}"),
    sa.Column("option_names", TEXT_ARRAY, nullable=False, server_default="{}"),
    sa.Column("status", sa.Text, nullable=False, server_default="active"),
    created_at(),
    updated_at(),
    # [{"url", "alt"}], the first one being the main one.
    sa.Column("images", JSONB, nullable=False, server_default="[]"),
    sa.Column("category_id", UUID),
    sa.Column("seo_title", sa.Text, nullable=False, server_default=""),
    sa.Column("seo_description", sa.Text, nullable=False, server_default=""),
    # Name -> text, such as {"material": "Steel"}.
    sa.Column("attributes", JSONB, nullable=False, server_default="{}"),
    reference("category", "category_id"),
    sa.CheckConstraint("status in ('draft', 'active', 'archived')", name="status"),
    sa.UniqueConstraint("organisation_id", "handle"),
)
sa.Index("ix_product_title", product.c.organisation_id, product.c.title, product.c.id)
sa.Index("ix_product_category", product.c.organisation_id, product.c.category_id)
variant = tenant_table(
    "variant",
    sa.Column("product_id", UUID, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("barcode", sa.Text, nullable=False, server_default=""),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("option_values", TEXT_ARRAY, nullable=False, server_default="{}"),
    sa.Column("price_minor", sa.BigInteger, nullable=False),
    sa.Column("compare_at_minor", sa.BigInteger),
    sa.Column("cost_minor", sa.BigInteger),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("weight_g", sa.Integer),
    sa.Column("position", sa.Integer, nullable=False, server_default="1"),
    created_at(),
    updated_at(),
    sa.Column("length_mm", sa.Integer),
    sa.Column("width_mm", sa.Integer),
    sa.Column("height_mm", sa.Integer),
    # Of this variant alone; empty: the product's main one.
    sa.Column("image_url", sa.Text, nullable=False, server_default=""),
    reference("product", "product_id"),
    sa.UniqueConstraint("organisation_id", "sku"),
    sa.CheckConstraint("price_minor >= 0", name="price"),
)
sa.Index("ix_variant_product", variant.c.organisation_id, variant.c.product_id)
sa.Index(
    "ix_variant_barcode",
    variant.c.organisation_id,
    variant.c.barcode,
    postgresql_where=variant.c.barcode != "",
)
bundle_component = tenant_table(
    "bundle_component",
    sa.Column("bundle_id", UUID, nullable=False),
    sa.Column("component_id", UUID, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(["organisation_id", "bundle_id"], ["variant.organisation_id", "variant.id"]),
    sa.ForeignKeyConstraint(["organisation_id", "component_id"], ["variant.organisation_id", "variant.id"]),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("bundle_id <> component_id", name="itself"),
    key=("bundle_id", "component_id"),
)
sa.Index("ix_bundle_component_part", bundle_component.c.organisation_id, bundle_component.c.component_id)
collection = tenant_table(
    "collection",
    sa.Column("handle", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    created_at(),
    updated_at(),
    sa.UniqueConstraint("organisation_id", "handle"),
)
collection_product = tenant_table(
    "collection_product",
    sa.Column("collection_id", UUID, nullable=False),
    sa.Column("product_id", UUID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, server_default="1"),
    reference("collection", "collection_id", on_delete="CASCADE"),
    reference("product", "product_id", on_delete="CASCADE"),
    key=("collection_id", "product_id"),
)
sa.Index("ix_collection_product_product", collection_product.c.organisation_id, collection_product.c.product_id)
listing = tenant_table(
    "listing",
    sa.Column("connection_id", UUID, nullable=False),
    sa.Column("variant_id", UUID),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("keys", JSONB, nullable=False, server_default="{}"),
    sa.Column("sku", sa.Text),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("price_minor", sa.BigInteger),
    sa.Column("currency", sa.CHAR(3)),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    timestamp("seen_at", nullable=False),
    created_at(),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    reference("variant", "variant_id"),
    sa.UniqueConstraint("organisation_id", "connection_id", "external_id"),
)
sa.Index("ix_listing_variant", listing.c.organisation_id, listing.c.variant_id)
sa.Index("ix_listing_sku", listing.c.organisation_id, listing.c.connection_id, listing.c.sku)
sa.Index("ix_listing_keys", listing.c["keys"], postgresql_using="gin", postgresql_ops={"keys": "jsonb_path_ops"})

__all__ = ["metadata"]
