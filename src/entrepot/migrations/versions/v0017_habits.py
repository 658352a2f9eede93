"""How close together a shop's sales come and how many are bought at once, kept with the nightly forecast."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("alter table forecast_model add column habits jsonb default '{}' not null")
