"""The sources of a client's credentials. Each field comes from the first source that has it."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_async import Clock
from workflow_async._core.auth import Secret
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import PreservicaClient, credential_sources
from workflow_async.preservica.credential_sources import Credentials
from workflow_async.sandbox.systems import FakePreservica

Write = Callable[..., Path]

VARIABLES = [variable for variable, _ in credential_sources.SOURCES.values()]
COMPLETE = """[credentials]
username = file-user
password = file-password
tenant = FILE
server = file.example.org
twoFactorToken = MZXW6YTB
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all variables, and work in a directory without a file."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(text: str | bytes, mode: int = 0o600) -> Path:
        path = tmp_path / "credentials.properties"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return writing


def found_credentials(path: str | os.PathLike[str] = "credentials.properties", **given: str) -> Credentials:
    return credential_sources.find_credentials(
        {name: Secret(given[name]) if name in given else None for name in credential_sources.SOURCES}, path
    )


def revealed(found: Credentials) -> tuple[str, str, str | None, str, str | None]:
    seed = None if found.two_factor is None else found.two_factor.reveal()
    return found.username, found.password.reveal(), found.tenant, found.server, seed


def test_a_file_alone_is_enough(write: Write) -> None:
    write(COMPLETE)
    assert revealed(found_credentials()) == ("file-user", "file-password", "FILE", "file.example.org", "MZXW6YTB")


def test_each_field_has_its_own_first_source(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(COMPLETE)
    monkeypatch.setenv("PRESERVICA_USERNAME", "env-user")
    monkeypatch.setenv("PRESERVICA_PASSWORD", "env-password")
    monkeypatch.setenv("PRESERVICA_2FA_TOKEN", "JBSWY3DP")
    found = found_credentials(username="given-user", server="given.example.org")
    assert revealed(found) == ("given-user", "env-password", "FILE", "given.example.org", "JBSWY3DP")


@pytest.mark.parametrize("field", list(credential_sources.SOURCES))
def test_an_empty_variable_falls_through_to_the_file(field: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(COMPLETE)
    before = revealed(found_credentials())
    monkeypatch.setenv(credential_sources.SOURCES[field][0], "")
    assert revealed(found_credentials()) == before


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, f"<{variable}>")
    assert revealed(found_credentials("no/such/file")) == tuple(f"<{variable}>" for variable in VARIABLES)


def test_a_percent_sign_and_an_umlaut_in_a_password_are_kept(write: Write) -> None:
    write(COMPLETE.replace("file-password", "100%(x)s wörd = ; #"))
    assert found_credentials().password.reveal() == "100%(x)s wörd = ; #"


def test_a_byte_order_mark_is_ignored(write: Write) -> None:
    write(b"\xef\xbb\xbf" + COMPLETE.encode())
    assert found_credentials().username == "file-user"


def test_a_missing_file_or_section_counts_as_empty(write: Write) -> None:
    given = {"username": "u", "password": "p", "server": "s"}
    assert found_credentials(**given).tenant is None
    write("[other]\ntenant = X\n")
    assert found_credentials(**given).tenant is None


def test_a_file_that_is_not_needed_is_not_opened(write: Write) -> None:
    write("nonsense", mode=0o644)
    found_credentials(username="u", password="p", server="s", tenant="t", two_factor="x")


@pytest.mark.parametrize(
    ("field", "variable", "key"),
    [
        ("username", "PRESERVICA_USERNAME", "username"),
        ("password", "PRESERVICA_PASSWORD", "password"),
        ("server", "PRESERVICA_SERVER", "server"),
    ],
)
def test_a_missing_field_is_named_by_its_argument_its_variable_and_its_key(field: str, variable: str, key: str) -> None:
    given = {"username": "u", "password": "p", "server": "s"}
    del given[field]
    with pytest.raises(InvalidArgument) as caught:
        found_credentials("some/credentials.properties", **given)
    sentence = f"give {field}=, set {variable}, or write {key} = ... into [credentials] of some/credentials.properties"
    assert str(caught.value) == f"{field}: is missing: {sentence}"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_mends_it(mode: int, write: Write) -> None:
    path = write(COMPLETE, mode)
    with pytest.raises(InvalidArgument) as caught:
        found_credentials(path)
    assert caught.value.argument == "credentials_path"
    assert str(caught.value).endswith(f"Run: chmod 600 {shlex.quote(str(path))}")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_the_command_that_mends_it_is_safe_to_paste(tmp_path: Path) -> None:
    path = tmp_path / "my; rm -rf credentials"
    path.write_text(COMPLETE)
    path.chmod(0o644)
    with pytest.raises(InvalidArgument, match="chmod 600 '.*my; rm -rf credentials'$"):
        found_credentials(path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("username = u\npassword = hunter2\n", "MissingSectionHeaderError"),
        ("[credentials]\npassword = hunter2\npassword = hunter2\n", "DuplicateOptionError"),
        ("[credentials]\nhunter2\n", "ParsingError"),
        (b"[credentials]\npassword = hunter2\xff\n", "UnicodeDecodeError"),
    ],
)
def test_a_file_that_is_not_ini_is_refused_and_not_quoted(text: str | bytes, kind: str, write: Write) -> None:
    write(text)
    with pytest.raises(
        InvalidArgument, match=f"cannot be read as INI in UTF-8 .{kind}.: its first line must be"
    ) as caught:
        found_credentials()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(InvalidArgument, match="IsADirectoryError|PermissionError"):
        found_credentials(tmp_path)


async def test_a_client_from_the_environment_logs_in(
    archive: FakePreservica, clock: Clock, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESERVICA_USERNAME", archive.username)
    monkeypatch.setenv("PRESERVICA_TENANT", "")
    path = write(f"[credentials]\npassword = {archive.password}\ntenant = {archive.tenant}\n")
    async with PreservicaClient.from_env(server=archive.url, credentials_path=path, clock=clock) as pv:
        assert await pv.contexts.list().first()
    assert archive.logins == 1


def test_a_client_without_credentials_names_what_is_missing() -> None:
    with pytest.raises(InvalidArgument, match="^username: is missing"):
        PreservicaClient.from_env()


@pytest.mark.parametrize("setting", [{"shared_secret": True}, {"two_factor": "MZXW6YTB"}])
def test_settings_reach_the_client(setting: dict[str, Any]) -> None:
    pv = PreservicaClient.from_env(username="u", password="p", server="s", tenant="T", **setting)
    assert repr(pv) == "PreservicaClient('https://s')"
