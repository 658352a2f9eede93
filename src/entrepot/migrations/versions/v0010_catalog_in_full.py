"""The catalog in full: variants that rest, terms to search by, price lists, exchange rates, saved views, bulk edits."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0010"
down_revision = "0009"

TABLES = {
    "product_term": """
create table product_term (
    organisation_id uuid not null,
    kind text not null,
    term text collate "C" not null,
    product_id uuid not null,
    constraint pk_product_term primary key (organisation_id, kind, term, product_id),
    constraint ck_product_term_kind check (kind in ('word', 'tag'))
)""",
    "exchange_rate": """
create table exchange_rate (
    organisation_id uuid not null,
    base char(3) not null,
    quote char(3) not null,
    day date not null,
    rate numeric(20, 10) not null,
    source text not null,
    actor text not null,
    created_at timestamptz default now() not null,
    constraint pk_exchange_rate primary key (organisation_id, base, quote, day),
    constraint ck_exchange_rate_rate check (rate > 0),
    constraint ck_exchange_rate_pair check (base <> quote)
)""",
    "price_list": """
create table price_list (
    organisation_id uuid not null,
    id uuid not null,
    name text not null,
    currency char(3) not null,
    connection_id uuid,
    channel text,
    markup_percent numeric(9, 4) default '0' not null,
    step_minor bigint default '1' not null,
    end_minor bigint default '0' not null,
    rounding text default 'nearest' not null,
    active boolean default true not null,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_price_list primary key (organisation_id, id),
    constraint uq_price_list_organisation_id_name unique (organisation_id, name),
    constraint uq_price_list_organisation_id_connection_id unique (organisation_id, connection_id),
    constraint uq_price_list_organisation_id_channel unique (organisation_id, channel),
    constraint ck_price_list_place check (num_nonnulls(connection_id, channel) <= 1),
    constraint ck_price_list_ends check (step_minor >= 1 and end_minor >= 0 and end_minor < step_minor),
    constraint ck_price_list_rounding check (rounding in ('nearest', 'up', 'down')),
    constraint ck_price_list_markup check (markup_percent > -100),
    constraint fk_price_list_organisation_id_connection_id foreign key (organisation_id, connection_id)
        references connection (organisation_id, id) on delete cascade
)""",
    "price_list_price": """
create table price_list_price (
    organisation_id uuid not null,
    price_list_id uuid not null,
    variant_id uuid not null,
    price_minor bigint not null,
    compare_at_minor bigint,
    updated_at timestamptz default now() not null,
    constraint pk_price_list_price primary key (organisation_id, price_list_id, variant_id),
    constraint ck_price_list_price_price check (price_minor >= 0 and compare_at_minor >= 0),
    constraint fk_price_list_price_organisation_id_price_list_id foreign key (organisation_id, price_list_id)
        references price_list (organisation_id, id) on delete cascade,
    constraint fk_price_list_price_organisation_id_variant_id foreign key (organisation_id, variant_id)
        references variant (organisation_id, id) on delete cascade
)""",
    "saved_view": """
create table saved_view (
    organisation_id uuid not null,
    id uuid not null,
    owner text not null,
    name text not null,
    shared boolean default false not null,
    parameters jsonb not null,
    created_at timestamptz default now() not null,
    constraint pk_saved_view primary key (organisation_id, id),
    constraint uq_saved_view_organisation_id_owner_name unique (organisation_id, owner, name),
    constraint ck_saved_view_name check (name <> '')
)""",
    "bulk_edit": """
create table bulk_edit (
    organisation_id uuid not null,
    id uuid not null,
    actor text not null,
    selection jsonb not null,
    changes jsonb not null,
    state text default 'running' not null,
    changed integer default '0' not null,
    unchanged integer default '0' not null,
    problems integer default '0' not null,
    undone integer default '0' not null,
    left_alone integer default '0' not null,
    job_id uuid,
    undo_job_id uuid,
    created_at timestamptz default now() not null,
    constraint pk_bulk_edit primary key (organisation_id, id),
    constraint ck_bulk_edit_state check (state in ('running', 'done', 'undoing', 'undone'))
)""",
    "bulk_edit_item": """
create table bulk_edit_item (
    organisation_id uuid not null,
    bulk_edit_id uuid not null,
    product_id uuid not null,
    state text not null,
    before jsonb not null,
    after jsonb not null,
    note text default '' not null,
    constraint pk_bulk_edit_item primary key (organisation_id, bulk_edit_id, product_id),
    constraint ck_bulk_edit_item_state check (state in ('changed', 'problem', 'undone', 'left')),
    constraint fk_bulk_edit_item_organisation_id_bulk_edit_id foreign key (organisation_id, bulk_edit_id)
        references bulk_edit (organisation_id, id) on delete cascade,
    constraint fk_bulk_edit_item_organisation_id_product_id foreign key (organisation_id, product_id)
        references product (organisation_id, id) on delete cascade
)""",
}
CHANGES = """
alter table variant add column state text not null default 'active';
alter table variant add constraint ck_variant_state check (state in ('active', 'archived'));
create index ix_variant_sku on variant (organisation_id, sku text_pattern_ops);
create index ix_variant_price on variant (organisation_id, currency, price_minor, product_id);
create index ix_product_status on product (organisation_id, status, title, id);
create index ix_product_vendor on product (organisation_id, vendor, title, id);
create index ix_product_type on product (organisation_id, product_type, title, id);
create index ix_product_updated on product (organisation_id, updated_at, id);
create index ix_product_without_image on product (organisation_id, title, id) where images = '[]';
create index ix_product_term_product on product_term (organisation_id, product_id, kind, term);
create index ix_bulk_edit_item_state on bulk_edit_item (organisation_id, bulk_edit_id, state, product_id);
create index ix_price_list_price_variant on price_list_price (organisation_id, variant_id);
"""

# Words without accents and in lower case, as `simple` parts a text. A lexeme may be longer than an index entry.
WORDS = """
create function words_of(text) returns setof text language sql immutable parallel safe as
$words$
    select distinct left(word, 100) from unnest(tsvector_to_array(to_tsvector('simple'::regconfig,
        regexp_replace(normalize($1, NFKD), '[\\u0300-\\u036f]', '', 'g')))) as word
$words$
"""

# Whoever writes a product, its terms follow in the same statement (so no foreign key is needed, which would cost a third
# of the time again): an index over a tsvector cannot be used under row
# security, as its operator might tell something of rows that are not ours (decision 0023).
FILL = """
    insert into product_term (organisation_id, kind, term, product_id)
    select p.organisation_id, 'word', w, p.id from {source} p
    cross join lateral words_of(concat_ws(' ', p.title, p.vendor, p.product_type)) w
    union all
    select distinct p.organisation_id, 'tag', left(t, 200), p.id from {source} p cross join lateral unnest(p.tags) t
    where t <> ''
"""
CHANGED = """
    from written n join earlier o on o.organisation_id = n.organisation_id and o.id = n.id
    where (n.title, n.vendor, n.product_type, n.tags) is distinct from (o.title, o.vendor, o.product_type, o.tags)
"""
FUNCTIONS = (
    f"""
create function product_terms_made() returns trigger language plpgsql as
$body$ begin {FILL.format(source="written")}; return null; end $body$
""",
    f"""
create function product_terms_changed() returns trigger language plpgsql as
$body$ begin
    delete from product_term t using (select n.organisation_id, n.id {CHANGED}) c
    where t.organisation_id = c.organisation_id and t.product_id = c.id;
    with changed as (select n.* {CHANGED}) {FILL.format(source="changed")};
    return null;
end $body$
""",
    """
create function product_terms_gone() returns trigger language plpgsql as
$body$ begin
    delete from product_term t using earlier o where t.organisation_id = o.organisation_id and t.product_id = o.id;
    return null;
end $body$
""",
    "create trigger product_terms_gone after delete on product referencing old table as earlier"
    " for each statement execute function product_terms_gone()",
    "create trigger product_terms_made after insert on product referencing new table as written"
    " for each statement execute function product_terms_made()",
    "create trigger product_terms_changed after update on product referencing old table as earlier new table as written"
    " for each statement execute function product_terms_changed()",
)


def upgrade() -> None:
    """Make the tables; what is in the catalog becomes searchable."""
    op.execute(WORDS)
    for name, sql in TABLES.items():
        op.execute(sql)
        if name == "product_term":
            op.execute(FILL.format(source="product"))
        force_row_security(name)
        grant(name)
    for statement in CHANGES.strip().rstrip(";").split(";"):
        op.execute(statement)
    for sql in FUNCTIONS:
        op.execute(sql)
