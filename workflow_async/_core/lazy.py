"""Lazy exports: the names of a package are imported on first use (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(facade: str, exports: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, given the names that each of its modules exports."""
    modules = {name: f"{facade}.{module}" for module, names in exports.items() for name in names}

    def get_attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {facade!r} has no attribute {name!r}", name=name, obj=sys.modules[facade])
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[facade], name, value)
        return value

    return get_attribute
