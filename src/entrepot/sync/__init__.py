"""Reconcilers: pull, push, drift, runs."""
