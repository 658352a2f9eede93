"""What flows on after publishing: prices of price lists are merged, no longer kept as values of listings' own."""

from alembic import op

from entrepot.migrations.rights import force_row_security, grant

revision = "0016"
down_revision = "0015"

TABLES = ("exchange_rate", "listing_override", "listing_reading", "connection", "price_list")
RATES = """
alter table exchange_rate add column followed boolean default true not null;
update exchange_rate set followed = false where day > (now() at time zone 'utc')::date;
create index ix_exchange_rate_waiting on exchange_rate (organisation_id, day) where not followed;
"""
MISSING = "alter table listing_reading add column missing_since timestamptz;"
SWINGS = """
alter table listing_quantity add column swing_from bigint, add column swing_to bigint, add column swing_at timestamptz;
create index ix_listing_quantity_swing on listing_quantity (organisation_id, listing_id) where swing_at is not null;
"""
FIRST = """
alter table listing_field drop constraint ck_listing_field_state;
alter table listing_field add constraint ck_listing_field_state check (
    state in ('unknown', 'ignored', 'agreed', 'out', 'sending', 'conflict', 'decided', 'parked', 'first'));
drop index ix_listing_field_state;
create index ix_listing_field_state on listing_field (organisation_id, connection_id, state)
    where state in ('sending', 'conflict', 'parked', 'first');
create table first_contact (
    organisation_id uuid not null,
    connection_id uuid not null,
    choices jsonb default '{}' not null,
    decided_by text default '' not null,
    decided_at timestamptz,
    created_at timestamptz default now() not null,
    constraint pk_first_contact primary key (organisation_id, connection_id),
    constraint fk_first_contact_organisation_id_connection_id
        foreign key (organisation_id, connection_id) references connection (organisation_id, id) on delete cascade
);
"""
PRICES = """
delete from listing_override where set_by = 'price list' and field in ('price', 'compare_at');
update listing_reading r set merge_wanted_at = now()
from connection c join price_list p on p.organisation_id = c.organisation_id and p.active
     and (p.connection_id = c.id or p.channel = c.channel)
where c.organisation_id = r.organisation_id and c.id = r.connection_id;
"""
"""What publishing wrote as the listing's own is what the list says: from now on the list is asked."""


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"alter table {table} no force row level security")
    op.execute(RATES)
    op.execute(MISSING)
    op.execute(SWINGS)
    op.execute(FIRST)
    grant("first_contact")
    force_row_security("first_contact")
    op.execute(PRICES)
    for table in TABLES:
        op.execute(f"alter table {table} force row level security")
