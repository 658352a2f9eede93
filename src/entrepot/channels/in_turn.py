"""Writing the items of a batch one after another, so that one that fails spares the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from entrepot.channels.contract import (
    ConnectorError,
    OutcomeUnknown,
    PushOutcome,
    RequestRejected,
    TemporarilyUnavailable,
)

Item = TypeVar("Item")
Result = TypeVar("Result")


async def written_in_turn(
    items: Sequence[Item],
    write: Callable[[Item], Awaitable[Result]],
    result_of: Callable[[Item, PushOutcome, ConnectorError], Result],
) -> list[Result]:
    """Return one result per item.

    A refusal is that item's. A lost answer makes that item UNKNOWN; where the channel does not answer, the others are FAILED and
    not sent. Raises what the first item met where nothing was written.
    """
    results: list[Result] = []
    stopped: ConnectorError | None = None
    for item in items:
        if stopped is not None:
            results.append(result_of(item, PushOutcome.FAILED, stopped))
            continue
        try:
            results.append(await write(item))
        except OutcomeUnknown as error:
            results.append(result_of(item, PushOutcome.UNKNOWN, error))
            stopped = error
        except RequestRejected as error:
            results.append(result_of(item, PushOutcome.REFUSED, error))
        except ConnectorError as error:
            if not results:
                raise
            results.append(result_of(item, PushOutcome.FAILED, error))
            stopped = error
    return results


def as_lost(error: ConnectorError) -> OutcomeUnknown:
    """Return the error of a write after which nobody knows whether it was done."""
    wait_s = error.retry_after_s if isinstance(error, TemporarilyUnavailable) else None
    return OutcomeUnknown(error.detail, code=error.code, retry_after_s=wait_s)
