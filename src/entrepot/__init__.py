"""Entrepot: one truth for catalog, stock and orders, kept in step with every sales channel."""

__version__ = "0.1.0"
