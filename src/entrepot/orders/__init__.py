"""Orders from all channels, once each."""
