"""Turns bytes into records: strict JSON and XML parsers, single values, and converters."""
