"""What a migration does with each new table, so that the application role may use it and sees one organisation only.

A migration that has run anywhere never changes, so neither does what it calls here.
"""

from __future__ import annotations

from alembic import op

APP_ROLE = "entrepot_app"
_MINE = "organisation_id = (select nullif(current_setting('app.organisation_id', true), '')::uuid)"


def grant(table: str, *, append_only: bool = False) -> None:
    """Let the application role read and write the table; with `append_only` never change or delete a row."""
    rights = "select, insert" if append_only else "select, insert, update, delete"
    op.execute(f'grant {rights} on "{table}" to {APP_ROLE}')


def force_row_security(table: str) -> None:
    """Let nobody, not even the owner, see or write rows of another organisation than the transaction's."""
    op.execute(f'alter table "{table}" enable row level security')
    op.execute(f'alter table "{table}" force row level security')
    op.execute(f'create policy organisation_isolation on "{table}" using ({_MINE}) with check ({_MINE})')
