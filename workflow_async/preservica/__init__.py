"""Preservica: workflows, ingest processes and their monitors."""

import lazy_loader

# The names and their modules stand in __init__.pyi. Each is imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
