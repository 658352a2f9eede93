"""`python -m entrepot.settings` prints docs/reference/settings.md."""

from __future__ import annotations

from entrepot.settings.reference import reference_page

if __name__ == "__main__":
    print(reference_page(), end="")
