"""The body of an answer, whole and inflated, and never more of it than the limits allow."""

import zlib
from collections.abc import AsyncIterable
from contextlib import suppress
from io import BytesIO

import anyio.lowlevel

from workflow_async.errors import ContentEncodingError, ResponseTooLarge
from workflow_async.settings import Limits

YIELD_EVERY = 2**20
"""Bytes inflated before other tasks get their turn."""


async def read_bounded(wire: AsyncIterable[bytes], coding: str, limits: Limits) -> bytes:
    """The whole body of what comes over the wire in a content coding.

    Raises:
        ResponseTooLarge: more than `limits.wire` bytes as they come, or `limits.body` inflated.
        ContentEncodingError: a coding nobody asked for, or a gzip stream that is none, cut short, or followed by more.
    """
    coding = coding.strip().lower()
    if coding not in {"identity", "", "gzip", "x-gzip"}:
        raise ContentEncodingError(f"content coding {coding[:32]!r}, which nobody asked for")
    inflating = _Inflating(limits.body) if "gzip" in coding else None
    most = limits.wire if inflating is not None else min(limits.wire, limits.body)
    body, came = BytesIO(), 0  # which gives its bytes away without a copy
    async for raw in wire:
        came += len(raw)
        if came > most:
            raise ResponseTooLarge(f"more than {most} bytes")
        if inflating is None:
            body.write(raw)
        else:
            await inflating.feed(raw, body)
    if inflating is not None and came and not inflating.ended:  # no byte at all is no body: 204, or HEAD
        raise ContentEncodingError("the gzip stream is cut short")
    return body.getvalue()


class _Inflating:
    """A gzip stream that never becomes larger than `cap` bytes, nor holds the loop for longer than a breath."""

    def __init__(self, cap: int) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._cap = cap

    @property
    def ended(self) -> bool:
        return self._stream.eof

    async def feed(self, raw: bytes, body: BytesIO) -> None:
        while raw and not self.ended:
            body.write(self._inflated(raw))
            if body.tell() > self._cap:
                raise ResponseTooLarge(f"more than {self._cap} bytes when inflated")
            raw = self._stream.unconsumed_tail
            if raw:
                await anyio.lowlevel.checkpoint()
        if raw or self._stream.unused_data:
            raise ContentEncodingError("bytes after the end of the gzip stream")

    def _inflated(self, raw: bytes) -> bytes:
        """Inflate the next bytes. The error is raised outside of the handler, whose frames hold the body."""
        with suppress(zlib.error):
            return self._stream.decompress(raw, YIELD_EVERY)
        raise ContentEncodingError("not a gzip stream")
