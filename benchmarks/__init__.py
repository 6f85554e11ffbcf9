"""Benchmarks of the client: `python -m benchmarks` (see README.md)."""
