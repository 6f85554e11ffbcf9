"""The base class of both clients."""

import pytest

from workflow_async import OpencastClient, PreservicaClient
from workflow_async._core.auth import Secret
from workflow_async._core.client import Client, optional_secret

CLIENTS: dict[str, Client] = {
    "OpencastClient('https://oc.example.org')": OpencastClient("https://oc.example.org", auth=("user", "secret")),
    "PreservicaClient('https://eu.preservica.com')": PreservicaClient(
        "eu.preservica.com", username="user", password="secret"
    ),
}


@pytest.mark.parametrize("shown", CLIENTS)
def test_a_client_shows_its_class_and_its_url_and_no_credentials(shown: str) -> None:
    assert repr(CLIENTS[shown]) == shown
    assert CLIENTS[shown].url in shown


@pytest.mark.parametrize("kind", [OpencastClient, PreservicaClient])
def test_a_client_that_was_not_made_can_be_shown(kind: type[Client]) -> None:
    assert repr(object.__new__(kind)) == f"{kind.__name__}(...)"


@pytest.mark.parametrize("shown", CLIENTS)
async def test_the_last_of_several_openings_closes_the_transport(shown: str) -> None:
    client = CLIENTS[shown]
    assert await client.open() is client
    async with client as same:
        assert same is client
    assert not client._transport.binding.closed
    await client.aclose()
    assert client._transport.binding.closed


def test_a_secret_stays_a_secret_and_none_stays_none() -> None:
    assert optional_secret(None) is None
    secret = optional_secret("seed")
    assert isinstance(secret, Secret)
    assert optional_secret(secret) == secret
