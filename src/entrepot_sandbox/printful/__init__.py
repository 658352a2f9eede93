"""A simulated Printful: its second API version, and of the first what the second lacks.

What it imitates beyond the shape of the answers: an external id is taken once in a store, also by a cancelled order; a draft's
costs are worked out a moment later; confirming needs a draft with costs and is refused a second time; orders are made by the
sandbox's clock, in one or several parcels; they fail, are held, run out of stock; webhooks are signed with a secret that is
shown once; the leaky bucket with its headers. Where it differs: making takes seconds, not days; nothing is fetched or printed
(an address that holds `missing` counts as a file that is not there); all money is in the goods' own currency, without tax;
items of the store are shown by the second version as items of the catalog; the body of a delivery that is sent again is the
same (Printful counts its `retries` up).
"""

from __future__ import annotations

from entrepot_sandbox.marketplace import Desk
from entrepot_sandbox.printful.market import Printful


def create(desk: Desk) -> Printful:
    """Open the store of a Printful customer."""
    return Printful(desk)
