"""Fixtures for the embedded server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.database.embedded import EmbeddedServer
from entrepot.database.embedded_program import temporary_data_dir


@pytest.fixture
def empty_data_dir() -> Iterator[Path]:
    """A fresh data directory that the server can use, also when the tests run as root."""
    with temporary_data_dir() as folder:
        yield folder


@pytest.fixture(scope="session")
def used_data_dir() -> Iterator[Path]:
    """A data directory in which a server has run and stopped: to be copied, which is quicker than making one."""
    with temporary_data_dir() as folder:
        server = EmbeddedServer(folder, durable=False)
        server.start()
        server.stop()
        yield folder


@pytest.fixture
def data_dir(used_data_dir: Path) -> Iterator[Path]:
    """A data directory of this test with an initialised database."""
    with temporary_data_dir() as folder:
        subprocess.run(["cp", "-a", f"{used_data_dir}/.", str(folder)], check=True)
        yield folder
