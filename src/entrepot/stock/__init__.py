"""The stock ledger and its levels, reservations, holds and shortages: the only writer of stock tables."""
