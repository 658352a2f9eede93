"""From where the lines of an order are sent, and how far that is."""
