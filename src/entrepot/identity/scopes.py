"""What may be allowed, and which role is allowed what: the one table."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from entrepot.kernel.errors import InvalidInput


class Scope(StrEnum):
    """A permission of a key or a role."""

    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CHANNELS_READ = "channels:read"
    CHANNELS_WRITE = "channels:write"
    SYNC_RUN = "sync:run"
    TASKS_READ = "tasks:read"
    TASKS_PROPOSE = "tasks:propose"
    TASKS_WORK = "tasks:work"
    """Comment, and complete what is assigned to one."""
    TASKS_APPROVE = "tasks:approve"
    """Approve, reject, assign and undo tasks; set what may run by itself."""
    ADMIN = "admin"
    """People, keys, settings and the audit log."""


class Role(StrEnum):
    """What a person is in an organisation."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


ALL_SCOPES = "all"
"""Stands for every scope when a key is made."""

READ_SCOPES = frozenset(
    {Scope.PRODUCTS_READ, Scope.ORDERS_READ, Scope.STOCK_READ, Scope.CHANNELS_READ, Scope.TASKS_READ}
)
WORK_SCOPES = frozenset(
    {
        Scope.PRODUCTS_WRITE, Scope.ORDERS_WRITE, Scope.STOCK_WRITE, Scope.SYNC_RUN, Scope.TASKS_PROPOSE,
        Scope.TASKS_WORK,
    }
)  # fmt: skip

ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.MEMBER: READ_SCOPES | WORK_SCOPES,
    Role.VIEWER: READ_SCOPES,
}

AGENT_SCOPES = READ_SCOPES | {Scope.TASKS_PROPOSE}
"""The most that an agent token may have: agents propose, they never write."""


class UnknownScope(InvalidInput):
    """There is no scope of that name."""


class UnknownRole(InvalidInput):
    """There is no role of that name."""


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these names, `all` standing for every one. Raises UnknownScope."""
    scopes: set[Scope] = set()
    for name in names:
        if name == ALL_SCOPES:
            return frozenset(Scope)
        try:
            scopes.add(Scope(name))
        except ValueError:
            known = ", ".join([*Scope, ALL_SCOPES])
            raise UnknownScope(f"{name!r} is not a scope. Known: {known}.", scope=name) from None
    if not scopes:
        raise UnknownScope("Name at least one scope, or all.")
    return frozenset(scopes)


def parse_role(name: str) -> Role:
    """Return the role of this name. Raises UnknownRole."""
    try:
        return Role(name)
    except ValueError:
        raise UnknownRole(f"{name!r} is not a role. Known: {', '.join(Role)}.", role=name) from None
