"""PostgreSQL: transactions with the organisation set, schema helpers, migrations, the embedded server."""
