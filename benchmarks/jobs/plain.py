"""A plain program without this library: it reads the pages of a list over one connection. Standard library only."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.jobs.floor import HEAD, PATHS
from benchmarks.meter import Meter
from benchmarks.serving import command

PARSERS: dict[str, Callable[[bytes], Any]] = {"opencast": json.loads, "preservica": ET.fromstring}
LENGTH = b"content-length:"


async def polls(meter: Meter, system: str, url: str, count: int, size: int, polls: int) -> None:
    """Measure reading and parsing the pages of a list, `size` rows each, as often as the monitor polls."""
    command(url, f"state?count={count}")
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await _poll(reader, writer, system, count, size)  # The first round makes the stub's responses.
    with meter.measuring(polls):
        for _ in range(polls):
            await _poll(reader, writer, system, count, size)
    writer.close()


async def _poll(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, system: str, count: int, size: int) -> None:
    """Read every page. Only a short page shows the end of Opencast's list."""
    end = count + 1 if system == "opencast" else count
    for offset in range(0, end, size):
        writer.write(HEAD.format(PATHS[system].format(size, offset)).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(LENGTH)
        PARSERS[system](await reader.readexactly(int(length.split(b"\r\n", 1)[0])))
