"""The process service of Preservica: `/api/process`, with sources of automatic ingests."""

import json

from attrs import define, evolve, field, frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workflow_async.sandbox.preservica.tokens import RefusalError

BASE = "/api/process/ingest/configs"


@frozen
class IngestConfig:
    """A source of automatic ingests."""

    id: str
    name: str
    type: str
    trigger: str
    active: bool = True

    def tree(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "apiId": self.id,
            "name": self.name,
            "description": "",
            "type": self.type,
            "active": self.active,
            "trigger": {"type": self.trigger},
        }


CONFIGS = (
    IngestConfig("9f2c4d1e-7a35-4b0c-8d61-2f0e5b7a9c13", "OPEX incremental", "OPEX", "Manual"),
    IngestConfig("1b7e0a52-3c94-4f6d-a2b8-6d4c9e1f7052", "Bucket of the archive", "S3", "Scheduled"),
    IngestConfig("5d08c6f3-e21b-4a97-b5cf-90a3d7264e81", "Bucket of the museum", "S3", "Scheduled", active=False),
    IngestConfig("c43a9b70-16d8-4e52-9f07-b8e51c2d6a3f", "Drop box of the depositors", "SFTP", "Continuous"),
)


@define(eq=False)
class ProcessService:
    """The ingest configurations over HTTP."""

    configs: dict[str, IngestConfig] = field(factory=lambda: {c.id: c for c in CONFIGS})

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(BASE, self.list), Route(f"{BASE}/{{id}}/active", self.activate, methods=["PUT"])]

    async def list(self, request: Request) -> Response:
        """Return all configurations, or those of the given types."""
        types = request.query_params.getlist("types")
        rows = [c.tree() for c in self.configs.values() if not types or c.type in types]
        return JSONResponse({"configs": rows})

    async def activate(self, request: Request) -> Response:
        """Activate or deactivate a configuration."""
        config = self.configs.get(request.path_params["id"])
        if config is None:
            raise RefusalError(404, "No such ingest configuration")
        active = evolve(config, active=_read_switch(await request.body()))
        self.configs[config.id] = active
        return JSONResponse(active.tree())


def _read_switch(body: bytes) -> bool:
    try:
        switch = json.loads(body)
    except ValueError:
        switch = None
    if not isinstance(switch, bool):
        raise RefusalError(400, "The body must be true or false")
    return switch
