"""Since when what a listing is expected to show rests on a reading alone."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.execute("alter table listing_quantity add column believed_at timestamptz")
