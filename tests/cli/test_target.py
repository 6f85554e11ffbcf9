import io
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
import typer

from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.secret_sources import read_password
from workflow_async.cli.systems import SYSTEMS, choose_system, system_for
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.target import Target
from workflow_async.errors import InvalidArgument

OPENCAST = {"OPENCAST_URL": "https://oc.example.org"}
PRESERVICA = {"PRESERVICA_SERVER": "eu.preservica.com"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Fake a terminal. Return the prompts, each with True if the answer is hidden."""
    questions: list[tuple[str, bool]] = []

    def prompt(question: str, *, hide_input: bool, err: bool) -> str:
        questions.append((question, hide_input))
        assert err
        return "answer"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "prompt", prompt)
    return questions


def private_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("target", "environment", "system"),
    [
        (Target(), {}, "opencast"),
        (Target(), OPENCAST, "opencast"),
        (Target(), PRESERVICA, "preservica"),
        (Target(), OPENCAST | PRESERVICA, "opencast"),
        (Target(system="preservica"), OPENCAST, "preservica"),
        (Target(system="opencast"), PRESERVICA, "opencast"),
        (Target(credentials=Path("credentials.properties")), {}, "preservica"),
    ],
)
def test_option_or_environment_choose_the_system(target: Target, environment: dict[str, str], system: str) -> None:
    assert choose_system(target, environment) is SYSTEMS[system]


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    assert read_password(private_file(tmp_path / "password", " s3cret \r\nmore\n")) == " s3cret "


def test_a_password_file_that_other_users_can_read_is_rejected(tmp_path: Path) -> None:
    path = private_file(tmp_path / "password", "s3cret\n")
    path.chmod(0o640)
    with pytest.raises(UsageError, match="other users can read .*: run chmod 600 on it") as refused:
        read_password(path)
    assert "s3cret" not in str(refused.value)


def test_a_missing_or_empty_or_binary_password_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_password(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no password in its first line"):
        read_password(private_file(tmp_path / "empty", "\n"))
    (binary := private_file(tmp_path / "binary", "")).write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        read_password(binary)


def test_without_a_server_the_error_names_the_variables() -> None:
    with pytest.raises(UsageError, match=r"--url or --profile, or set OPENCAST_URL, or PRESERVICA_SERVER"):
        system_for(Target())


def test_without_a_terminal_the_error_names_the_missing_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match="OPENCAST_USERNAME and OPENCAST_PASSWORD"):
        system_for(Target(url="https://oc.example.org"))
    with pytest.raises(InvalidArgument, match="PRESERVICA_PASSWORD"):
        system_for(Target(system="preservica", url="eu.preservica.com", username="manager"))


def test_missing_credentials_are_prompted_for_with_a_hidden_password(prompts: list[tuple[str, bool]]) -> None:
    assert isinstance(system_for(Target(url="https://oc.example.org")), OpencastSystem)
    assert prompts == [("User name", False), ("Password of answer", True)]


def test_the_password_of_preservica_is_prompted_for(prompts: list[tuple[str, bool]]) -> None:
    target = Target(system="preservica", url="eu.preservica.com", username="manager")
    assert isinstance(system_for(target), PreservicaSystem)
    assert prompts == [("Password", True)]


def test_nothing_is_prompted_for_if_the_username_is_missing(prompts: list[tuple[str, bool]]) -> None:
    with pytest.raises(InvalidArgument, match="PRESERVICA_USERNAME"):
        system_for(Target(system="preservica", url="eu.preservica.com"))
    assert prompts == []


def test_ctrl_c_at_the_prompt_exits_with_130(prompts: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(*_: Any, **__: Any) -> str:
        raise typer.Abort

    monkeypatch.setattr(typer, "prompt", abort)
    with pytest.raises(typer.Exit) as ended:
        system_for(Target(url="https://oc.example.org", username="admin"))
    assert ended.value.exit_code == 130


def test_a_password_file_works_for_both_systems(tmp_path: Path) -> None:
    path = private_file(tmp_path / "password", "s3cret\n")
    opencast = Target(url="https://oc.example.org", username="admin", password_file=path)
    preservica = Target(system="preservica", url="eu.preservica.com", username="manager", password_file=path)
    assert repr(system_for(opencast).client) == "OpencastClient('https://oc.example.org')"
    assert repr(system_for(preservica).client) == "PreservicaClient('https://eu.preservica.com')"


def test_a_credentials_file_is_for_preservica(tmp_path: Path) -> None:
    text = "[credentials]\nusername=manager\npassword=s3cret\nserver=eu.preservica.com\n"
    path = private_file(tmp_path / "mine.properties", text)
    assert isinstance(system_for(Target(credentials=path)), PreservicaSystem)
    with pytest.raises(UsageError, match="--credentials is an option for Preservica"):
        system_for(Target(system="opencast", credentials=path))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_authorities_the_client_certificate_and_the_proxy_reach_both_clients(system: str, tmp_path: Path) -> None:
    authority, password = trustme.CA(), private_file(tmp_path / "password", "s3cret\n")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("client.example.org").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    target = Target(
        system=system,
        url="https://archive.example.org",
        username="manager",
        password_file=password,
        ca_file=tmp_path / "ca.pem",
        client_cert=tmp_path / "cert.pem",
        proxy="http://proxy.example.org:3128",
    )
    backend: Any = system_for(target).client._transport.backend
    assert backend.context.cert_store_stats()["x509"] == 1
    assert backend.new_connection.proxy.url == target.proxy
    with pytest.raises(InvalidArgument, match="^ca_file: cannot be read, No such file"):
        system_for(attrs.evolve(target, ca_file=tmp_path / "missing.pem"))
    with pytest.raises(InvalidArgument, match="^client_cert: has no certificate or no key in PEM format"):
        system_for(attrs.evolve(target, client_cert=tmp_path / "ca.pem"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_password_in_the_option_of_the_proxy_is_rejected(system: str, tmp_path: Path) -> None:
    path = private_file(tmp_path / "password", "s3cret\n")
    target = Target(system=system, url="https://archive.example.org", username="manager", password_file=path)
    with pytest.raises(UsageError, match="set HTTPS_PROXY and give --proxy env") as refused:
        system_for(attrs.evolve(target, proxy="http://user:s3cret@proxy.example.org:3128"))
    assert "s3cret" not in str(refused.value)
