"""The observers whose cost is measured, as arguments of a client."""

from collections.abc import Callable
from typing import Any

from workflow_async.observe import ClientEvent, Reply, Request, Send


async def _pass_on(request: Request, send: Send) -> Reply:
    return await send(request)


def _ignore(_: ClientEvent) -> None:
    pass


def _opentelemetry() -> dict[str, Any]:
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - only this job needs the SDK
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise

    from workflow_async.observe.otel import OpenTelemetry  # noqa: PLC0415 - likewise

    telemetry = OpenTelemetry(TracerProvider(), MeterProvider())
    return {"middleware": [telemetry.middleware], "on_event": telemetry.on_event}


OBSERVERS: dict[str, Callable[[], dict[str, Any]]] = {
    "on_event": lambda: {"on_event": _ignore},
    "a middleware": lambda: {"middleware": [_pass_on]},
    "OpenTelemetry": _opentelemetry,
}
"""Makes the arguments of a client with an observer, by its name."""
