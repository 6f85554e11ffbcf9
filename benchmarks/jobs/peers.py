"""The peers. This module runs in their environment and imports only the meter of this package."""

import datetime as dt
import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks import wire
from benchmarks.meter import Meter
from benchmarks.serving import command

PATH = "/api/workflows/1000"


def pypreservica(url: str) -> Any:
    """Return a session of pyPreservica. It repairs the module that pyPreservica shadows by a class."""
    module: Any = importlib.import_module("pyPreservica.workflowAPI")
    module.datetime = dt
    host = url.removeprefix("http://")
    return module.WorkflowAPI(username="user", password="secret", tenant="t", server=host, protocol="http")


def list_all(meter: Meter, url: str, count: int, latency: float = 0.0) -> None:
    """Read every active workflow with the generator of pyPreservica."""
    command(url, f"state?count={count}")
    command(url, f"latency?seconds={latency}")
    session = pypreservica(url)
    with meter.measuring():
        found = sum(1 for _ in session.workflow_instances("Active", "Ingest"))
    if found != count:
        raise RuntimeError(f"{found} of {count} were listed")


def ocpy_list_all(meter: Meter, url: str, count: int, size: int = 100) -> None:
    """Read every workflow by the pages of `ocpy`. What it prints is discarded."""
    command(url, f"state?count={count}")
    api: Any = importlib.import_module("ocpy.api.external.workflows").WorkflowsApi("user", "secret", url)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), meter.measuring():
        found = sum(len(api.get_workflow_instances(limit=size, offset=at)) for at in range(0, count, size))
    if found != count:
        raise RuntimeError(f"{found} of {count} were listed")


class CannedSession:
    """A session of requests that always returns the same response."""

    status_code = 200

    def __init__(self, content: bytes) -> None:
        self.content = content

    def get(self, *_: object, **__: object) -> "CannedSession":
        """Return the response."""
        return self


def xml_page(meter: Meter, url: str, rows: int, times: int) -> None:
    """Decode a page with pyPreservica, without the network."""
    session = pypreservica(url)
    session.session = CannedSession(wire.preservica_page(range(rows), rows))
    with meter.measuring(times):
        for _ in range(times):
            list(session.workflow_instances("Active", "Ingest"))


def orjson_page(meter: Meter, rows: int, operations: int, times: int) -> None:
    """Parse a page with orjson."""
    loads = importlib.import_module("orjson").loads
    page = wire.opencast_page(range(rows), operations)
    with meter.measuring(times):
        for _ in range(times):
            loads(page)


def by_requests(meter: Meter, url: str, count: int, at_once: int) -> None:
    """Send requests with `requests`, in up to 16 threads."""
    session: Any = importlib.import_module("requests").Session()
    session.auth = ("user", "secret")

    def get(_: int) -> None:
        session.get(url + PATH).json()

    with ThreadPoolExecutor(min(at_once, 16)) as pool:
        list(pool.map(get, range(32)))
        with meter.measuring(count):
            list(pool.map(get, range(count)))
