"""Profiles in config.toml, variables for every option, and the places of secrets."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.support.documentation import PAGES
from workflow_async.auth import Basic, Bearer, Digest
from workflow_async.cli.command import TARGET_OPTIONS
from workflow_async.cli.config_file import config_path, read_config
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.secret_sources import read_source
from workflow_async.cli.settings_sources import OPTIONS
from workflow_async.cli.systems import SYSTEMS, system_for
from workflow_async.cli.target import Target, connection_options
from workflow_async.errors import InvalidArgument
from workflow_async.sandbox import Sandbox

URL = "https://oc.example.org"
USER = {"OPENCAST_URL": URL, "OPENCAST_USERNAME": "admin", "OPENCAST_PASSWORD": "s3cret"}
PROD = 'default = "prod"\n[profiles.prod]\nsystem = "opencast"\nurl = "https://oc.example.org"\nusername = "admin"\n'
Write = Callable[[str], Path]


@pytest.fixture
def write() -> Write:
    """Write config.toml, which only its owner can change."""

    def write_config(text: str) -> Path:
        (path := config_path()).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write_config


def transport(target: Target) -> Any:
    """Return the transport of the client for a target."""
    system: Any = system_for(target)
    return system.client._transport


def credential(target: Target) -> Any:
    """Return the credential of the client for a target."""
    return transport(target).credential


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, text in {**USER, **variables}.items():
        monkeypatch.setenv(name, text)


# Options and variables


def test_every_server_option_has_a_variable_and_a_key_of_a_profile() -> None:
    assert set(OPTIONS) == TARGET_OPTIONS.keys() - {"system", "profile"}
    assert set(OPTIONS) < {field.name for field in attrs.fields(Target)}


def test_a_variable_supplies_what_an_option_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, OPENCAST_PROXY="http://proxy.example.org:3128", OPENCAST_REQUEST_TIMEOUT="7")
    client: Any = transport(Target())
    assert client.backend.new_connection.proxy.url == "http://proxy.example.org:3128"
    assert (client.timeouts.call, client.timeouts.exchange, client.timeouts.connect) == (7, 7, 5)
    monkeypatch.setenv("OPENCAST_CA_FILE", "~/ca.pem")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    with pytest.raises(InvalidArgument, match=f"ca_file: cannot be read.*{Path.cwd()}/ca.pem"):
        system_for(Target())
    monkeypatch.delenv("OPENCAST_CA_FILE")
    other = transport(Target(proxy="http://other.example.org:3128"))
    assert other.backend.new_connection.proxy.url == "http://other.example.org:3128"


def test_the_rate_and_the_user_to_act_as_reach_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, OPENCAST_RUN_AS="lecturer", OPENCAST_RATE="2.5")
    client = transport(Target(run_with_roles="ROLE_A, ROLE_B"))
    assert dict(client.extra_headers) == {"x-run-as-user": "lecturer", "x-run-with-roles": "ROLE_A,ROLE_B"}
    assert client.limits.rate == 2.5


def test_a_request_timeout_limits_the_call_and_all_in_it() -> None:
    short, long = (connection_options(Target(request_timeout=seconds))["timeouts"] for seconds in (2.0, 300.0))
    assert (short.call, short.exchange, short.connect) == (2.0, 2.0, 2.0)
    assert (long.call, long.exchange, long.connect) == (300.0, 30.0, 5.0)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("OPENCAST_RATE", "fast", "must be a number above 0"),
        ("OPENCAST_REQUEST_TIMEOUT", "0", "must be a number above 0"),
        ("OPENCAST_DIGEST", "maybe", "must be 1 or 0"),
    ],
)
def test_a_variable_with_another_type_is_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, reason: str
) -> None:
    set_variables(monkeypatch, **{name: text})
    with pytest.raises(UsageError, match=f"{name} {reason}"):
        system_for(Target())


def test_digest_and_a_token_replace_basic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_variables(monkeypatch, OPENCAST_DIGEST="no")
    assert isinstance(credential(Target()), Basic)
    monkeypatch.setenv("OPENCAST_DIGEST", "yes")
    assert isinstance(credential(Target()), Digest)
    (path := tmp_path / "token").write_text("a.b.c\n")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="remove it, or the token"):
        system_for(Target(token_file=path))
    monkeypatch.delenv("OPENCAST_DIGEST")
    assert isinstance(credential(Target(token_file=path)), Bearer)
    monkeypatch.setenv("OPENCAST_TOKEN", "d.e.f")
    assert isinstance(credential(Target()), Bearer)


@pytest.mark.parametrize("option", ["--digest", "--run-as=x", "--run-with-roles=x", "--token-file=x"])
def test_an_option_for_opencast_is_refused_for_preservica(run: Run, fakes: Sandbox, option: str) -> None:
    result = run("list", option, env=preservica_of(fakes))
    assert (result.exit_code, fakes.preservica.requests) == (2, [])
    assert f"{option.partition('=')[0]} is an option for Opencast" in result.stderr


def test_the_page_names_every_key_and_every_variable() -> None:
    page = (PAGES / "command-line.md").read_text(encoding="utf-8")
    assert [option for option in OPTIONS if f"`{option}`" not in page] == []


# Profiles


@pytest.mark.parametrize("arguments", [["--profile", "prod"], []], ids=["named", "default"])
def test_a_command_goes_to_the_server_of_a_profile(
    run: Run, fakes: Sandbox, write: Write, arguments: list[str]
) -> None:
    fake = fakes.opencast
    write(PROD.replace(URL, fake.url) + 'password_variable = "MY_PASSWORD"\n')
    result = run("definitions", "--json", *arguments, env={"MY_PASSWORD": fake.password})
    assert result.exit_code == 0
    assert "fast" in result.stdout


def test_a_named_profile_reads_no_other_variable(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PROD + 'password_command = "echo from-the-command"\nrate = 3\ndigest = false\nca_file = "~/ca.pem"\n')
    set_variables(monkeypatch, OPENCAST_URL="https://other.example.org", OPENCAST_RATE="9")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    with pytest.raises(InvalidArgument, match=f"ca_file: cannot be read.*{Path.cwd()}/ca.pem"):
        system_for(Target(profile="prod"))
    write(PROD + 'password_command = "echo from-the-command"\nrate = 3\n')
    client = transport(Target(profile="prod"))
    assert client.limits.rate == 3
    assert client.origin.base == URL
    assert client.credential.password.reveal() == "from-the-command"
    assert transport(Target()).origin.base == "https://other.example.org"
    monkeypatch.setenv("WORKFLOW_ASYNC_PROFILE", "prod")
    assert transport(Target()).origin.base == URL
    assert transport(Target(rate=5.0)).limits.rate == 5


def test_a_profile_of_preservica_reads_no_variable_and_no_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = '[profiles.archive]\nsystem = "preservica"\nurl = "eu.preservica.com"\nusername = "manager"\n'
    write(profile)
    monkeypatch.setenv("PRESERVICA_PASSWORD", "s3cret")
    with pytest.raises(InvalidArgument, match="password: is missing in the profile 'archive'"):
        system_for(Target(profile="archive"))
    write(profile + 'password_command = "echo pw"\ntwo_factor_command = "echo JBSWY3DPEHPK3PXP"\ntenant = "ARCHIVE"\n')
    assert transport(Target(profile="archive")).origin.base == "https://eu.preservica.com"
    write(profile + 'token_command = "echo pw"\n')
    with pytest.raises(UsageError, match="a token is for Opencast"):
        system_for(Target(profile="archive"))


@pytest.mark.parametrize("option", [{"url": URL}, {"system": "preservica"}, {"credentials": Path("x")}])
def test_an_option_that_contradicts_the_profile_is_rejected(write: Write, option: dict[str, Any]) -> None:
    write(PROD)
    with pytest.raises(UsageError, match="names the server: leave out --url"):
        system_for(Target(profile="prod", **option))


def test_an_unknown_profile_is_rejected_with_those_that_exist(write: Write) -> None:
    with pytest.raises(UsageError, match=r"no profile 'x' in .*config\.toml: it has none"):
        system_for(Target(profile="x"))
    write(PROD)
    with pytest.raises(UsageError, match="it has prod"):
        system_for(Target(profile="x"))
    write('default = "x"\n')
    with pytest.raises(UsageError, match="no profile 'x'"):
        system_for(Target())


@pytest.mark.parametrize("key", ["password", "token", "two_factor"])
def test_a_profile_with_a_secret_in_it_is_refused_and_not_printed(run: Run, write: Write, key: str) -> None:
    write(PROD + f'{key} = "s3cret"\n')
    result = run("profiles")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"profiles.prod.{key} must not stand in the file" in result.stderr
    assert f"{key}_keyring" in result.stderr
    assert "s3cret" not in result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[profiles", "cannot be read"),
        ("profile = 1", "profile is not a setting"),
        ("profiles = 1", "profiles must be tables"),
        ("[profiles]\nprod = 1", "profiles.prod must be a table"),
        ('[profiles.a]\nsystem = "alfresco"', "profiles.a.system must be one of opencast, preservica"),
        (PROD + 'credentials = "x"', "profiles.prod.credentials is not a setting"),
        (PROD + 'colour = "red"', "profiles.prod.colour is not a setting"),
        (PROD + "rate = true", "profiles.prod.rate has a value of the wrong type"),
        (PROD + 'digest = "yes"', "profiles.prod.digest has a value of the wrong type"),
        (PROD + "proxy = 1", "profiles.prod.proxy has a value of the wrong type"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_rejected(write: Write, text: str, reason: str) -> None:
    path = write(text)
    with pytest.raises(UsageError, match=f"{path}.*{reason}"):
        read_config(SYSTEMS)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such permissions")
def test_a_configuration_that_other_users_can_change_is_rejected(write: Write) -> None:
    write(PROD).chmod(0o620)
    with pytest.raises(UsageError, match="other users can change .*: run chmod 600"):
        read_config(SYSTEMS)


def test_profiles_are_listed_without_their_secrets(run: Run, write: Write) -> None:
    assert run("profiles").stdout.startswith("No profiles. Write them into ")
    write(
        PROD
        + 'password_command = "echo s3cret"\n'
        + '[profiles.archive]\nsystem = "preservica"\nurl = "eu.preservica.com"\npassword_file = "~/.pw"\n'
    )
    table = run("profiles").stdout.splitlines()
    assert table[1].split() == ["prod", "default", "opencast", URL, "admin", "password", "from", "command"]
    lines = [json.loads(line) for line in run("profiles", "--json").stdout.splitlines()]
    assert [line["secrets"] for line in lines] == [["password from command"], ["password from file"]]
    assert "s3cret" not in str(lines)


# Secrets


def test_a_secret_comes_from_a_variable_or_from_a_command_without_a_shell() -> None:
    assert read_source("variable", "PW", "admin", {"PW": "s3cret"}).reveal() == "s3cret"
    assert read_source("command", "echo 'a b' $HOME", "admin", {}).reveal() == "a b $HOME"


@pytest.mark.parametrize(
    ("source", "place", "reason"),
    [
        ("variable", "PW", "the variable 'PW' has no secret"),
        ("command", "true", "the command 'true' has no secret"),
        ("command", "false", "has failed .exit code 1."),
        ("command", "no-such-program", "has failed"),
        ("command", "", "has failed"),
        ("command", "'", "has failed"),
    ],
)
def test_a_secret_that_is_missing_is_rejected(source: str, place: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read_source(source, place, "admin", {})


def test_a_secret_comes_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    class KeyringError(Exception): ...

    def get_password(service: str, username: str) -> str | None:
        if service == "locked":
            raise KeyringError("s3cret")
        return {("opencast", "admin"): "s3cret"}.get((service, username))

    fake: Any = ModuleType("keyring")
    fake.get_password, fake.errors = get_password, SimpleNamespace(KeyringError=KeyringError)
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert read_source("keyring", "opencast", "admin", {}).reveal() == "s3cret"
    with pytest.raises(UsageError, match="the keyring 'opencast' has no secret"):
        read_source("keyring", "opencast", "somebody", {})
    with pytest.raises(UsageError, match="cannot be read .KeyringError.") as refused:
        read_source("keyring", "locked", "admin", {})
    assert "s3cret" not in str(refused.value)


def test_without_its_extra_the_keyring_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="pip install 'workflow-async.cli,keyring.'"):
        read_source("keyring", "opencast", "admin", {})


def test_a_profile_file_is_not_needed(run: Run, fakes: Sandbox) -> None:
    assert not config_path().exists()
    assert run("definitions", env=opencast_of(fakes)).exit_code == 0
