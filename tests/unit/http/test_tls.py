"""`tls=` on every backend with a connection pool: authorities, client certificates, and what refusals advise."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.conftest import FakeTime
from tests.support.byte_server import GET, POST, connected, failure, http, serve
from tests.support.certificates import server_side
from tests.support.handshake_server import handshake_server
from tests.support.stub_clients import client_of, workflow
from tests.unit.conftest import SSL_CONTEXT
from workflow_async import TLS, OpencastClient, Retry, Secret
from workflow_async._http.advice import with_advice
from workflow_async._http.tls import tls_context
from workflow_async.errors import ConnectFailed, InvalidArgument, TLSVerificationFailed, TransportError

PASSWORD = "sesame-of-the-key"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the authority, a client certificate, its key plain and encrypted, and an unrelated key."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("client.example.org")
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(PASSWORD.encode())
    (folder / "encrypted.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    authority.issue_cert("other.example.org").private_key_pem.write_to_path(str(folder / "other.pem"))
    foreign = trustme.CA().issue_cert("foreign.example.org")
    foreign.private_key_and_cert_chain_pem.write_to_path(str(folder / "foreign.pem"))
    (folder / "text.pem").write_text("no certificate")
    return folder


def demanding(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context that demands a client certificate of the authority."""
    context = server_side(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# Authorities


@pytest.mark.usefixtures("pooled")
async def test_a_ca_file_is_trusted(authority: trustme.CA, files: Path, fake_time: FakeTime) -> None:
    for path in (files / "ca.pem", str(files / "ca.pem")):
        async with (
            serve(http(200, b"{}"), tls=server_side(authority)) as server,
            connected(server.url, fake_time.clock, tls=TLS(ca_file=path)) as transport,
        ):
            assert await transport.send(GET) == {}


@pytest.mark.usefixtures("pooled")
async def test_the_system_store_is_trusted(
    authority: trustme.CA, files: Path, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "ca.pem"))
    async with serve(http(200, b"{}"), tls=server_side(authority)) as server:
        assert isinstance(await failure(server.url, fake_time), TLSVerificationFailed)
        async with connected(server.url, fake_time.clock, tls=TLS(system_store=True)) as transport:
            assert await transport.send(GET) == {}


async def test_a_ca_file_replaces_the_default_and_adds_to_the_system_store(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "cert.pem"))
    counts = [
        tls_context(tls).cert_store_stats()["x509"]
        for tls in (
            TLS(ca_file=files / "ca.pem"),
            TLS(system_store=True),
            TLS(ca_file=files / "ca.pem", system_store=True),
        )
    ]
    assert counts == [1, 1, 2]
    assert tls_context(TLS()).cert_store_stats() == tls_context(None).cert_store_stats()


def test_a_system_without_authorities_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(InvalidArgument, match="system_store: finds no authorities: install the package"):
        tls_context(TLS(system_store=True))


@pytest.mark.parametrize("settings", [{}, {"ca_file": "ca.pem"}, {"client_cert": "both.pem"}, {"system_store": True}])
def test_every_context_verifies_certificates_and_host_names_and_writes_no_keys(
    settings: dict[str, Any], files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for name in settings.keys() - {"system_store"}:
        settings = {name: files / settings[name]}
    context = tls_context(TLS(**settings))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.keylog_filename is None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("system", ["opencast", "preservica"])
async def test_both_clients_take_tls(system: str, authority: trustme.CA, files: Path, fake_time: FakeTime) -> None:
    def answer(request: Any) -> bytes:
        grant = {"success": True, "token": "t0ken", "validFor": 15}
        return http(200, grant) if "accesstoken" in request.target else http(200, workflow(system, 7))

    async with (
        serve(answer, tls=server_side(authority)) as server,
        client_of(system, server.url, clock=fake_time.clock, tls=TLS(ca_file=files / "ca.pem")) as client,
    ):
        assert (await client.workflows.get(7)).id == 7


# Client certificates

REFUSED = "the server refuses this client certificate, or demands one: give tls=TLS(client_cert="
CLIENT_CERTS: dict[str, tuple[str, ...]] = {
    "one file": ("both.pem",),
    "two files": ("cert.pem", "key.pem"),
    "an encrypted key": ("cert.pem", "encrypted.pem", PASSWORD),
}


def client_cert(files: Path, names: tuple[str, ...]) -> Any:
    paths = [files / name for name in names[:2]]
    return paths[0] if len(names) == 1 else (*paths, *names[2:])


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("names", CLIENT_CERTS.values(), ids=CLIENT_CERTS)
async def test_a_client_certificate_is_presented(
    names: tuple[str, ...], authority: trustme.CA, files: Path, fake_time: FakeTime
) -> None:
    tls = TLS(ca_file=files / "ca.pem", client_cert=client_cert(files, names))
    async with (
        serve(http(200, b"{}"), tls=demanding(authority)) as server,
        connected(server.url, fake_time.clock, tls=tls) as transport,
    ):
        assert await transport.send(GET) == {}
    assert PASSWORD not in repr(tls)


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize(
    ("version", "presented", "advice"),
    [
        (ssl.TLSVersion.TLSv1_2, None, "the server may demand a client certificate: give tls=TLS(client_cert="),
        (ssl.TLSVersion.TLSv1_3, None, "the server demands a client certificate: give tls=TLS(client_cert="),
        (ssl.TLSVersion.TLSv1_2, "foreign.pem", REFUSED),
        (ssl.TLSVersion.TLSv1_3, "foreign.pem", REFUSED),
    ],
    ids=["none by TLS 1.2", "none by TLS 1.3", "a foreign one by TLS 1.2", "a foreign one by TLS 1.3"],
)
async def test_a_refused_or_missing_client_certificate_is_reported_with_the_remedy(
    version: ssl.TLSVersion, presented: str | None, advice: str,
    authority: trustme.CA, files: Path, fake_time: FakeTime,
) -> None:  # fmt: skip
    context = demanding(authority)
    context.minimum_version = context.maximum_version = version
    tls = TLS(ca_file=files / "ca.pem", client_cert=None if presented is None else files / presented)
    with handshake_server(context) as url:
        error = await failure(url, fake_time, POST, tls=tls)
    assert isinstance(error, TransportError)
    assert advice in str(error)
    assert isinstance(error, ConnectFailed) is (version is ssl.TLSVersion.TLSv1_2)  # 1.3 sends before the refusal


# Certificates of the server

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({}, "its authority is not trusted: give tls=TLS(ca_file="),
    "other host": ({"name": "example.org"}, "the certificate is for another host: use a host name of the certificate"),
    "expired": ({"not_after": datetime.now(UTC) - timedelta(days=1)}, "the certificate has expired: renew it"),
    "not yet valid": (
        {"not_before": datetime.now(UTC) + timedelta(days=1)},
        "the certificate is not valid yet: correct the clock of this machine",
    ),
}


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", INVALID)
async def test_an_invalid_certificate_is_reported_with_the_remedy(
    how: str, authority: trustme.CA, files: Path, fake_time: FakeTime
) -> None:
    terms, advice = INVALID[how]
    tls = None if how == "unknown" else TLS(ca_file=files / "ca.pem")
    async with serve(http(200, b"{}"), tls=server_side(authority, **terms)) as server:
        error = await failure(server.url, fake_time, POST, tls=tls, retry=Retry())
        assert server.requests == []
    assert isinstance(error, TLSVerificationFailed)
    assert (error.attempts, error.sent) == (1, False)
    assert advice in str(error)


def test_a_certificate_that_fails_otherwise_gets_no_advice() -> None:
    cause = ssl.SSLCertVerificationError("certificate revoked")
    cause.verify_code = 23
    assert str(with_advice(TLSVerificationFailed("revoked"), [cause])) == "revoked"


async def test_a_client_of_the_caller_is_advised_to_change_its_context(
    authority: trustme.CA, fake_time: FakeTime
) -> None:
    async with (
        serve(http(200, b"{}"), tls=server_side(authority)) as server,
        httpx.AsyncClient(verify=SSL_CONTEXT, trust_env=False) as client,
    ):
        error = await failure(server.url, fake_time, http=client)
    assert "its authority is not trusted: give the AsyncClient in http= a context that trusts it" in str(error)


# Arguments

UNUSABLE: dict[str, tuple[Any, str, str]] = {
    "missing ca": ({"ca_file": "none.pem"}, "ca_file", "cannot be read, No such file or directory: {}none.pem"),
    "folder": ({"ca_file": "."}, "ca_file", "cannot be read, Is a directory: {}"),
    "no pem": ({"ca_file": "text.pem"}, "ca_file", "has no certificate in PEM format: {}text.pem"),
    "key as ca": ({"ca_file": "key.pem"}, "ca_file", "has no certificate in PEM format: {}key.pem"),
    "missing cert": ({"client_cert": ("none.pem", "key.pem")}, "client_cert", "cannot be read, No such file"),
    "missing key": ({"client_cert": ("cert.pem", "none.pem")}, "client_cert", "cannot be read, No such file"),
    "no key": ({"client_cert": ("cert.pem",)}, "client_cert", "has no certificate or no key in PEM format: {}cert.pem"),
    "swapped": ({"client_cert": ("key.pem", "cert.pem")}, "client_cert", "has no certificate or no key in PEM format"),
    "other key": ({"client_cert": ("cert.pem", "other.pem")}, "client_cert", "has a key that does not belong to"),
    "no password": (
        {"client_cert": ("cert.pem", "encrypted.pem")},
        "client_cert",
        "has an encrypted key: give (certificate, key, password) for {}encrypted.pem",
    ),
    "wrong password": (
        {"client_cert": ("cert.pem", "encrypted.pem", f"{PASSWORD}?")},
        "client_cert",
        "has a key that this password does not decrypt: {}encrypted.pem",
    ),
    "long password": (
        {"client_cert": ("cert.pem", "encrypted.pem", PASSWORD * 1000)},
        "client_cert",
        "has a key that this password does not decrypt: {}encrypted.pem",
    ),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_file_that_cannot_be_used_is_reported_with_its_path_when_the_client_is_made(how: str, files: Path) -> None:
    named, argument, why = UNUSABLE[how]
    settings: dict[str, Any] = {name: str(files / value) for name, value in named.items() if isinstance(value, str)}
    settings |= {name: client_cert(files, value) for name, value in named.items() if isinstance(value, tuple)}
    with pytest.raises(InvalidArgument) as caught:
        OpencastClient("https://oc.example.org", auth=("user", "secret"), tls=TLS(**settings))
    assert caught.value.argument == argument
    assert why.format(f"{files}{os.sep}").rstrip(os.sep) in caught.value.why.replace("'", "")
    assert PASSWORD not in f"{caught.value!r}"


def test_a_null_byte_is_no_path() -> None:
    with pytest.raises(InvalidArgument, match="ca_file: cannot be read, not a path"):
        tls_context(TLS(ca_file="ca\0.pem"))


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"ca_file": ""}, "ca_file"),
        ({"ca_file": b"ca.pem"}, "ca_file"),
        ({"system_store": 1}, "system_store"),
        ({"client_cert": ""}, "client_cert"),
        ({"client_cert": ()}, "client_cert"),
        ({"client_cert": ("cert.pem",)}, "client_cert"),
        ({"client_cert": ("cert.pem", None)}, "client_cert"),
        ({"client_cert": ("cert.pem", "key.pem", b"sesame")}, "client_cert"),
        ({"client_cert": ("cert.pem", "key.pem", "sesame", "more")}, "client_cert"),
    ],
)
def test_tls_settings_of_another_type_are_refused(settings: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        TLS(**settings)
    assert caught.value.argument == argument
    assert "sesame" not in f"{caught.value!r}"


def test_a_password_of_a_key_may_be_a_secret(files: Path) -> None:
    tls = TLS(client_cert=(files / "cert.pem", files / "encrypted.pem", Secret(PASSWORD)))
    assert tls == TLS(client_cert=(files / "cert.pem", files / "encrypted.pem", PASSWORD))
    assert PASSWORD not in repr(tls)
    assert tls_context(tls).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls": "ca.pem"}, 'tls: must be a TLS, such as TLS(ca_file="ca.pem")'),
        (
            {"ssl_context": "ca.pem"},
            'ssl_context: must be an ssl.SSLContext: for a file give tls=TLS(ca_file="ca.pem")',
        ),
        ({"ssl_context": False}, 'ssl_context: must be an ssl.SSLContext: for a file give tls=TLS(ca_file="ca.pem")'),
        ({"tls": TLS(), "ssl_context": SSL_CONTEXT}, "tls: must not be given beside ssl_context"),
    ],
)
@pytest.mark.parametrize("system", ["opencast", "preservica"])
def test_a_wrong_argument_is_refused_with_the_right_one(system: str, settings: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client_of(system, "https://archive.example.org", **settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("settings", [{"tls": TLS()}, {"ssl_context": SSL_CONTEXT}, {"proxy": "http://127.0.0.1:3128"}])
async def test_a_client_of_the_caller_has_its_own_tls_and_proxy(settings: dict[str, Any]) -> None:
    async with httpx.AsyncClient(verify=SSL_CONTEXT) as client:
        with pytest.raises(InvalidArgument, match="has no effect on the client given as http=") as caught:
            client_of("opencast", "https://oc.example.org", http=client, **settings)
    assert [caught.value.argument] == [*settings]
