"""Publishing: what is asked of products on connections, the batches that are sent, listings that are being closed."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0014"
down_revision = "0013"

TABLES = """
alter table listing add column closing boolean default false not null;
create table listing_intent (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    product_id uuid not null,
    wanted text not null,
    state text not null,
    version integer default '1' not null,
    external_id text default '' not null,
    category text default '' not null,
    attributes jsonb default '{}' not null,
    completeness smallint,
    missing jsonb default '[]' not null,
    problems jsonb default '[]' not null,
    detail text default '' not null,
    attempts smallint default '0' not null,
    next_attempt_at timestamptz,
    batch_id uuid,
    asked_by text not null,
    asked_at timestamptz not null,
    done_at timestamptz,
    created_at timestamptz default now() not null,
    updated_at timestamptz default now() not null,
    constraint pk_listing_intent primary key (organisation_id, id),
    constraint fk_listing_intent_organisation_id_connection_id
        foreign key (organisation_id, connection_id) references connection (organisation_id, id) on delete cascade,
    constraint fk_listing_intent_organisation_id_product_id
        foreign key (organisation_id, product_id) references product (organisation_id, id) on delete cascade,
    constraint uq_listing_intent_organisation_id_connection_id_product_id unique (organisation_id, connection_id, product_id),
    constraint ck_listing_intent_wanted check (wanted in ('publish', 'unpublish', 'archive', 'delete')),
    constraint ck_listing_intent_state check (state in ('draft', 'publishing', 'live', 'error', 'ending', 'ended')),
    constraint ck_listing_intent_completeness check (completeness between 0 and 100)
);
create index ix_listing_intent_product on listing_intent (organisation_id, product_id);
create index ix_listing_intent_due on listing_intent (organisation_id, connection_id, next_attempt_at)
    where state in ('publishing', 'ending');
create table publish_batch (
    organisation_id uuid not null,
    id uuid not null,
    connection_id uuid not null,
    what text not null,
    items jsonb not null,
    state text default 'sending' not null,
    handle text,
    attempts smallint default '0' not null,
    next_attempt_at timestamptz,
    sent_at timestamptz not null,
    finished_at timestamptz,
    constraint pk_publish_batch primary key (organisation_id, id),
    constraint fk_publish_batch_organisation_id_connection_id
        foreign key (organisation_id, connection_id) references connection (organisation_id, id) on delete cascade,
    constraint ck_publish_batch_what check (what in ('publish', 'end')),
    constraint ck_publish_batch_state check (state in ('sending', 'following', 'done'))
);
create index ix_publish_batch_open on publish_batch (organisation_id, connection_id) where state != 'done';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("listing_intent", "publish_batch"):
        grant(table)
        force_row_security(table)
