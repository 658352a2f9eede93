"""A simulated Square: API v2 of 2025-08-20, as far as a hub for stock and orders needs it.

What it imitates beyond the shape of the answers: counts come of a history of physical counts and adjustments by
`occurred_at`; a batch of inventory changes is taken whole or not at all; idempotency keys; orders with a version that
updates must name; webhooks that only name an order, signed over the address and the body. Where it differs: an order is
paid at once, changing one's mind about some units edits the open order, `occurred_at` may lie a minute ahead (Square
does not say how exact clocks must be), and the rate limit is a guess (Square publishes none).
"""

from __future__ import annotations

from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.square.market import Square


def create(desk: Desk) -> Square:
    """Open the books of a Square seller and list every product."""
    return Square(desk)
