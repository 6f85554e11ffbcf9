"""The command `check`."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.support.handshake_server import handshake_server
from workflow_async.cli.certificates import certificate_text, describe, issuer
from workflow_async.cli.replies import ReplyLog, offset_text
from workflow_async.cli.target import Target
from workflow_async.observe.messages import Reply, Request
from workflow_async.sandbox import CannedResponse, Faults, Sandbox, ServerClock

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def rows_of(text: str) -> dict[str, dict[str, Any]]:
    """Return the lines of `check --json` by their checks."""
    return {row["check"]: row for row in map(json.loads, text.splitlines())}


def test_check_reports_the_version_the_user_and_the_roles(run: Run, sandbox_11: Sandbox) -> None:
    result = run("check", "--json", env=opencast_of(sandbox_11))
    rows = rows_of(result.stdout)
    assert (result.exit_code, list(rows)) == (
        0,
        ["server", "user", "roles", "organization", "list", "clock", "certificate"],
    )
    assert rows["server"]["text"] == f"{sandbox_11.opencast.url} has External API v1.7.0"
    assert rows["user"]["text"] == "admin, Admin"
    assert "ROLE_ADMIN" in rows["roles"]["text"]
    assert rows["list"]["text"] == "the server has a list of workflows"
    assert rows["clock"]["text"] == "within 2 s of this machine"
    assert rows["certificate"]["text"] == "none: requests are not encrypted"


@pytest.mark.parametrize(("user", "able"), [("admin", "this user can read"), ("integration", "this user has not")])
def test_check_says_whether_this_user_can_list_without_a_list(run: Run, fakes: Sandbox, user: str, able: str) -> None:
    password = {"admin": fakes.opencast.password, "integration": "integration"}[user]
    variables = {"OPENCAST_USERNAME": user, "OPENCAST_PASSWORD": password}
    result = run("check", env={**opencast_of(fakes), **variables})
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("list ")]
    assert line.endswith(able)


def test_check_of_preservica_logs_in_and_counts(run: Run, fakes: Sandbox) -> None:
    fakes.preservica.seed(3)
    rows = rows_of(run("check", "--json", env=preservica_of(fakes)).stdout)
    assert list(rows) == ["server", "list", "clock", "certificate"]
    assert rows["server"]["text"] == f"{fakes.preservica.url} has accepted the login"
    assert rows["list"]["text"] == "3 workflows"


def test_check_ends_where_the_server_refuses_or_does_not_answer(run: Run, fakes: Sandbox) -> None:
    refused = run("check", env={**opencast_of(fakes), "OPENCAST_PASSWORD": "wrong"})
    assert refused.exit_code != 0
    assert [line.split(maxsplit=2) for line in refused.stdout.splitlines()[1:]] == [
        ["server", "failed", "user name or password refused for admin"]
    ]
    assert "401" in refused.stderr or "refused" in refused.stderr


def test_a_later_check_that_fails_leaves_the_others(run: Run, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.faults = Faults(rates={CannedResponse(403): 1.0}, paths=("/api/info/organization",))
    result = run("check", "--json", env=opencast_of(sandbox_11))
    rows = rows_of(result.stdout)
    assert result.exit_code != 0
    assert [name for name, row in rows.items() if not row["ok"]] == ["organization"]
    assert rows["certificate"]["ok"]


def test_a_clock_that_is_wrong_is_reported(run: Run, sandbox_11: Sandbox) -> None:
    sandbox_11.opencast.faults = ServerClock(ahead=90.0)
    clock = rows_of(run("check", "--json", env=opencast_of(sandbox_11)).stdout)["clock"]
    assert clock["text"] in {f"{seconds} s ahead of this machine: check both clocks" for seconds in (88, 89, 90, 91)}


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (None, "not known: the responses have no date"),
        (-2.4, "within 2 s of this machine"),
        (-60.2, "60 s behind this machine: check both clocks"),
    ],
)
def test_the_offset_of_a_clock_in_words(offset: float | None, text: str) -> None:
    assert offset_text(offset) == text


async def test_a_response_without_a_date_says_nothing_about_the_clock() -> None:
    log = ReplyLog(clock_offset=7.0)

    async def send(request: Request) -> Reply:
        return Reply(200)

    await log(Request(call="x", method="GET", url="https://x", route="/", attempt=1), send)
    assert log.clock_offset is None


# The certificate


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Example Trust")


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    """Return the URL of a server with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=90, hours=1)).configure_cert(context)
    with handshake_server(context) as url:
        yield url


async def test_the_issuer_and_the_validity_of_a_certificate(authority: trustme.CA, server: str, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    text = await certificate_text(server, Target(ca_file=tmp_path / "ca.pem"), datetime.now(UTC))
    assert text.startswith("issued by Example Trust")
    assert text.endswith("(90 days)")


async def test_a_certificate_that_cannot_be_verified_is_not_examined(server: str) -> None:
    assert await certificate_text(server, Target(), NOW) == "not examined: SSLCertVerificationError"


async def test_no_certificate_is_examined_through_a_proxy() -> None:
    text = await certificate_text("https://oc.example.org", Target(proxy="env"), NOW)
    assert text == "not examined: requests go through a proxy"


async def test_no_certificate_is_examined_if_other_hosts_are_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_ASYNC_NO_NETWORK", "1")
    text = await certificate_text("https://oc.example.org", Target(), NOW)
    assert text == "not examined: the environment forbids requests to other hosts"


def test_a_certificate_that_ends_soon_is_to_be_renewed() -> None:
    certificate = {"notAfter": "Mar 14 13:00:00 2026 GMT", "issuer": ((("commonName", "R3"),),)}
    assert describe(certificate, NOW) == "issued by R3, valid until 2026-03-14 (10 days: renew it)"
    assert issuer({}) == "an unnamed authority"
