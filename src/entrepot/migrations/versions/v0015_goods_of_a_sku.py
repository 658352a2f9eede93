"""Movements of a SKU other than claims, without walking over its claims."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("""
        create index ix_stock_movement_goods_variant on stock_movement (organisation_id, variant_id, id)
        where kind not in ('hold', 'release', 'reserve')
    """)
