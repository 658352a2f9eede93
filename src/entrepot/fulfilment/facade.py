"""What other rooms may ask of fulfilment. Every function but `route_step` works in the caller's transaction."""

from entrepot.fulfilment.contracts import InvalidRouting, RulesNotFound, WorkMoved, WorkNotFound
from entrepot.fulfilment.routing import route_orders
from entrepot.fulfilment.rule_sets import (
    START,
    Compared,
    PlaceFacts,
    Trial,
    compare,
    describe_place,
    put_in_force,
    save_rules,
)
from entrepot.fulfilment.work import Label, begin, open_again, pack, pick, route_again, send, send_from
from entrepot.fulfilment.working import ROUTE, orders_changed, route_step, stock_changed

__all__ = [
    "ROUTE",
    "START",
    "Compared",
    "InvalidRouting",
    "Label",
    "PlaceFacts",
    "RulesNotFound",
    "Trial",
    "WorkMoved",
    "WorkNotFound",
    "begin",
    "compare",
    "describe_place",
    "open_again",
    "orders_changed",
    "pack",
    "pick",
    "put_in_force",
    "route_again",
    "route_orders",
    "route_step",
    "save_rules",
    "send",
    "send_from",
    "stock_changed",
]
