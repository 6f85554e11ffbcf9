"""Reproducible random values: hashes of the parts that they are made for."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def hash_float(*about: object) -> float:
    """Return a number in [0, 1) that depends on `parts` only."""
    return int.from_bytes(_digest(about, 8)) / 2**64


def hash_choice(choices: Sequence[T], *about: object) -> T:
    """Return one of the choices, which depends on `parts` only."""
    return choices[int(hash_float(*about) * len(choices))]


def hash_uuid(*about: object) -> str:
    """Return a UUID that depends on `parts` only."""
    return str(uuid.UUID(bytes=_digest(about, 16), version=4))


def _digest(parts: tuple[object, ...], size: int) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=size).digest()
