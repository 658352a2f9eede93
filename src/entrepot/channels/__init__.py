"""Everything between the hub and a channel that is the same for all: contract, transport, limits, vault, inbox."""
