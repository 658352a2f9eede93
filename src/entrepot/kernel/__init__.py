"""Values and rules that every room shares. No input or output."""
