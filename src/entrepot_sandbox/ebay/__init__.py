"""A simulated eBay: the Sell APIs (Inventory, Fulfillment, Finances, Account), Notification, Taxonomy and quotas.

What it imitates beyond the shape of the answers: items with a total and offers with their own quantity, both overwritten
and both lessened by sales; 25 offers a call with a result each; items, offers and groups that are replaced whole; search
that shows an order some seconds late; no idempotency keys anywhere; quotas by the day that are refused as a burst is;
tokens of the seller and of the application; notifications that only name an order, signed with a key that is fetched, and
addresses that prove themselves. Where it differs: what eBay does to the quantity of a cancelled order is not documented; here
the units come back, and a sale lessens item and offer alike. An order is cancelled whole. A listing may be revised more than
250 times a day.
"""

from __future__ import annotations

from entrepot_sandbox.ebay.market import Ebay
from entrepot_sandbox.marketplace import Desk


def create(desk: Desk) -> Ebay:
    """Open the books of an eBay seller and list every product."""
    return Ebay(desk)
