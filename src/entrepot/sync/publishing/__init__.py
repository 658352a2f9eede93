"""Publishing: products are made, shown, hidden and ended on channels, as people ask for it."""
