"""What explaining costs, measured. Run from a checkout: `python -m benchmarks --help`."""
