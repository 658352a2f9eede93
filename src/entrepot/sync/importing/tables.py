"""Tables of product imports: the file as it came, what it tells, what that changes, and what is wrong with its rows."""

import sqlalchemy as sa

from entrepot.database.schema import JSONB, UUID, created_at, metadata, reference, tenant_table, timestamp

product_import = tenant_table(
    "product_import",
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("source", sa.Text, nullable=False),
    # Currency, decimal separator, what to do with stock, connection, supplier.
    sa.Column("options", JSONB, nullable=False),
    # {"format", "encoding", "separator", "columns": [[head, what it is taken for]]}
    sa.Column("look", JSONB, nullable=False, server_default="{}"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("stage", sa.Text, nullable=False, server_default="new"),
    # How many products of the present stage are through.
    sa.Column("position", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    # Where the next page of a channel begins.
    sa.Column("page", sa.Text),
    sa.Column("counts", JSONB, nullable=False, server_default="{}"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    # {"kind", "id", "name"}
    sa.Column("actor", JSONB, nullable=False),
    sa.Column("job_ids", sa.ARRAY(UUID), nullable=False, server_default="{}"),
    created_at(),
    timestamp("finished_at"),
    sa.CheckConstraint("source in ('file', 'paste', 'api', 'channel', 'supplier')", name="source"),
    sa.CheckConstraint("stage in ('new', 'read', 'looking', 'looked', 'applying', 'applied', 'refused')", name="stage"),
)
import_chunk = tenant_table(
    "import_chunk",
    sa.Column("import_id", UUID, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    reference("product_import", "import_id", on_delete="CASCADE"),
    key=("import_id", "number"),
)
import_product = tenant_table(
    "import_product",
    sa.Column("import_id", UUID, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    # By which what stands further down in the file finds it; empty if nothing can.
    sa.Column("key", sa.Text, nullable=False, server_default=""),
    sa.Column("told", sa.LargeBinary, nullable=False),
    reference("product_import", "import_id", on_delete="CASCADE"),
    key=("import_id", "number"),
)
sa.Index(
    "ix_import_product_key",
    import_product.c.organisation_id,
    import_product.c.import_id,
    import_product.c.key,
    postgresql_where=import_product.c.key != "",
)
import_change = tenant_table(
    "import_change",
    sa.Column("import_id", UUID, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("product_id", UUID),
    sa.Column("handle", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    # [[SKU or empty, field, before, after]]
    sa.Column("changes", JSONB, nullable=False, server_default="[]"),
    reference("product_import", "import_id", on_delete="CASCADE"),
    key=("import_id", "number"),
)
import_problem = tenant_table(
    "import_problem",
    sa.Column("import_id", UUID, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("column", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("sku", sa.Text, nullable=False, server_default=""),
    sa.Column("value", sa.Text, nullable=False, server_default=""),
    sa.Column("remedy", sa.Text, nullable=False, server_default=""),
    # Found while reading the file, or while comparing it with what there is.
    sa.Column("while_reading", sa.Boolean, nullable=False, server_default=sa.true()),
    reference("product_import", "import_id", on_delete="CASCADE"),
    key=("import_id", "row", "column", "problem"),
)

__all__ = ["metadata"]
