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


async def read_bounded(chunks: AsyncIterable[bytes], encoding: str, limits: Limits) -> bytes:
    """The whole body of what comes over the wire in a content coding.

    Raises:
        ResponseTooLarge: more than `limits.wire` bytes as they come, or `limits.body` inflated.
        ContentEncodingError: a coding nobody asked for, or a gzip stream that is none, cut short, or followed by more.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise ContentEncodingError(f"content coding {encoding[:32]!r}, which nobody asked for")
    inflater = _BoundedInflater(limits.body) if "gzip" in encoding else None
    max_wire = limits.wire if inflater is not None else min(limits.wire, limits.body)
    body, received = BytesIO(), 0  # which gives its bytes away without a copy
    async for chunk in chunks:
        received += len(chunk)
        if received > max_wire:
            raise ResponseTooLarge(f"more than {max_wire} bytes")
        if inflater is None:
            body.write(chunk)
        else:
            await inflater.feed(chunk, body)
    if inflater is not None and received and not inflater.ended:  # no byte at all is no body: 204, or HEAD
        raise ContentEncodingError("the gzip stream is cut short")
    return body.getvalue()


class _BoundedInflater:
    """A gzip stream that never becomes larger than `cap` bytes, nor holds the loop for longer than a breath."""

    def __init__(self, cap: int) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._cap = cap

    @property
    def ended(self) -> bool:
        return self._stream.eof

    async def feed(self, chunk: bytes, body: BytesIO) -> None:
        while chunk and not self.ended:
            body.write(self._inflate(chunk))
            if body.tell() > self._cap:
                raise ResponseTooLarge(f"more than {self._cap} bytes when inflated")
            chunk = self._stream.unconsumed_tail
            if chunk:
                await anyio.lowlevel.checkpoint()
        if chunk or self._stream.unused_data:
            raise ContentEncodingError("bytes after the end of the gzip stream")

    def _inflate(self, chunk: bytes) -> bytes:
        """Inflate the next bytes. The error is raised outside of the handler, whose frames hold the body."""
        with suppress(zlib.error):
            return self._stream.decompress(chunk, YIELD_EVERY)
        raise ContentEncodingError("not a gzip stream")
