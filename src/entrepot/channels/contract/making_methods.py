"""The methods of a connector that has orders made, one protocol for each capability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.listings import ListingRef
from entrepot.channels.contract.making import (
    EstimateReceipt,
    MadeOrder,
    MadeShipment,
    MakingConfirmation,
    MakingCosts,
    MakingDraft,
    MakingResult,
    VariantAvailability,
)
from entrepot.channels.contract.wire import Api


@runtime_checkable
class MakesOrders(Protocol):
    """Has orders made and sent."""

    async def make_draft(self, api: Api, draft: MakingDraft) -> MakingResult:
        """Have the draft stand at the maker, once: it is looked for by its external id before it is made.

        The same draft sent again is DONE, with the order as it is by then. Another one under that id is REFUSED. Costs
        nothing yet. Raises only where certainly nothing was written.
        """

    async def confirm_making(self, api: Api, confirmation: MakingConfirmation) -> MakingResult:
        """Have a draft made; one that is confirmed already is DONE and not confirmed again. Raises as `make_draft`."""

    async def cancel_making(self, api: Api, external_id: str) -> MakingResult:
        """Cancel an order while the maker lets us. One that is cancelled already, or was never made, is DONE."""

    async def read_making(self, api: Api, external_ids: Sequence[str]) -> tuple[MadeOrder, ...]:
        """Return these orders as they are now; an unknown id is left out."""

    async def read_shipments(self, api: Api, external_id: str) -> tuple[MadeShipment, ...]:
        """Return the parcels of an order, with their tracking; none where the order is not known."""


@runtime_checkable
class EstimatesMaking(Protocol):
    """Says what an order would cost."""

    async def start_estimate(self, api: Api, draft: MakingDraft) -> EstimateReceipt:
        """Return what the draft would cost, or a handle to follow. Nothing is ordered. Raises RequestRejected."""

    async def follow_estimate(self, api: Api, handle: str) -> MakingCosts | None:
        """Return the costs (FAILED where there are none), or None if it is still going on. Raises RequestRejected."""


@runtime_checkable
class ReadsAvailability(Protocol):
    """Says what can be made."""

    async def read_availability(self, api: Api, refs: Sequence[ListingRef]) -> tuple[VariantAvailability, ...]:
        """Return whether these can be made now, in the order asked; UNKNOWN for one that the maker does not know."""
