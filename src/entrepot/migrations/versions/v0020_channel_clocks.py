"""How far a channel's clock is ahead of ours, known to every worker."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("alter table connection_progress add column clock_offset_s double precision default '0' not null")
