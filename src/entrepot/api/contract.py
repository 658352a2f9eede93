"""Every path of the HTTP interface in one table.

The hub's own resources are under `/v1` (`paths.py`). The others are the paths that clients were written against before there
was a version: each names the resource that it is the same as (`SAME`), or an operation of (`RESHAPED`). All are below `/api`.
"""

from __future__ import annotations

from dataclasses import replace

from entrepot.api.paths import RESOURCES, Path
from entrepot.api.resources import connections, reservations, runs, task_shapes, tasks
from entrepot.identity.facade import Scope

__all__ = ["ALIASES", "ELSEWHERE", "LARGER_BODIES", "PATHS", "RESOURCES", "Path"]

SAME: tuple[tuple[str, str], ...] = (
    ("GET /health", "GET /v1/health"),
    ("GET /status", "GET /v1/status"),
    ("GET /products", "GET /v1/products"),
    ("POST /products", "POST /v1/products"),
    ("POST /products/bulk-import", "POST /v1/products/import"),
    ("GET /products/{product_id}", "GET /v1/products/{product_id}"),
    ("PUT /products/{product_id}", "PATCH /v1/products/{product_id}"),
    ("DELETE /products/{product_id}", "DELETE /v1/products/{product_id}"),
    ("GET /orders", "GET /v1/orders"),
    ("GET /orders/{order_id}", "GET /v1/orders/{order_id}"),
    ("POST /orders/{order_id}/fulfill", "POST /v1/orders/{order_id}/shipments"),
    ("GET /sync/status", "GET /v1/sync"),
    ("POST /sync/start", "POST /v1/sync/start"),
    ("POST /sync/stop", "POST /v1/sync/stop"),
    ("POST /sync/interval", "PUT /v1/sync/interval"),
    ("POST /sync/trigger", "POST /v1/runs"),
    ("GET /multi-channel/health", "GET /v1/health"),
    ("GET /multi-channel/sync/status", "GET /v1/sync"),
    ("POST /multi-channel/inventory/allocate/{product_id}", "POST /v1/products/{product_id}/allocation"),
    ("GET /multi-channel/inventory/allocation/{product_id}", "GET /v1/products/{product_id}/allocation"),
    ("POST /multi-channel/inventory/reserve", "POST /v1/reservations"),
    ("GET /multi-channel/conflicts", "GET /v1/conflicts"),
    ("POST /multi-channel/conflicts/{conflict_id}/resolve", "POST /v1/conflicts/{conflict_id}/resolve"),
    ("GET /multi-channel/queue/stats", "GET /v1/queues"),
)
"""Older path, and the resource that answers it, with its handler, scope and answer."""

# fmt: off
RESHAPED: tuple[Path, ...] = (
    Path("GET", "/channels", connections.list_channels, Scope.CHANNELS_READ, connections.Channels,
      alias_of="/v1/connections"),
    Path("POST", "/channels", connections.connect_channel, Scope.CHANNELS_WRITE, connections.OneChannel, 201,
      alias_of="/v1/connections"),
    Path("PUT", "/channels/{channel_id}", connections.update_channel, Scope.CHANNELS_WRITE, connections.OneChannel,
      alias_of="/v1/connections/{connection_id}"),
    Path("DELETE", "/channels/{channel_id}", connections.disconnect_channel, Scope.CHANNELS_WRITE, None, 204,
      alias_of="/v1/connections/{connection_id}"),
    Path("POST", "/channels/{channel_id}/sync", runs.sync_channel, Scope.SYNC_RUN, runs.Triggered, 202, alias_of="/v1/runs"),
    Path("POST", "/sync/run-full", runs.run_full, Scope.SYNC_RUN, runs.Triggered, 202, alias_of="/v1/runs"),

    Path("GET", "/multi-channel/channels", connections.list_channels, Scope.CHANNELS_READ, connections.Channels,
      alias_of="/v1/connections"),
    Path("POST", "/multi-channel/channels/connect", connections.connect_channel, Scope.CHANNELS_WRITE, connections.OneChannel,
      201, alias_of="/v1/connections"),
    Path("DELETE", "/multi-channel/channels/{channel_id}", connections.disconnect_channel, Scope.CHANNELS_WRITE, None, 204,
      alias_of="/v1/connections/{connection_id}"),
    Path("POST", "/multi-channel/sync/all", runs.run_full, Scope.SYNC_RUN, runs.Triggered, 202, alias_of="/v1/runs"),
    Path("POST", "/multi-channel/sync/channel/{channel_id}", runs.sync_channel, Scope.SYNC_RUN, runs.Triggered, 202,
      alias_of="/v1/runs"),
    Path("POST", "/multi-channel/inventory/release", reservations.release, Scope.STOCK_WRITE, reservations.Released,
      alias_of="/v1/reservations/{reservation_id}"),

    Path("POST", "/orchestration/tasks", tasks.agent_create, Scope.TASKS_PROPOSE, task_shapes.OneOlderTask, 201,
      alias_of="/v1/tasks"),
    Path("GET", "/orchestration/tasks", tasks.older_list, Scope.TASKS_READ, task_shapes.OlderTasks, alias_of="/v1/tasks"),
    Path("PATCH", "/orchestration/tasks/approve", tasks.decide, Scope.TASKS_APPROVE, task_shapes.DecisionResults,
      alias_of="/v1/tasks/decide"),
    Path("PATCH", "/orchestration/tasks/assign", tasks.older_assign, Scope.TASKS_APPROVE, task_shapes.OneOlderTask,
      alias_of="/v1/tasks/{task_id}/assign"),
    Path("PATCH", "/orchestration/tasks/complete", tasks.older_complete, Scope.TASKS_WORK, task_shapes.OneOlderTask,
      alias_of="/v1/tasks/{task_id}/complete"),
)
"""Older paths whose parameters or answers are named otherwise than the resource's."""
# fmt: on


def _aliases() -> tuple[Path, ...]:
    resources = {f"{path.method} {path.path}": path for path in RESOURCES}
    same = []
    for older, resource in SAME:
        method, _, path = older.partition(" ")
        same.append(replace(resources[resource], method=method, path=path, alias_of=resources[resource].path))
    return (*same, *RESHAPED)


ALIASES = _aliases()

ELSEWHERE = ("/api/multi-channel/webhooks/{channelType}", "/webhooks/shopify/{topic}", "/webhooks/{connectionId}")
"""Deliveries of channels: bare handlers that verify, store and answer, mounted by app.py (entrepot.channels.inbox)."""

PATHS = RESOURCES + ALIASES
LARGER_BODIES = frozenset({"/products/bulk-import", "/v1/products/import", "/v1/stock-files", "/v1/order-files"})
"""Paths that accept whole files."""
