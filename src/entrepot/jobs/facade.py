"""What other rooms use of background work: events in the outbox and hints to the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.database.pool import Tx

REACT = "react"
"""Hint: the outbox of this organisation has events."""


async def emit(tx: Tx, topic: str, payload: Mapping[str, Any]) -> None:
    """Write an event in this transaction; its reactions run soon after the commit, each exactly once."""
    await tx.execute(
        "insert into outbox (organisation_id, topic, payload) values ($1, $2, $3)", tx.organisation, topic, payload
    )
    tx.hint(REACT)


async def emit_many(tx: Tx, topic: str, payloads: Sequence[Mapping[str, Any]]) -> None:
    """Write several events of one topic in this transaction."""
    if not payloads:
        return
    await tx.execute(
        "insert into outbox (organisation_id, topic, payload) select $1, $2, unnest($3::jsonb[])",
        tx.organisation,
        topic,
        list(payloads),
    )
    tx.hint(REACT)
