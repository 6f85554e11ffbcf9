"""Webhooks of Preservica: the challenge, signatures, events, and what the application answers."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from workflow_async import PreservicaClient
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.preservica.webhooks import EntityEvent, WebhookApp, answer_challenge, events, verify

SECRET = "subscription-secret"
BODY = json.dumps({"events": [{"entityRef": "a1", "entityType": "IO", "trigger": "INGEST_FAILED"}]}).encode()


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), b"preservica-webhook-auth" + body, hashlib.sha256).hexdigest()


@pytest.fixture
def woken() -> list[None]:
    return []


@pytest.fixture
async def http(woken: list[None], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application. `woken` counts the hints."""
    async with PreservicaClient("eu.preservica.com", username="user", password="secret") as pv:
        monkeypatch.setattr(type(pv.workflows), "wake", lambda _: woken.append(None))
        transport = httpx.ASGITransport(WebhookApp(pv, secret=SECRET))
        async with httpx.AsyncClient(transport=transport, base_url="http://service/hooks") as http:
            yield http


def test_the_answer_to_a_challenge_is_its_hmac() -> None:
    expected = hmac.new(b"key", b"abc-123", hashlib.sha256).hexdigest()
    assert answer_challenge("abc-123", "key") == {"challengeCode": "abc-123", "challengeResponse": expected}


@given(st.binary(), st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_only_the_signature_of_this_body_and_secret_is_accepted(body: bytes, secret: str) -> None:
    right = sign(body, secret)
    assert verify(body, right, secret)
    assert not verify(body + b" ", right, secret)
    assert not verify(body, right, secret + "x")
    assert not verify(body, right[:-1], secret)


@given(st.text())
def test_no_other_text_is_a_signature(signature: str) -> None:
    assert not verify(BODY, signature, SECRET)


def test_the_events_of_a_webhook_are_records() -> None:
    (event,) = events(BODY)
    assert event == EntityEvent(entity_ref="a1", entity_type="IO", extra={"trigger": "INGEST_FAILED"})


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ([], "$.events"),
        ({}, "$.events"),
        ({"events": "x"}, "$.events"),
        ({"events": [1]}, r"$.events[0]"),
        ({"events": [{"entityType": "IO"}]}, r"$.events[0].entityRef"),
        ({"events": [{"entityRef": "a1", "entityType": 7}]}, r"$.events[0].entityType"),
    ],
)
def test_a_body_of_another_shape_is_a_decode_error_with_its_path(tree: Any, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        events(json.dumps(tree).encode())
    assert caught.value.faults[0].startswith(f"{path}: ")


async def test_the_application_answers_the_challenge_without_waking(http: httpx.AsyncClient, woken: list[None]) -> None:
    response = await http.post("", params={"challengeCode": "abc"})
    assert (response.status_code, response.json()) == (200, answer_challenge("abc", SECRET))
    assert not woken


async def test_a_signed_webhook_wakes_everything_that_is_watched(http: httpx.AsyncClient, woken: list[None]) -> None:
    response = await http.post("", content=BODY, headers={"Preservica-Signature": sign(BODY)})
    assert (response.status_code, len(woken)) == (204, 1)


@pytest.mark.parametrize("signature", [None, "", "0" * 64, sign(b"another body"), sign(BODY, "another secret")])
async def test_a_webhook_without_the_right_signature_wakes_nothing(
    http: httpx.AsyncClient, woken: list[None], signature: str | None
) -> None:
    headers = {} if signature is None else {"Preservica-Signature": signature}
    assert (await http.post("", content=BODY, headers=headers)).status_code == 401
    assert not woken


async def test_a_signed_body_that_is_no_webhook_wakes_nothing(http: httpx.AsyncClient, woken: list[None]) -> None:
    response = await http.post("", content=b"{}", headers={"Preservica-Signature": sign(b"{}")})
    assert (response.status_code, woken) == (400, [])


async def test_another_method_wakes_nothing(http: httpx.AsyncClient, woken: list[None]) -> None:
    assert (await http.get("")).status_code == 405
    assert not woken


@pytest.mark.parametrize("secret", ["", "line\nend"])
def test_an_unusable_secret_is_refused(secret: str) -> None:
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    with pytest.raises(InvalidArgument, match="secret"):
        WebhookApp(pv, secret=secret)
