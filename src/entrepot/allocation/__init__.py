"""How much each channel may offer: strategies (pure) and their settings."""
