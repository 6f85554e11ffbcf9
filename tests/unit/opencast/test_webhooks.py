"""Notifications of Opencast's http-notify operation: reading the form, and what the application answers."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, strategies as st

from workflow_async import OpencastClient
from workflow_async.auth import Secret
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.opencast.webhooks import WebhookApp, workflow_id

SECRET = "correct-horse-battery"


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
async def http(woken: list[int], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application, whose hints are kept in `woken`."""
    async with OpencastClient("https://oc.example.org", auth=("user", "secret")) as oc:
        monkeypatch.setattr(type(oc.workflows), "wake", lambda _, workflow: woken.append(workflow))
        transport = httpx.ASGITransport(WebhookApp(oc, secret=Secret(SECRET)))
        async with httpx.AsyncClient(transport=transport, base_url="http://service/hooks") as http:
            yield http


@given(st.integers(0, 2**63 - 1), st.dictionaries(st.sampled_from(["subject", "message"]), st.text()))
def test_the_id_is_read_from_any_form_that_names_it(id: int, others: dict[str, str]) -> None:
    assert workflow_id(urlencode({**others, "workflowInstanceId": id}, errors="replace").encode()) == id


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"subject=published", b"workflowInstanceId=", b"workflowInstanceId=x", b"workflowInstanceId=-1"),
        *(b"workflowInstanceId=1.5", b"workflowInstanceId=%FF", b"\xff=1", b"&".join(b"a=1" for _ in range(50))),
        b"workflowInstanceId=9223372036854775808",
    ],
)
def test_a_form_that_names_no_workflow_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError, match="workflowInstanceId: expected the id of a workflow"):
        workflow_id(body)


@given(st.binary())
def test_any_bytes_are_an_id_or_a_decode_error(body: bytes) -> None:
    try:
        assert 0 <= workflow_id(body) < 2**63
    except DecodeError:
        assert body.count(b"workflowInstanceId=") != 1 or not body.rpartition(b"=")[2].isdigit()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_notification_with_the_secret_wakes_its_workflow(
    http: httpx.AsyncClient, woken: list[int], method: str
) -> None:
    form = {"subject": "published", "workflowInstanceId": "1603"}
    response = await http.request(method, f"/{SECRET}", data=form)
    assert (response.status_code, woken) == (204, [1603])


@pytest.mark.parametrize("path", ["", "/", "/wrong", f"/{SECRET}x", f"/{SECRET}/", f"/{SECRET[:-1]}", "/%C3%BC"])
async def test_without_the_secret_nothing_is_woken(http: httpx.AsyncClient, woken: list[int], path: str) -> None:
    response = await http.post(path, data={"workflowInstanceId": "1603"})
    assert (response.status_code, woken) == (404, [])


async def test_another_method_wakes_nothing(http: httpx.AsyncClient, woken: list[int]) -> None:
    assert (await http.get(f"/{SECRET}?workflowInstanceId=1603")).status_code == 405
    assert not woken


async def test_a_notification_without_an_id_is_refused_with_the_reason(
    http: httpx.AsyncClient, woken: list[int]
) -> None:
    response = await http.post(f"/{SECRET}", data={"subject": "published"})
    assert (response.status_code, woken) == (400, [])
    assert "workflowInstanceId" in response.text


@pytest.mark.parametrize("secret", ["", "short", "x" * 15, "with/a/slash/in/it", "query?in=the-secret", "ümlaut" * 4])
def test_a_secret_that_can_be_guessed_or_is_no_part_of_a_path_is_refused(secret: str) -> None:
    oc = OpencastClient("https://oc.example.org", auth=("user", "password"))
    with pytest.raises(InvalidArgument, match="secret") as caught:
        WebhookApp(oc, secret=secret)
    assert not secret or secret not in str(caught.value)
