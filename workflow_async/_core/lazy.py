"""Façades whose names are imported when they are first asked for (PEP 562), so that nobody pays for another's part."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(facade: str, exports: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The `__getattr__` of a façade, from what each of its modules is the home of."""
    modules = {name: f"{facade}.{module}" for module, names in exports.items() for name in names}

    def get_attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {facade!r} has no attribute {name!r}", name=name, obj=sys.modules[facade])
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[facade], name, value)
        return value

    return get_attribute
