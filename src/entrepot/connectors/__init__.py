"""One folder per channel. A connector imports channels' contract and the kernel, nothing else of the hub."""
