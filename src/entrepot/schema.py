"""The whole schema: imports every room's tables. Used by migrations and their tests only."""

from entrepot.agents import tables as _agents
from entrepot.allocation import tables as _allocation
from entrepot.catalog import tables as _catalog
from entrepot.channels import tables as _channels
from entrepot.database.schema import metadata
from entrepot.fulfilment import tables as _fulfilment
from entrepot.identity import tables as _identity
from entrepot.jobs import tables as _jobs
from entrepot.orders import tables as _orders
from entrepot.stock import tables as _stock
from entrepot.sync import tables as _sync
from entrepot.sync import tables_fields as _sync_fields
from entrepot.sync.importing import tables as _importing
from entrepot.sync.publishing import tables as _publishing

ROOMS = (
    _identity,
    _jobs,
    _channels,
    _catalog,
    _stock,
    _allocation,
    _orders,
    _fulfilment,
    _sync,
    _sync_fields,
    _importing,
    _publishing,
    _agents,
)

__all__ = ["ROOMS", "metadata"]
