"""Turns response bodies into records: strict JSON and XML parsers, readers of single values, and converters."""
