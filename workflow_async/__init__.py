"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

import lazy_loader

__version__ = "0.1.0"

# The names and their modules stand in __init__.pyi. Each is imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
