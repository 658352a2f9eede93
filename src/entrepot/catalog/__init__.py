"""Products, variants, listings, matching, import and export."""
