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
sa.Index("ix_product_status", product.c.organisation_id, product.c.status, product.c.title, product.c.id)
sa.Index("ix_product_vendor", product.c.organisation_id, product.c.vendor, product.c.title, product.c.id)
sa.Index("ix_product_type", product.c.organisation_id, product.c.product_type, product.c.title, product.c.id)
sa.Index("ix_product_updated", product.c.organisation_id, product.c.updated_at, product.c.id)
sa.Index(
    "ix_product_without_image",
    product.c.organisation_id,
    product.c.title,
    product.c.id,
    postgresql_where=sa.text("images = '[]'"),
)
# What a product is found by: the words of its title, vendor and type, and its tags as they are. Three triggers of the
# database keep it, so there is no foreign key (migration 0010): an index over a tsvector is no use under row security
# (decision 0023).
product_term = tenant_table(
    "product_term",
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("term", sa.Text(collation="C"), nullable=False),
    sa.Column("product_id", UUID, nullable=False),
    sa.CheckConstraint("kind in ('word', 'tag')", name="kind"),
    key=("kind", "term", "product_id"),
)
sa.Index(
    "ix_product_term_product",
    product_term.c.organisation_id,
    product_term.c.product_id,
    product_term.c.kind,
    product_term.c.term,
)
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
    # An archived one is out of use; its stock, orders and history stay, so it is never deleted.
    sa.Column("state", sa.Text, nullable=False, server_default="active"),
    reference("product", "product_id"),
    sa.UniqueConstraint("organisation_id", "sku"),
    sa.CheckConstraint("price_minor >= 0", name="price"),
    sa.CheckConstraint("state in ('active', 'archived')", name="state"),
)
# In the order of its bytes, so that the start of a SKU is a range whatever the database's language.
sa.Index("ix_variant_sku", variant.c.organisation_id, variant.c.sku, postgresql_ops={"sku": "text_pattern_ops"})
sa.Index(
    "ix_variant_price",
    variant.c.organisation_id,
    variant.c.currency,
    variant.c.price_minor,
    variant.c.product_id,
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
    # It is about to end: it shall show nothing.
    sa.Column("closing", sa.Boolean, nullable=False, server_default=sa.false()),
    reference("connection", "connection_id", on_delete="CASCADE"),
    reference("variant", "variant_id"),
    sa.UniqueConstraint("organisation_id", "connection_id", "external_id"),
)
sa.Index("ix_listing_variant", listing.c.organisation_id, listing.c.variant_id)
sa.Index("ix_listing_sku", listing.c.organisation_id, listing.c.connection_id, listing.c.sku)
sa.Index("ix_listing_keys", listing.c["keys"], postgresql_using="gin", postgresql_ops={"keys": "jsonb_path_ops"})
exchange_rate = tenant_table(
    "exchange_rate",
    # One unit of `base` is `rate` units of `quote`, on that day, says `source`.
    sa.Column("base", sa.CHAR(3), nullable=False),
    sa.Column("quote", sa.CHAR(3), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("rate", sa.Numeric(20, 10), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    created_at(),
    # Whether prices of channels were worked out with it; not yet where its day is to come.
    sa.Column("followed", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.CheckConstraint("rate > 0", name="rate"),
    sa.CheckConstraint("base <> quote", name="pair"),
    key=("base", "quote", "day"),
)
sa.Index(
    "ix_exchange_rate_waiting",
    exchange_rate.c.organisation_id,
    exchange_rate.c.day,
    postgresql_where=~exchange_rate.c.followed,
)
price_list = tenant_table(
    "price_list",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    # Of one connection, or of all of a channel; neither: not in use anywhere yet.
    sa.Column("connection_id", UUID),
    sa.Column("channel", sa.Text),
    sa.Column("markup_percent", sa.Numeric(9, 4), nullable=False, server_default="0"),
    # A price is a multiple of `step_minor` plus `end_minor`: 100 and 99 make prices end in .99.
    sa.Column("step_minor", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("end_minor", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rounding", sa.Text, nullable=False, server_default="nearest"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    created_at(),
    updated_at(),
    reference("connection", "connection_id", on_delete="CASCADE"),
    sa.UniqueConstraint("organisation_id", "name"),
    sa.UniqueConstraint("organisation_id", "connection_id"),
    sa.UniqueConstraint("organisation_id", "channel"),
    sa.CheckConstraint("num_nonnulls(connection_id, channel) <= 1", name="place"),
    sa.CheckConstraint("step_minor >= 1 and end_minor >= 0 and end_minor < step_minor", name="ends"),
    sa.CheckConstraint("rounding in ('nearest', 'up', 'down')", name="rounding"),
    sa.CheckConstraint("markup_percent > -100", name="markup"),
)
price_list_price = tenant_table(
    "price_list_price",
    sa.Column("price_list_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    sa.Column("price_minor", sa.BigInteger, nullable=False),
    sa.Column("compare_at_minor", sa.BigInteger),
    updated_at(),
    reference("price_list", "price_list_id", on_delete="CASCADE"),
    reference("variant", "variant_id", on_delete="CASCADE"),
    sa.CheckConstraint("price_minor >= 0 and compare_at_minor >= 0", name="price"),
    key=("price_list_id", "variant_id"),
)
sa.Index("ix_price_list_price_variant", price_list_price.c.organisation_id, price_list_price.c.variant_id)
saved_view = tenant_table(
    "saved_view",
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("parameters", JSONB, nullable=False),
    created_at(),
    sa.UniqueConstraint("organisation_id", "owner", "name"),
    sa.CheckConstraint("name <> ''", name="name"),
)
bulk_edit = tenant_table(
    "bulk_edit",
    sa.Column("actor", sa.Text, nullable=False),
    # {"products": [id]} or {"filter": {...}, "until": id}; see bulk.py.
    sa.Column("selection", JSONB, nullable=False),
    sa.Column("changes", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="running"),
    sa.Column("changed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unchanged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("problems", sa.Integer, nullable=False, server_default="0"),
    sa.Column("undone", sa.Integer, nullable=False, server_default="0"),
    sa.Column("left_alone", sa.Integer, nullable=False, server_default="0"),
    sa.Column("job_id", UUID),
    sa.Column("undo_job_id", UUID),
    created_at(),
    # Whether the listings of products that it archives end as well.
    sa.Column("end_listings", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("state in ('running', 'done', 'undoing', 'undone')", name="state"),
)
bulk_edit_item = tenant_table(
    "bulk_edit_item",
    sa.Column("bulk_edit_id", UUID, nullable=False),
    sa.Column("product_id", UUID, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("before", JSONB, nullable=False),
    sa.Column("after", JSONB, nullable=False),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    reference("bulk_edit", "bulk_edit_id", on_delete="CASCADE"),
    reference("product", "product_id", on_delete="CASCADE"),
    sa.CheckConstraint("state in ('changed', 'problem', 'undone', 'left')", name="state"),
    key=("bulk_edit_id", "product_id"),
)
sa.Index(
    "ix_bulk_edit_item_state",
    bulk_edit_item.c.organisation_id,
    bulk_edit_item.c.bulk_edit_id,
    bulk_edit_item.c.state,
    bulk_edit_item.c.product_id,
)
match_listing = tenant_table(
    "match_listing",
    sa.Column("listing_id", UUID, nullable=False),
    # What the channel says of a listing that had no variant when it came.
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("brand", sa.Text, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("barcode", sa.Text, nullable=False),
    # The barcode as 14 digits; empty if it is none that is valid.
    sa.Column("gtin", sa.Text, nullable=False),
    sa.Column("price_minor", sa.BigInteger),
    sa.Column("currency", sa.CHAR(3)),
    # Goes up whenever one of these changes: a round that read an older one leaves it due.
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("due", sa.Boolean, nullable=False, server_default=sa.true()),
    timestamp("looked_at"),
    reference("listing", "listing_id", on_delete="CASCADE"),
    key=("listing_id",),
)
sa.Index(
    "ix_match_listing_due",
    match_listing.c.organisation_id,
    match_listing.c.listing_id,
    postgresql_where=match_listing.c.due,
)
sa.Index(
    "ix_match_listing_gtin",
    match_listing.c.organisation_id,
    match_listing.c.gtin,
    postgresql_where=match_listing.c.gtin != "",
)
match_candidate = tenant_table(
    "match_candidate",
    sa.Column("listing_id", UUID, nullable=False),
    sa.Column("variant_id", UUID, nullable=False),
    # How likely it is the same product, and how near the words are, in millionths.
    sa.Column("score_ppm", sa.Integer, nullable=False),
    sa.Column("near_ppm", sa.Integer, nullable=False),
    # The features that the score is from, to learn from the decision; none where a person chose the variant by hand.
    sa.Column("facts", sa.ARRAY(sa.Double), nullable=False, server_default="{}"),
    sa.Column("reasons", TEXT_ARRAY, nullable=False, server_default="{}"),
    sa.Column("state", sa.Text, nullable=False, server_default="open"),
    sa.Column("decided_by", sa.Text, nullable=False, server_default=""),
    # Whether a person decided; the matcher learns from people only.
    sa.Column("by_person", sa.Boolean, nullable=False, server_default=sa.false()),
    timestamp("decided_at"),
    created_at(),
    updated_at(),
    reference("listing", "listing_id", on_delete="CASCADE"),
    reference("variant", "variant_id"),
    sa.UniqueConstraint("organisation_id", "listing_id", "variant_id"),
    sa.CheckConstraint("state in ('open', 'accepted', 'rejected')", name="state"),
)
sa.Index(
    "ix_match_candidate_queue",
    match_candidate.c.organisation_id,
    match_candidate.c.score_ppm,
    match_candidate.c.id,
    postgresql_where=match_candidate.c.state == "open",
)
sa.Index("ix_match_candidate_variant", match_candidate.c.organisation_id, match_candidate.c.variant_id)
sa.Index(
    "ix_match_candidate_decided",
    match_candidate.c.organisation_id,
    match_candidate.c.decided_at,
    postgresql_where=match_candidate.c.state != "open",
)
match_setting = tenant_table(
    "match_setting",
    sa.Column("by_barcode", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("by_itself", sa.Boolean, nullable=False, server_default=sa.false()),
    # What was learned from people's decisions, from how many, and from which score on they said yes 95 times in 100.
    sa.Column("model", JSONB),
    sa.Column("learned_from", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sure_from_ppm", sa.Integer),
    # Variants changed since then have not been looked at yet.
    timestamp("variants_seen_at"),
    updated_at(),
    key=(),
)

__all__ = ["metadata"]
