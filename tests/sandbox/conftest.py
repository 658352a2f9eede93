"""Fixtures for the sandbox: a server of what a hub would listen with, the specifications and the data."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests.sandbox.helpers import Ear

from entrepot_sandbox.server import bind, server_of


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    listener = Ear()
    bound = bind(0)
    listener.url = f"http://127.0.0.1:{bound.getsockname()[1]}/hooks"
    server = server_of(Starlette(routes=[Route("/hooks", listener.hear, methods=["POST"])]))
    task = asyncio.create_task(server.serve([bound]))
    await server.ready.wait()
    yield listener
    server.should_exit = True
    await task
    bound.close()


@pytest.fixture(scope="session")
def specs() -> Path:
    folder = Path(os.environ.get("ENTREPOT_SPECS", "../shared/specs"))
    if not folder.is_dir():
        pytest.skip(f"The marketplaces' specifications are not at {folder}.")
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("ENTREPOT_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"The data for tests is not at {folder}.")
    return folder


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as made:
        yield made
