"""A hub without anybody in it."""

import psycopg
import pytest


@pytest.fixture(autouse=True)
def _empty_directory(database_url: str) -> None:
    """Forget the organisations and people of earlier tests: those tables have no organisation to keep them apart."""
    tables = "sign_in_attempt sign_in_link browser_session access_key membership person audit_log organisation"
    with psycopg.connect(database_url) as connection:
        for table in tables.split():
            connection.execute(f"delete from {table}".encode())
