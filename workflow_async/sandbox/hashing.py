"""Chance that comes out the same every time: a number from a hash of what it is about."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def hash_float(*about: object) -> float:
    """A number in [0, 1) that depends on nothing but `about`."""
    return int.from_bytes(_digest(about, 8)) / 2**64


def hash_choice(choices: Sequence[T], *about: object) -> T:
    """One of the choices."""
    return choices[int(hash_float(*about) * len(choices))]


def hash_uuid(*about: object) -> str:
    """A UUID in its usual spelling."""
    return str(uuid.UUID(bytes=_digest(about, 16), version=4))


def _digest(parts: tuple[object, ...], size: int) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=size).digest()
