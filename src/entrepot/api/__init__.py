"""The HTTP interface: parse, authorise, call a facade, answer."""

from entrepot.api.build import build_api

__all__ = ["build_api"]
