"""Events of one transaction are reacted to together."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; events that wait already count as of one transaction, which is true enough once."""
    op.execute("alter table outbox add column written_by bigint not null default txid_current()")
