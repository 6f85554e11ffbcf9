"""Façades whose names are imported when they are first asked for (PEP 562), so that nobody pays for another's part."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(facade: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The `__getattr__` of a façade, from what each of its modules is the home of."""
    home = {name: f"{facade}.{module}" for module, names in homes.items() for name in names}

    def named(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {facade!r} has no attribute {name!r}", name=name, obj=sys.modules[facade])
        found = getattr(import_module(home[name]), name)
        setattr(sys.modules[facade], name, found)
        return found

    return named
