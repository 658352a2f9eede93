"""Product imports: the file in pieces, what it tells by product, what that changes, and what is wrong with its rows."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0011"
down_revision = "0010"

TABLES = {
    "product_import": """
create table product_import (
    organisation_id uuid not null,
    id uuid not null,
    name text default '' not null,
    source text not null,
    options jsonb not null,
    look jsonb default '{}' not null,
    size_bytes bigint default 0 not null,
    stage text default 'new' not null,
    position bigint default 0 not null,
    page text,
    counts jsonb default '{}' not null,
    error text default '' not null,
    actor jsonb not null,
    job_ids uuid[] default '{}' not null,
    created_at timestamptz default now() not null,
    finished_at timestamptz,
    constraint pk_product_import primary key (organisation_id, id),
    constraint ck_product_import_source check (source in ('file', 'paste', 'api', 'channel', 'supplier')),
    constraint ck_product_import_stage
        check (stage in ('new', 'read', 'looking', 'looked', 'applying', 'applied', 'refused'))
)""",
    "import_chunk": """
create table import_chunk (
    organisation_id uuid not null,
    import_id uuid not null,
    number integer not null,
    data bytea not null,
    constraint pk_import_chunk primary key (organisation_id, import_id, number),
    constraint fk_import_chunk_organisation_id_import_id foreign key (organisation_id, import_id)
        references product_import (organisation_id, id) on delete cascade
)""",
    "import_product": """
create table import_product (
    organisation_id uuid not null,
    import_id uuid not null,
    number integer not null,
    key text default '' not null,
    told bytea not null,
    constraint pk_import_product primary key (organisation_id, import_id, number),
    constraint fk_import_product_organisation_id_import_id foreign key (organisation_id, import_id)
        references product_import (organisation_id, id) on delete cascade
)""",
    "import_change": """
create table import_change (
    organisation_id uuid not null,
    import_id uuid not null,
    number integer not null,
    outcome text not null,
    product_id uuid,
    handle text not null,
    title text not null,
    changes jsonb default '[]' not null,
    constraint pk_import_change primary key (organisation_id, import_id, number),
    constraint fk_import_change_organisation_id_import_id foreign key (organisation_id, import_id)
        references product_import (organisation_id, id) on delete cascade
)""",
    "import_problem": """
create table import_problem (
    organisation_id uuid not null,
    import_id uuid not null,
    "row" integer not null,
    "column" text not null,
    problem text not null,
    sku text default '' not null,
    value text default '' not null,
    remedy text default '' not null,
    while_reading boolean default true not null,
    constraint pk_import_problem primary key (organisation_id, import_id, "row", "column", problem),
    constraint fk_import_problem_organisation_id_import_id foreign key (organisation_id, import_id)
        references product_import (organisation_id, id) on delete cascade
)""",
}
INDEX = "create index ix_import_product_key on import_product (organisation_id, import_id, key) where key <> ''"


def upgrade() -> None:
    """Make the tables."""
    for name, sql in TABLES.items():
        op.execute(sql)
        force_row_security(name)
        grant(name)
    op.execute(INDEX)
