"""`proxy=` on every backend with a connection pool: until there is a tunnel, no byte of a request has been sent."""

import base64
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from hypothesis import given, strategies as st

from tests.conftest import FakeTime
from tests.support.byte_server import (
    GET,
    POST,
    RawResponse,
    ReceivedRequest,
    connected,
    failure,
    http,
    refused_url,
    serve,
    until,
)
from tests.support.certificates import client_side, server_side
from tests.support.misbehaving_server import raw_server
from tests.support.proxy_server import FAILING, SILENT, recording_proxy
from tests.support.stub_clients import client_of
from tests.unit.conftest import SSL_CONTEXT
from workflow_async import Retry, Secret, Timeouts
from workflow_async._http.proxy import Proxy, find_proxy
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    InvalidArgument,
    NotSent,
    ProxyRefused,
    StartOutcomeUnknown,
    TLSVerificationFailed,
    TransportError,
)

FAR = "https://oc.example.org"
SECRET = "s3cret-of-the-proxy"
SHORT_TIMEOUTS = Timeouts(connect=0.05, exchange=2.0)
STATUSES = {"wants a password": 407, "finds no way": 502, "forbids": 403, "redirects": 302, "is odd": 999}
"""The status in the response of a proxy in `FAILING`."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return client_side(authority)


async def get_and_start_errors(
    proxy: str, time: FakeTime, url: str = FAR, **settings: Any
) -> tuple[TransportError, TransportError]:
    """Return the errors of a GET and a start."""
    settings = {"ssl_context": SSL_CONTEXT, **settings}
    async with connected(url, time.clock, proxy=proxy, **settings) as transport:
        found = []
        for call in (GET, POST):
            with pytest.raises(TransportError) as caught:
                await transport.send(call)
            found.append(caught.value)
    return found[0], found[1]


# Proxies that fail


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", FAILING)
async def test_a_tunnel_that_fails_is_a_failed_connection(how: str, fake_time: FakeTime) -> None:
    async with raw_server(FAILING[how]) as proxy:
        get_error, start_error = await get_and_start_errors(proxy.url, fake_time)
        await until(lambda: not proxy.open)
    kind = ProxyRefused if how in STATUSES else ConnectFailed
    assert [type(error) for error in (get_error, start_error)] == [kind] * 2
    assert (start_error.attempts, start_error.sent) == (1, False)
    assert proxy.url in str(get_error)
    retried = how not in STATUSES or (STATUSES[how] >= 500 and STATUSES[how] != 999)
    assert get_error.attempts == (4 if retried else 1)
    assert proxy.connections == get_error.attempts + 1


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", STATUSES)
async def test_the_status_of_a_proxy_that_refuses_is_reported(how: str, fake_time: FakeTime) -> None:
    async with raw_server(FAILING[how]) as proxy:
        _, error = await get_and_start_errors(proxy.url, fake_time)
    assert isinstance(error, ProxyRefused)
    assert error.status == STATUSES[how]
    assert f"the proxy {proxy.url} opened no tunnel: status {STATUSES[how]}" in str(error)


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize(
    ("user", "advice"),
    [
        ("", 'give its user name and password: proxy="http://user:password@host:port"'),
        (f"user:{SECRET}@", "check the user name and the password in proxy="),
    ],
)
async def test_a_proxy_that_wants_a_password_is_reported_with_the_remedy(
    user: str, advice: str, fake_time: FakeTime
) -> None:
    async with raw_server(FAILING["wants a password"]) as proxy:
        error, _ = await get_and_start_errors(proxy.url.replace("//", f"//{user}"), fake_time)
    assert str(error).endswith(advice)
    assert SECRET not in f"{error!r}"


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("how", SILENT)
async def test_a_silent_proxy_fails_after_the_connect_timeout(how: str, fake_time: FakeTime) -> None:
    async with raw_server(SILENT[how]) as proxy:
        get_error, start_error = await get_and_start_errors(proxy.url, fake_time, timeouts=SHORT_TIMEOUTS)
        await until(lambda: not proxy.open)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert (get_error.attempts, start_error.attempts, start_error.sent) == (4, 1, False)
    assert proxy.url in str(start_error)


@pytest.mark.usefixtures("pooled")
async def test_a_proxy_that_does_not_listen_is_a_failed_connection(fake_time: FakeTime) -> None:
    url = refused_url()
    get_error, start_error = await get_and_start_errors(url, fake_time)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert (get_error.attempts, start_error.sent) == (4, False)
    assert str(get_error).find(f"; the proxy is {url}") > 0


async def test_a_start_through_a_proxy_that_fails_is_not_sent_and_not_unknown(pooled: str, fake_time: FakeTime) -> None:
    async with (
        raw_server(FAILING["finds no way"]) as proxy,
        client_of("opencast", FAR, clock=fake_time.clock, http=pooled, proxy=proxy.url) as oc,
    ):
        with pytest.raises(NotSent):
            await oc.workflows.start("event-7", "fast")


# Proxies that work


@pytest.mark.usefixtures("pooled")
async def test_requests_go_through_one_tunnel_without_the_password_of_the_proxy(
    authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with (
        serve(http(200, b"{}"), tls=server_side(authority)) as server,
        recording_proxy(int(server.url.rpartition(":")[2])) as proxy,
        connected(
            server.url, fake_time.clock, proxy=f"http://ada%40x:{SECRET}%2F@{proxy.address}", ssl_context=trust
        ) as transport,
    ):
        assert [await transport.send(GET) for _ in range(3)] == [{}] * 3
        assert SECRET not in f"{transport!r}"
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1\r\n")
    pair = base64.b64encode(f"ada@x:{SECRET}/".encode()).decode()
    assert f"proxy-authorization: basic {pair}\r\n".lower() in head.lower()
    assert "authorization: basic dxnlcjpzzwnyzxq=" not in head.lower()
    assert len(server.requests) == 3
    assert not [seen for seen in server.requests if "proxy-authorization" in seen.headers]


@pytest.mark.usefixtures("pooled")
async def test_an_ipv6_address_is_reached_through_a_tunnel(
    authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("::1").configure_cert(context)
    async with serve(http(200, b"{}"), tls=context) as server:
        port = int(server.url.rpartition(":")[2])
        async with (
            recording_proxy(port) as proxy,
            connected(f"https://[::1]:{port}", fake_time.clock, proxy=proxy.raw.url, ssl_context=trust) as transport,
        ):
            assert await transport.send(GET) == {}
    assert proxy.heads[0].startswith(f"CONNECT [::1]:{port} HTTP/1.1\r\n")


@pytest.mark.usefixtures("pooled")
async def test_through_a_tunnel_a_start_that_was_read_is_sent(
    authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with (
        serve(lambda _: RawResponse(b"", "fin"), tls=server_side(authority)) as server,
        recording_proxy(int(server.url.rpartition(":")[2])) as proxy,
    ):
        get_error, start_error = await get_and_start_errors(proxy.raw.url, fake_time, server.url, ssl_context=trust)
    assert [type(error) for error in (get_error, start_error)] == [ConnectionBroken] * 2
    assert start_error.sent
    assert [seen.method for seen in server.requests].count("POST") == 1


@pytest.mark.usefixtures("pooled")
async def test_through_a_tunnel_an_untrusted_server_gets_nothing(trust: ssl.SSLContext, fake_time: FakeTime) -> None:
    async with (
        serve(http(200, b"{}"), tls=server_side(trustme.CA())) as server,
        recording_proxy(int(server.url.rpartition(":")[2])) as proxy,
    ):
        get_error, start_error = await get_and_start_errors(proxy.raw.url, fake_time, server.url, ssl_context=trust)
        assert server.requests == []
    assert [type(error) for error in (get_error, start_error)] == [TLSVerificationFailed] * 2
    assert not start_error.sent


@pytest.mark.usefixtures("pooled")
async def test_a_request_to_an_http_server_is_forwarded_with_the_password_of_the_proxy(fake_time: FakeTime) -> None:
    async with (
        serve(http(200, b"{}")) as proxy,
        connected(
            "http://127.0.0.1:9", fake_time.clock, proxy=proxy.url.replace("//", f"//user:{SECRET}@")
        ) as transport,
    ):
        assert [await transport.send(GET) for _ in range(2)] == [{}] * 2
    assert [seen.target for seen in proxy.requests] == ["http://127.0.0.1:9/thing"] * 2
    assert [seen.headers["host"] for seen in proxy.requests] == ["127.0.0.1:9"] * 2
    pair = base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert [seen.headers["proxy-authorization"] for seen in proxy.requests] == [f"Basic {pair}"] * 2


async def test_a_start_is_unknown_if_a_forwarding_proxy_drops_it(pooled: str, fake_time: FakeTime) -> None:
    settings: dict[str, Any] = {"clock": fake_time.clock, "http": pooled, "allow_insecure_http": True}
    async with (
        serve(lambda _: RawResponse(b"", "fin")) as proxy,
        client_of("opencast", "http://oc.example.org", proxy=proxy.url, **settings) as oc,
    ):
        with pytest.raises(StartOutcomeUnknown):
            await oc.workflows.start("event-7", "fast")
    assert [seen.method for seen in proxy.requests] == ["POST"]


# The environment


async def test_the_environment_is_used_only_if_that_is_asked_for(
    pooled: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(seen: ReceivedRequest) -> bytes:
        return http(200, {"default": "v1.11.0", "versions": ["v1.11.0"]})

    async with raw_server(FAILING["finds no way"]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        settings: dict[str, Any] = {"clock": fake_time.clock, "http": pooled, "retry": Retry(attempts=1)}
        async with client_of("opencast", FAR, proxy="env", **settings) as oc:
            with pytest.raises(ProxyRefused, match=proxy.url):
                await oc.version()
        assert proxy.connections == 1
        async with (
            serve(answer, tls=server_side(authority)) as server,
            client_of("opencast", server.url, proxy="env", ssl_context=trust, **settings) as oc,
        ):
            await oc.version()  # loopback
        async with client_of("opencast", refused_url().replace("http:", "https:"), **settings) as oc:
            with pytest.raises(ConnectFailed):
                await oc.version()
        assert proxy.connections == 1


def found(environment: dict[str, str], server: str = FAR) -> str | None:
    proxy = find_proxy(Secret("env"), server, environment)
    return None if proxy is None else proxy.url


PROXY = "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("environment", "server", "expected"),
    [
        ({}, FAR, None),
        ({"HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, FAR, PROXY),
        ({"HTTPS_PROXY": "proxy.example.org:3128"}, FAR, PROXY),
        ({"HTTPS_PROXY": f" {PROXY} "}, FAR, PROXY),
        ({"HTTPS_PROXY": ""}, FAR, None),
        ({"ALL_PROXY": PROXY}, FAR, PROXY),
        ({"all_proxy": PROXY}, "http://oc.example.org", PROXY),
        ({"HTTP_PROXY": PROXY, "http_proxy": ""}, FAR, None),
        ({"HTTP_PROXY": PROXY}, "http://oc.example.org", None),
        ({"http_proxy": PROXY}, "http://oc.example.org", PROXY),
        ({"HTTPS_PROXY": PROXY}, "https://127.0.0.1:8443", None),
        ({"HTTPS_PROXY": PROXY}, "https://localhost", None),
        ({"ALL_PROXY": PROXY}, "http://[::1]", None),
    ],
)
def test_the_variable_for_the_scheme_of_the_server_names_its_proxy(
    environment: dict[str, str], server: str, expected: str | None
) -> None:
    assert found(environment, server) == expected


@pytest.mark.parametrize(
    ("excepted", "server", "direct"),
    [
        ("*", FAR, True),
        ("oc.example.org", FAR, True),
        ("OC.example.org", "https://oc.EXAMPLE.org", True),
        ("example.org", FAR, True),
        (".example.org", FAR, True),
        ("*.example.org", FAR, True),
        ("example.org.", FAR, True),
        ("ample.org", FAR, False),
        ("example.com, example.org", FAR, True),
        ("example.com example.org", FAR, True),
        ("example.org:443", FAR, True),
        ("example.org:8443", FAR, False),
        ("example.org:8443", "https://oc.example.org:8443/x", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.1", "https://10.0.0.1", True),
        ("10.0.0.1:8443", "https://10.0.0.1", False),
        ("example.org", "https://10.0.0.1", False),
        ("10.0.0.0/8", FAR, False),
        ("2001:db8::/32", "https://[2001:db8::1]", True),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", True),
        ("[2001:db8::1]", "https://[2001:db8::2]", False),
        (",", FAR, False),
        (".", FAR, False),
    ],
)
def test_no_proxy_excepts_domains_addresses_and_networks(excepted: str, server: str, direct: bool) -> None:  # noqa: FBT001 - a column
    for name in ("NO_PROXY", "no_proxy"):
        assert (found({"HTTPS_PROXY": PROXY, name: excepted}, server) is None) is direct


def test_a_proxy_of_the_environment_that_cannot_be_used_is_reported_with_its_variable() -> None:
    with pytest.raises(InvalidArgument, match="proxy: HTTPS_PROXY in the environment must begin with http://"):
        found({"HTTPS_PROXY": f"socks5://user:{SECRET}@proxy.example.org"})


# The argument


@pytest.mark.parametrize(
    ("given", "url", "username", "password"),
    [
        ("http://proxy:3128", "http://proxy:3128", None, ""),
        ("HTTP://proxy:3128/", "http://proxy:3128", None, ""),
        ("http://proxy", "http://proxy", None, ""),
        ("http://[::1]:3128", "http://[::1]:3128", None, ""),
        ("http://proxy.münchen.de:3128", "http://proxy.xn--mnchen-3ya.de:3128", None, ""),
        ("http://user@proxy:3128", "http://proxy:3128", "user", ""),
        ("http://user:pass:word@proxy:3128", "http://proxy:3128", "user", "pass:word"),
        ("http://us%3Aer:p%40ss%25@proxy", "http://proxy", "us:er", "p@ss%"),
        ("http://user:p@ss/w?rd#@proxy", "http://proxy", "user", "p@ss/w?rd#"),
        ("http://user:pässwörd@proxy", "http://proxy", "user", "pässwörd"),
    ],
)
def test_a_proxy_is_read_from_its_url(given: str, url: str, username: str | None, password: str) -> None:
    proxy = find_proxy(Secret(given), FAR, {})
    assert proxy == Proxy(url, username, Secret(password))
    assert not password or password not in repr(proxy)


KINDS = "must begin with http://: for another kind of proxy give http= an AsyncClient that uses it"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (3128, "must be an absolute URL such as http://proxy.example.org:3128"),
        ("", "must be an absolute URL such as http://proxy.example.org:3128"),
        (f"user:{SECRET}@proxy:3128", "must begin with http://, such as http://proxy.example.org:3128"),
        ("proxy:3128", "must begin with http://, such as http://proxy.example.org:3128"),
        ("ENV", "must begin with http://, such as http://proxy.example.org:3128"),
        (f"https://user:{SECRET}@proxy", KINDS),
        (f"socks5://user:{SECRET}@proxy", KINDS),
        ("SOCKS5H://proxy", KINDS),
        (f"http://user:{SECRET}@", "has no host name: write it after http://, such as http://proxy.example.org:3128"),
        (f"http://user:{SECRET}@proxy:99999", "has an invalid port: give a number from 1 to 65535, or leave it out"),
        (f"http://user:{SECRET}@pro xy", "must not contain spaces, line ends or control characters"),
        (f"http://user:{SECRET}%0A@proxy", "must have a user name and a password without control characters"),
        (f"http://us%0Der:{SECRET}@proxy", "must have a user name and a password without control characters"),
        (f"http://user:{SECRET}\ud800@proxy", "must have a user name and a password without control characters"),
        (f"http://user:{SECRET}@proxy/path", "must end after the port, such as http://proxy.example.org:3128"),
        (f"http://user:{SECRET}@proxy?x", "must end after the port, such as http://proxy.example.org:3128"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("system", ["opencast", "preservica"])
def test_anything_but_the_url_of_an_http_proxy_is_refused_without_its_password(
    system: str, given: Any, why: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client_of(system, FAR, proxy=given)
    assert (caught.value.argument, caught.value.why) == ("proxy", why)
    assert SECRET not in f"{caught.value!r}"


@given(st.text(), st.text())
def test_any_text_as_a_proxy_is_accepted_or_refused(text: str, excepted: str) -> None:
    for setting in (text, f"http://{text}", "env"):
        with suppress(InvalidArgument):
            proxy = find_proxy(Secret(setting), FAR, {"HTTPS_PROXY": text, "NO_PROXY": excepted})
            assert proxy is None or urlsplit(proxy.url).scheme == "http"


@pytest.mark.usefixtures("pooled")
async def test_a_failure_of_a_direct_connection_names_no_proxy(fake_time: FakeTime) -> None:
    assert "proxy" not in str(await failure(refused_url(), fake_time))
