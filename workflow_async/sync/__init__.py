"""Synchronous clients, for code that runs without an event loop: Django under WSGI, Celery, and scripts with threads.

`OpencastClient.sync` and `PreservicaClient.sync` make them.
"""

import lazy_loader

# The names and their modules stand in __init__.pyi. Each is imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
