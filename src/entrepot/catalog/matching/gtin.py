"""Barcodes: GTIN-8, UPC (12), EAN (13), GTIN-14, with their check digit. Pure. Source: GS1 General Specifications 7.9."""

from __future__ import annotations

LENGTHS = (8, 12, 13, 14)


def normalised(text: str) -> str:
    """Return a barcode as a GTIN of 14 digits; empty text if it is none (wrong length or check digit, or in-store)."""
    digits = "".join(c for c in text if c not in " -\u00a0")
    if len(digits) not in LENGTHS or not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
        return ""
    whole = digits.zfill(14)
    if check_digit(whole[:13]) != whole[13]:
        return ""
    # 20-29 (EAN) and 2, 4 (UPC) are numbered by each shop for itself: equal there says nothing.
    return "" if len(digits) in (12, 13) and whole[1] == "2" else "" if whole[1:3] in ("02", "04") else whole


def check_digit(digits: str) -> str:
    """Return the check digit of the digits before it."""
    total = sum(int(d) * (3 if place % 2 == 0 else 1) for place, d in enumerate(reversed(digits)))
    return str(-total % 10)
