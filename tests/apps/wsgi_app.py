"""A WSGI application in forked workers with a thread pool each, as gunicorn runs Django with `--preload`."""

import json
import os
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from workflow_async.errors import Conflict, InvalidArgument, NotFound, WorkflowAsyncError
from workflow_async.sync import SyncOpencastClient

WORKERS, THREADS = 2, 8

oc = SyncOpencastClient.from_env()


# docs: from here
STATUSES = {InvalidArgument: "422 Unprocessable Content", NotFound: "404 Not Found", Conflict: "409 Conflict"}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    status, body = "404 Not Found", dict[str, object]()
    try:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"].split("/")[1:]:
            case "POST", ["publish", event_id]:
                status, body = "202 Accepted", {"id": oc.workflows.start(event_id, "publish").id}
            case "GET", ["workflows", workflow_id]:
                status, body = "200 OK", oc.workflows.get(workflow_id).to_dict()
    except WorkflowAsyncError as error:
        status = next((text for kind, text in STATUSES.items() if isinstance(error, kind)), "502 Bad Gateway")
        body = {"error": type(error).__name__, "detail": str(error)}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


# docs: to here


class QuietHandler(WSGIRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


class PoolServer(WSGIServer):
    """A server that handles each connection in a thread of a pool."""

    request_queue_size = 128
    threads: ThreadPoolExecutor

    def process_request(self, request: Any, client_address: Any) -> None:
        self.threads.submit(self._handle, request, client_address)

    def _handle(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


def serve(server: PoolServer) -> None:
    """Serve until SIGTERM. Finish what has begun."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with oc, ThreadPoolExecutor(THREADS) as server.threads:
        server.serve_forever()


def stop(workers: Iterable[int]) -> None:
    """Pass SIGTERM on to the workers."""
    for worker in workers:
        os.kill(worker, signal.SIGTERM)


def main() -> None:
    """Use the client, fork the workers, and end with them."""
    server = PoolServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), QuietHandler)
    server.set_app(application)
    with oc:
        oc.version()
        workers: list[int] = []
        for _ in range(WORKERS):
            child = os.fork()
            if not child:
                serve(server)
            workers.append(child)
        signal.signal(signal.SIGTERM, lambda *_: stop(workers))
        codes = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
