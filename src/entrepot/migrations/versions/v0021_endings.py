"""Whether a bulk edit that archives products ends their listings as well; those asked for before do not."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("alter table bulk_edit add column end_listings boolean default false not null")
