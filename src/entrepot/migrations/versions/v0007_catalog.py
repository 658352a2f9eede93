"""The catalog in full: a tree of categories, collections, images, attributes, search texts, dimensions."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0007"
down_revision = "0006"

TABLES = {
    "category": """
create table category (
    organisation_id uuid not null,
    id uuid not null,
    parent_id uuid,
    name text not null,
    position integer default '1' not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_category primary key (organisation_id, id),
    constraint fk_category_organisation_id_parent_id foreign key (organisation_id, parent_id)
        references category (organisation_id, id),
    constraint ck_category_name check (name <> ''),
    constraint ck_category_itself check (parent_id <> id),
    constraint uq_category_organisation_id_parent_id_name unique nulls not distinct (organisation_id, parent_id, name)
)""",
    "collection": """
create table collection (
    organisation_id uuid not null,
    id uuid not null,
    handle text not null,
    title text not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_collection primary key (organisation_id, id),
    constraint uq_collection_organisation_id_handle unique (organisation_id, handle)
)""",
    "collection_product": """
create table collection_product (
    organisation_id uuid not null,
    collection_id uuid not null,
    product_id uuid not null,
    position integer default '1' not null,
    constraint pk_collection_product primary key (organisation_id, collection_id, product_id),
    constraint fk_collection_product_organisation_id_collection_id foreign key (organisation_id, collection_id)
        references collection (organisation_id, id) on delete cascade,
    constraint fk_collection_product_organisation_id_product_id foreign key (organisation_id, product_id)
        references product (organisation_id, id) on delete cascade
)""",
}
COLUMNS = """
alter table product
    add column images jsonb not null default '[]',
    add column category_id uuid,
    add column seo_title text not null default '',
    add column seo_description text not null default '',
    add column attributes jsonb not null default '{}',
    add constraint fk_product_organisation_id_category_id foreign key (organisation_id, category_id)
        references category (organisation_id, id);
update product set images = jsonb_build_array(jsonb_build_object('url', image_url, 'alt', '')) where image_url <> '';
alter table product drop column image_url;
create index ix_product_category on product (organisation_id, category_id);
alter table variant
    add column length_mm integer,
    add column width_mm integer,
    add column height_mm integer,
    add column image_url text not null default '';
create index ix_collection_product_product on collection_product (organisation_id, product_id)
"""


def upgrade() -> None:
    """Make the tables and columns; a product's image becomes the first of its images."""
    for name, sql in TABLES.items():
        op.execute(sql)
        force_row_security(name)
        grant(name)
    for statement in COLUMNS.split(";"):
        op.execute(statement)
