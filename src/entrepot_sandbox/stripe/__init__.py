"""A simulated Stripe: API of 2023-08-16, as far as a hub for refunds and settlements needs it.

What it imitates beyond the shape of the answers: forms in, JSON out; lists newest first; Idempotency-Keys that are kept for a
day with the answer they got; restricted keys that name the permission they lack; balance transactions with fees (a percentage
and a fixed part) and exchange; funds that become available after two days; a payout each day of what is available, whose
lines are told an hour later; disputes; webhooks signed with the time of each try. Waits go by the sandbox's clock. Where it
differs: payments are made by the control interface, as buyers do not pay through the hub; search shows a payment at once.
"""

from __future__ import annotations

from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.stripe.market import Stripe


def create(desk: Desk) -> Stripe:
    """Open the books of a Stripe account."""
    return Stripe(desk)
