"""Peers, run by the environment that has them: nothing of ours is imported here but the meter."""

import datetime as dt
import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks import wire
from benchmarks.meter import Meter
from benchmarks.serving import told

SMALL = "/api/workflows/1000"


def pypreservica(url: str) -> Any:
    """A session of pyPreservica, with the module repaired that it shadows by a class of its own."""
    module: Any = importlib.import_module("pyPreservica.workflowAPI")
    module.datetime = dt
    host = url.removeprefix("http://")
    return module.WorkflowAPI(username="user", password="secret", tenant="t", server=host, protocol="http")


def listing(meter: Meter, url: str, count: int, latency: float = 0.0) -> None:
    """Every active workflow by its generator."""
    told(url, f"world?count={count}")
    told(url, f"latency?seconds={latency}")
    session = pypreservica(url)
    with meter.measuring():
        found = sum(1 for _ in session.workflow_instances("Active", "Ingest"))
    if found != count:
        raise RuntimeError(f"{found} of {count} were listed")


def ocpy_listing(meter: Meter, url: str, count: int, size: int = 100) -> None:
    """Every workflow by pages of `ocpy`, which prints each of them: to nowhere, here."""
    told(url, f"world?count={count}")
    api: Any = importlib.import_module("ocpy.api.external.workflows").WorkflowsApi("user", "secret", url)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), meter.measuring():
        found = sum(len(api.get_workflow_instances(limit=size, offset=at)) for at in range(0, count, size))
    if found != count:
        raise RuntimeError(f"{found} of {count} were listed")


class Canned:
    """A session of requests that always gives the same answer."""

    status_code = 200

    def __init__(self, content: bytes) -> None:
        self.content = content

    def get(self, *_: object, **__: object) -> "Canned":
        """The answer."""
        return self


def xml_page(meter: Meter, url: str, rows: int, times: int) -> None:
    """Its own reading of a page, without the network."""
    session = pypreservica(url)
    session.session = Canned(wire.preservica_page(range(rows), rows))
    with meter.measuring(times):
        for _ in range(times):
            list(session.workflow_instances("Active", "Ingest"))


def orjson_page(meter: Meter, rows: int, operations: int, times: int) -> None:
    """The parsing alone of a page."""
    loads = importlib.import_module("orjson").loads
    page = wire.opencast_page(range(rows), operations)
    with meter.measuring(times):
        for _ in range(times):
            loads(page)


def by_requests(meter: Meter, url: str, count: int, at_once: int) -> None:
    """`requests`, a thread for each of as many as run at once, up to 16."""
    session: Any = importlib.import_module("requests").Session()
    session.auth = ("user", "secret")

    def get(_: int) -> None:
        session.get(url + SMALL).json()

    with ThreadPoolExecutor(min(at_once, 16)) as pool:
        list(pool.map(get, range(32)))
        with meter.measuring(count):
            list(pool.map(get, range(count)))
