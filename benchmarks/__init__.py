"""How fast the hub is, each figure beside a limit measured in the same run: `python -m benchmarks core`."""
