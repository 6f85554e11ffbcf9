"""`OpencastClient.from_env`: each value comes from its argument, else from its variable."""

from typing import Any

import pytest

from workflow_async import Clock, Limits, OpencastClient
from workflow_async._core.auth import Secret
from workflow_async.errors import InvalidArgument
from workflow_async.opencast.credential_sources import VARIABLES, Credentials, find_credentials
from workflow_async.sandbox import Sandbox

GIVEN = {"url": "https://given.example.org", "username": "given-user", "password": "given-password"}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def set_variables(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setenv(VARIABLES[name], f"<{name}>")


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, *VARIABLES)
    found = find_credentials(None, None, None)
    assert found == Credentials(url="<url>", username="<username>", password=Secret("<password>"))
    assert "<password>" not in repr(found)


@pytest.mark.parametrize("name", VARIABLES)
def test_an_argument_goes_before_its_variable_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, *VARIABLES)
    given: dict[str, Any] = {**dict.fromkeys(VARIABLES), name: GIVEN[name]}
    password = None if given["password"] is None else Secret(given["password"])
    found = find_credentials(given["url"], given["username"], password)
    texts = {"url": found.url, "username": found.username, "password": found.password.reveal()}
    assert texts == {**{other: f"<{other}>" for other in VARIABLES}, name: GIVEN[name]}


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_value_is_named_by_its_argument_and_its_variable(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLES[name], value)
    given: dict[str, Any] = {other: text for other, text in GIVEN.items() if other != name}
    with pytest.raises(InvalidArgument) as caught:
        OpencastClient.from_env(**given)
    assert str(caught.value) == f"{name}: is missing: give {name}=, or set {VARIABLES[name]}"
    assert caught.value.argument == name


async def test_a_client_from_the_environment_works_with_its_options(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = sandbox.opencast
    for name, value in {"url": fake.url, "username": fake.username, "password": fake.password}.items():
        monkeypatch.setenv(VARIABLES[name], value)
    async with OpencastClient.from_env(clock=clock, limits=Limits(connections=1), run_as_user="viewer") as oc:
        assert (await oc.me()).username == "viewer"


def test_a_value_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="^username: "):
        OpencastClient.from_env(url=GIVEN["url"], username="", password="secret")
