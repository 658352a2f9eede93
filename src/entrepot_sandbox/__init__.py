"""Simulated marketplaces that speak the real protocols over HTTP, with shoppers, faults and a judge.

Imports nothing of the hub: what it knows of a channel it knows from the channel's documentation.
"""
