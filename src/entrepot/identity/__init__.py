"""Organisations, people, roles, sessions, keys, audit."""
