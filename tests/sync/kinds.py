"""A hub in step with one channel of each way to write stock."""

from __future__ import annotations

from uuid import UUID

import pytest
from tests.sync.channel import Channel
from tests.sync.hub import Hub

from entrepot.channels.contract import QuantitySemantics
from entrepot.database.pool import Database

CAS, DELTA, ABSOLUTE = QuantitySemantics.COMPARE_AND_SET, QuantitySemantics.DELTA, QuantitySemantics.ABSOLUTE
every = pytest.mark.parametrize("semantics", list(QuantitySemantics))
keyed = pytest.mark.parametrize("semantics", [CAS, DELTA])


async def make(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, patience_s: float = 600.0
) -> tuple[Hub, Channel, str]:
    """A hub in step with one channel that shows 40 of A and 4 of B."""
    channel = Channel(semantics)
    hub = await Hub(database, organisation_id, channel, patience_s=patience_s).set_up({"A": 100, "B": 10})
    assert channel.books == {"A": 40, "B": 4}
    return hub, channel, str(semantics)
