"""Reads and decompresses the body of a response, within `Limits`."""

import zlib
from collections.abc import AsyncIterable
from contextlib import suppress
from io import BytesIO

import anyio.lowlevel

from workflow_async.errors import ContentEncodingError, ResponseTooLarge
from workflow_async.settings import Limits

YIELD_EVERY = 2**20
"""Yield to the event loop after decompressing this many bytes."""


async def read_bounded(chunks: AsyncIterable[bytes], encoding: str, limits: Limits) -> bytes:
    """Return the complete body, decompressed.

    Raises:
        ResponseTooLarge: more than `limits.wire` bytes received, or more than `limits.body` bytes after decompression.
        ContentEncodingError: an unsupported encoding, or a gzip stream that is invalid, incomplete, or followed by more
            bytes.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise ContentEncodingError(f"unsupported Content-Encoding {encoding[:32]!r}: only gzip was requested")
    inflater = _BoundedInflater(limits.body) if "gzip" in encoding else None
    max_wire = limits.wire if inflater is not None else min(limits.wire, limits.body)
    body, received = BytesIO(), 0  # BytesIO.getvalue() does not copy
    async for chunk in chunks:
        received += len(chunk)
        if received > max_wire:
            raise ResponseTooLarge(f"more than {max_wire} bytes")
        if inflater is None:
            body.write(chunk)
        else:
            await inflater.feed(chunk, body)
    if inflater is not None and received and not inflater.ended:  # an empty body is no gzip stream: 204, or HEAD
        raise ContentEncodingError("the gzip stream is incomplete")
    return body.getvalue()


class _BoundedInflater:
    """Decompresses a gzip stream of at most `cap` bytes, and yields to the event loop every `YIELD_EVERY` bytes."""

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
                raise ResponseTooLarge(f"more than {self._cap} bytes after decompression")
            chunk = self._stream.unconsumed_tail
            if chunk:
                await anyio.lowlevel.checkpoint()
        if chunk or self._stream.unused_data:
            raise ContentEncodingError("bytes after the end of the gzip stream")

    def _inflate(self, chunk: bytes) -> bytes:
        """Decompress the next bytes. The error is raised outside of the handler, whose frames hold the body."""
        with suppress(zlib.error):
            return self._stream.decompress(chunk, YIELD_EVERY)
        raise ContentEncodingError("not a gzip stream")
