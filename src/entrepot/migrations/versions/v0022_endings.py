"""Whether a bulk edit that archives products ends their listings as well; those asked for before do not."""

from alembic import op

revision = "0022"
down_revision = "0017"


def upgrade() -> None:
    op.execute("alter table bulk_edit add column end_listings boolean default false not null")
