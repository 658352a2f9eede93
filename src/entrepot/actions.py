"""Which actions this hub has: the one list, made by the composition."""

from __future__ import annotations

from entrepot.agents.facade import Registry
from entrepot.agents.library.allocating import SetAllocationLimit, SetAllocationPolicy
from entrepot.agents.library.channels import EndListings, PauseConnection, Publish, ResumeConnection
from entrepot.agents.library.prices import SetPrice
from entrepot.agents.library.products import EditListing, EditProduct
from entrepot.agents.library.supply import CreatePurchase, TransferStock
from entrepot.channels.contracts import FindConnector


def all_actions(find_connector: FindConnector) -> Registry:
    """Return the actions that tasks may carry. A new version is added beside the old one while tasks still name that."""
    return Registry(
        (
            SetPrice(),
            EditProduct(),
            EditListing(),
            SetAllocationPolicy(),
            SetAllocationLimit(),
            CreatePurchase(),
            TransferStock(),
            PauseConnection(),
            ResumeConnection(),
            Publish(find_connector),
            EndListings(find_connector),
        )
    )
