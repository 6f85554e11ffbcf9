"""Servers of both systems that put terminal control sequences into every text."""

import itertools
import json
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import httpx
from attrs import define, field

from workflow_async import OpencastClient
from workflow_async.cli.systems import AnySystem
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.preservica import PreservicaClient

STEERING = {
    "title of the window": "\x1b]0;pwned\x07",
    "clear": "\x1b[2J",
    "colour": "\x1b[5;41m",
    "C1 sequence": "\x9b5;41m",
    "C1 string": "\x9d0;pwned\x9c",
    "device control": "\x1bP+q\x1b\\",
    "application command": "\x1b_G\x1b\\",
    "overwrite": "\r\b\b\x7f",
    "new line": "\nworkflow-async: forged\r\nforged\x0bforged\x0cforged\x85forged\u2028forged\u2029forged",
    "right to left": "\u202egnp.exe\u202c",
    "isolate": "\u2066hidden\u2069\u200e\u200f\u061c",
    "invisible": "\u200b\u00ad\ufeff\U000e0041",
    "markup": "[bold red]bold[/bold red][link=https://evil.example.org]link[/link][/]",
    "emoji code": ":skull:",
    "NUL": "\0",
    "lone surrogate": "\ud800",
}
EVIL = "evil " + " ".join(STEERING.values())
IN_XML = "".join(char for char in EVIL if char in "\t\n\r" or (char >= " " and char not in "\x7f\ud800"))
"""The part of the text that XML allows."""
RUNNING, FAILED, UNKNOWN = 1, 2, 3
"""Ids: a workflow that ends after some requests, a failed one, and one with an unknown state."""
EVENT_KEYS = ("identifier", "title", "status", "series", "is_part_of")


def is_harmless(text: str) -> bool:
    """Return True if a text cannot control a terminal."""
    return all(char == "\n" or char.isprintable() for char in text)


@define
class HostileOpencast:
    """Responds to every request, with a list as in Opencast 11."""

    gets: "itertools.count[int]" = field(factory=itertools.count)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, last = request.url.path, request.url.path.rpartition("/")[2]
        if path == "/api/version":
            return json_response({"default": "v1.7.0", "versions": ["v1.7.0"]})
        if path == "/api/workflow-definitions":
            return json_response([{"identifier": EVIL, "title": EVIL, "description": EVIL, "tags": [EVIL]}])
        if path == "/api/workflows" and request.method == "POST":
            return self._start_response(request)
        if path in {"/api/workflows", "/api/events"}:
            rows = self._workflows() if path == "/api/workflows" else [dict.fromkeys(EVENT_KEYS, EVIL)]
            return json_response(rows if "offset=0" in str(request.url) else [])
        if path.startswith("/api/workflows/") and int(last) in {RUNNING, FAILED, UNKNOWN} and request.method == "GET":
            return json_response(self._workflow(int(last)))
        return json_response({"message": EVIL}, 409)

    def _start_response(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        (event,), (definition,) = form["event_identifier"], form["workflow_definition_identifier"]
        if definition == "refused":
            return json_response({"message": EVIL}, 400)
        return json_response({**self._workflow(FAILED), "event_identifier": event}, 201)

    def _workflows(self) -> list[dict[str, object]]:
        return [self._workflow(id) for id in (RUNNING, FAILED, UNKNOWN)]

    def _workflow(self, id: int) -> dict[str, object]:
        state_of_running = "running" if next(self.gets) < 12 else "succeeded"
        state = {RUNNING: state_of_running, FAILED: "failed", UNKNOWN: EVIL}[id]
        operation = {"operation": EVIL, "description": EVIL, "host": EVIL, "if": EVIL, "failed_attempts": 1}
        times = {"start": "2026-03-04T12:00:00Z", "completion": "2026-03-04T12:00:07Z"}
        return {
            "identifier": id,
            "title": EVIL,
            "description": EVIL,
            "workflow_definition_identifier": EVIL,
            "event_identifier": EVIL,
            "creator": EVIL,
            "state": state,
            "operations": [{**operation, **times, "state": state}],
            "configuration": {EVIL: EVIL},
            EVIL: EVIL,
        }


JSON_RESPONSES = {
    "/api/accesstoken/login": {"success": True, "token": "token", "validFor": 15},
    "/api/process/ingest/configs": {"configs": [{"apiId": EVIL, "name": EVIL, "type": EVIL, "active": True}]},
    "/api/processmonitor/monitors": {
        "success": True,
        "value": {
            "monitors": [dict.fromkeys(("mappedId", "name", "status", "progressText", "percentComplete"), EVIL)],
        },
    },
}
"""The responses of Preservica in JSON, by their paths."""


@define
class HostilePreservica:
    """Responds to every request."""

    gets: "itertools.count[int]" = field(factory=itertools.count)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, last = request.url.path, request.url.path.rpartition("/")[2]
        if path in JSON_RESPONSES:
            return json_response(JSON_RESPONSES[path])
        if path.endswith("/contexts"):
            return xml_response(element("WorkflowContext", Id="42", Name=IN_XML))
        if path.endswith("/instances") and request.method == "POST":
            refused = b"refused" in request.content
            return httpx.Response(400, text=IN_XML) if refused else xml_response(self._instance(FAILED))
        if path.endswith("/instances"):
            rows = [element("WorkflowInstance", self._instance(id)) for id in (RUNNING, FAILED, UNKNOWN)]
            return xml_response("".join(rows) + element("TotalCount", "3"))
        if last.isdigit() and int(last) in {RUNNING, FAILED, UNKNOWN}:
            return xml_response(self._instance(int(last)))
        return httpx.Response(404, text=EVIL.replace("\ud800", ""))

    def _instance(self, id: int) -> str:
        state_of_running = "Active" if next(self.gets) < 12 else "Completed"
        state = {RUNNING: state_of_running, FAILED: "Failed", UNKNOWN: IN_XML}[id]
        names = ("WorkflowContextName", "WorkflowDefinitionName", "Creator", "CurrentStepName", "Odd")
        times = element("Started", "2026-03-04T12:00:00.000Z") + element("Finished", "2026-03-04T12:00:07.000Z")
        return element("Id", str(id)) + element("State", state) + times + "".join(element(n, IN_XML) for n in names)


def json_response(tree: object, status: int = 200) -> httpx.Response:
    """Return a response in JSON."""
    return httpx.Response(status, content=json.dumps(tree), headers={"content-type": "application/json"})


def xml_response(content: str) -> httpx.Response:
    """Return a response in XML."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Answer xmlns="http://workflow.preservica.com">{content}</Answer>'
    return httpx.Response(200, content=text.encode(), headers={"content-type": "application/xml"})


def element(name: str, *content: str, **children: str) -> str:
    """Return an element with texts or elements in it. A text that begins with `<` is not escaped."""
    inner = "".join(text if text.startswith("<") else escape(text) for text in content)
    return f"<{name}>{inner}{''.join(element(child, text) for child, text in children.items())}</{name}>"


def hostile_system(name: str) -> AnySystem:
    """Return the named system with a client of a hostile server."""
    if name == "opencast":
        http = httpx.AsyncClient(transport=httpx.MockTransport(HostileOpencast()))
        return OpencastSystem(OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http))
    http = httpx.AsyncClient(transport=httpx.MockTransport(HostilePreservica()))
    return PreservicaSystem(PreservicaClient("pv.example.org", username="u@x", password="pw", tenant="TEN", http=http))
