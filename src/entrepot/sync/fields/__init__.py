"""Listing fields: read, merged, written, and the conflicts that people decide."""
