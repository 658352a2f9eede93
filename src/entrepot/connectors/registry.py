"""Which connectors there are. Each is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from entrepot.channels.contract import Connector, Manifest
from entrepot.kernel.errors import NotFound

MODULE_OF: Mapping[str, str] = {
    "amazon": "entrepot.connectors.amazon",
    "printful": "entrepot.connectors.printful",
    "ebay": "entrepot.connectors.ebay",
    "shopify": "entrepot.connectors.shopify",
    "square": "entrepot.connectors.square",
    "stripe": "entrepot.connectors.stripe",
}
"""Channel key -> module whose `CONNECTOR` speaks it."""


class UnknownChannel(NotFound):
    """There is no connector for that channel."""


def connector_of(key: str) -> Connector:
    """Return the connector of a channel. Raises UnknownChannel."""
    if key not in MODULE_OF:
        raise UnknownChannel(f"There is no connector for the channel {key!r}; there are: {', '.join(keys())}.", key=key)
    module: Any = import_module(MODULE_OF[key])
    return cast(Connector, module.CONNECTOR)


def keys() -> tuple[str, ...]:
    """Return the key of every channel that has a connector, in alphabetical order."""
    return tuple(sorted(MODULE_OF))


def manifests() -> tuple[Manifest, ...]:
    """Return the manifest of every connector, by key."""
    return tuple(connector_of(key).manifest for key in keys())
