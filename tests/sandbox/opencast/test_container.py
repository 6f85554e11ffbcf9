"""Responses of the servlet container: error pages, Allow headers, long URLs."""

import json
from typing import Any

import httpx
import pytest

from workflow_async.sandbox.systems import FakeOpencast

ALLOW = "HEAD,DELETE,POST,GET,PUT,OPTIONS"
JSON = {"Accept": "application/json"}


def jetty_fields(answer: httpx.Response) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(answer.text)
    return {name: tree[name] for name in ("message", "url", "status")}


async def test_a_path_outside_the_api_is_the_container_s_404(http: httpx.AsyncClient) -> None:
    plain, page = await http.get("/nothere", headers=JSON), await http.get("/nothere")
    assert (plain.status_code, plain.headers["content-type"]) == (404, "application/json")
    assert jetty_fields(plain) == {"message": "Not Found", "url": "/nothere", "status": "404"}
    assert plain.headers["cache-control"] == "must-revalidate,no-cache,no-store"
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html;charset=iso-8859-1")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/json;q=0.9, text/html", "application/json"),
        ("text/html, application/json", "text/html;charset=iso-8859-1"),
        ("text/*", "text/html;charset=iso-8859-1"),
        ("application/v1.11.0+json", None),
    ],
)
async def test_the_container_writes_an_accepted_type_or_no_body(
    http: httpx.AsyncClient, accept: str, kind: str | None
) -> None:
    answer = await http.get("/nothere", headers={"Accept": accept})
    assert (answer.status_code, answer.headers.get("content-type"), bool(answer.content)) == (
        404,
        kind,
        kind is not None,
    )


@pytest.mark.parametrize("path", ["/api/nothere", "/api/workflows/7/operations", "/workflow/nothere", "/workflow"])
async def test_a_path_without_an_endpoint_is_an_empty_404_with_an_allow_header(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path, headers=JSON)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (404, b"", ALLOW)


async def test_a_method_that_no_endpoint_has_is_an_empty_405(http: httpx.AsyncClient) -> None:
    answer = await http.patch("/api/workflows/7")
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", ALLOW)


@pytest.mark.parametrize("path", ["/api", "/api/workflows/1", "/workflow/count"])
async def test_options_are_answered_with_what_is_allowed(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.options(path)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (200, b"", ALLOW)
    assert "content-type" not in answer.headers


async def test_a_head_has_the_headers_of_a_get_and_no_body(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    id = opencast.start(opencast.event(), "fast")
    for path in (f"/api/workflows/{id}", "/api/workflow-definitions", "/api/events", "/api/version", "/api/workflows"):
        head, get = await http.head(path), await http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("status", [401, 403])
async def test_security_refuses_as_the_container_does(http: httpx.AsyncClient, status: int) -> None:
    auth = ("viewer", "viewer" if status == 403 else "wrong")
    answer = await http.post("/api/workflows", headers=JSON, auth=auth)
    message = {401: "Unauthorized", 403: "Forbidden"}[status]
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert jetty_fields(answer) == {"message": message, "url": "/api/workflows", "status": str(status)}
    assert answer.headers.get("www-authenticate") == ('Basic realm="Opencast"' if status == 401 else None)


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [
        ("/api/version", "v1.99.0", 406),
        ("/api", "v1.12.0", 406),
        ("/api/info/me", "v2.0.0", 406),
        ("/api/version", "v1.0.0", 200),
        ("/api/info/me", "v1.0.0", 200),
        ("/api/workflow-definitions", "v1.0.0", 406),
        ("/api/workflow-definitions/noop", "v1.7.0", 200),
    ],
)
async def test_an_unsupported_version_is_406_even_for_the_version_documents(
    http: httpx.AsyncClient, path: str, version: str, status: int
) -> None:
    answer = await http.get(path, headers={"Accept": f"application/{version}+json"})
    assert (answer.status_code, bool(answer.content)) == (status, status == 200)


@pytest.mark.parametrize(("size", "status"), [(8000, 200), (8300, 414)])
async def test_a_url_that_is_too_long_is_414_before_authentication(
    http: httpx.AsyncClient, size: int, status: int
) -> None:
    answer = await http.get(
        "/api/events", params={"filter": f"title:{'x' * size}"}, auth=None if status == 414 else http.auth
    )
    assert answer.status_code == status
