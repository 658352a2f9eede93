"""Same product or not: pure rules that compare a listing with our variants. Method and figures: docs/match-listings.md."""
