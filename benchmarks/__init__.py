"""What the client costs, measured: `python -m benchmarks` (see README.md)."""
