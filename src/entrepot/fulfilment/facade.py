"""What other rooms may ask of fulfilment."""

from entrepot.fulfilment.contracts import InvalidRouting, RulesNotFound, WorkMoved, WorkNotFound
from entrepot.fulfilment.routing import route_orders
from entrepot.fulfilment.working import ROUTE, orders_changed, route_step, stock_changed

__all__ = [
    "ROUTE",
    "InvalidRouting",
    "RulesNotFound",
    "WorkMoved",
    "WorkNotFound",
    "orders_changed",
    "route_orders",
    "route_step",
    "stock_changed",
]
