"""T-SECRET: no text that is printed, logged, raised, kept or pickled shows a secret, whatever happens to a client."""

import asyncio
import base64
import gzip
import json
import logging
import pickle
import re
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
import trustme
from attrs import define, evolve, field

from tests.conftest import See
from tests.support.byte_server import RawResponse, ReceivedRequest, SuspensionTrigger, http, serve
from tests.support.misbehaving_server import raw_server
from tests.support.proxy_server import FAILING
from tests.unit.conftest import BORROWED, POOLED, http_argument
from workflow_async import (
    TLS,
    Basic,
    Bearer,
    Clock,
    Digest,
    Limits,
    OpencastClient,
    Poll,
    PreservicaClient,
    Retry,
    Timeouts,
)
from workflow_async._http import HTTPBackend
from workflow_async.errors import InvalidArgument
from workflow_async.preservica.login_calls import LOGIN
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox
from workflow_async.sandbox.hashing import hash_uuid
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica
from workflow_async.sync import SyncOpencastClient

pytestmark = pytest.mark.figure("T-SECRET")

BACKENDS: tuple[HTTPBackend, ...] = ("httpx", "httpx2", "aiohttp")
TESTS = str(Path(__file__).parent.parent)
PASSWORD, SEED, JWT = "canary-p4ssw0rd", "KNSWG4TFORBWC3TBOJ4Q", "canary.json.webt0ken"
WITH_COOKIES = re.compile(r"httpcore2?\.")
"""Loggers of HTTP backends that print response headers at DEBUG. A client cannot prevent that."""
Work = Callable[[], Awaitable[object]]


@define
class Recorder:
    """Records every text that a program could print."""

    texts: list[str] = field(factory=list)
    errors: int = 0

    async def run(self, work: Work) -> None:
        """Record the result of the work, or its error."""
        try:
            result = await work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - no error at all may show a secret
            self.errors += 1
            self.texts += [repr(error), str(error), repr(vars(error)), *frames(error), pickled(error)]
        else:
            self.texts += [repr(result), pickled(result)]

    async def run_cancelled(self, work: Work, *, twice: bool = False) -> None:
        """Record how the work ends if it is cancelled at each suspension point, and again during its cleanup."""
        k, last = 0, 1
        while k < last:
            k += 1
            task, last = await cancel_at(work, k, twice=twice)
            await self.run(partial(asyncio.wait_for, task, None))

    def record(self, *objects: object) -> None:
        """Record objects with all their contents."""
        self.texts += [f"{value!r} {value} {pickled(value)}" for value in objects]
        self.texts += [text for value in objects for text in fields(value)]


async def cancel_at(work: Work, k: int, *, twice: bool) -> "tuple[asyncio.Task[object], int]":
    """Return a task that was cancelled at its k-th suspension point, and the number of the next point."""
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        task.cancel()
        if twice:
            loop.call_soon(lambda: loop.call_soon(task.cancel))

    step = SuspensionTrigger(k, cancel)

    async def run_step() -> object:
        async def call_work() -> object:
            return await work()

        return await step.run(call_work())

    task = asyncio.create_task(run_step())
    await asyncio.wait([task])
    return task, k + 1 if step.count >= k else k


def frames(error: BaseException) -> Iterator[str]:
    """Yield every frame with its local variables, except those of tests, which belong to the caller."""
    trace: traceback.TracebackException | None
    queue = [traceback.TracebackException.from_exception(error, capture_locals=True)]
    while queue:
        trace = queue.pop()
        queue += [more for more in (trace.__cause__, trace.__context__, *(trace.exceptions or ())) if more]
        yield from (str(frame.locals) for frame in trace.stack if not frame.filename.startswith(TESTS))
        yield from trace.format_exception_only()


def pickled(value: object) -> str:
    try:
        return pickle.dumps(value).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return str(error)


def fields(value: object, seen: set[int] | None = None) -> Iterator[str]:
    """Yield what `vars` and `attrs.asdict` show of an object of this package, and of all such objects in it.

    The cookie jar of the standard library is left out: it keeps cookies in its own attributes.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Mapping | list | tuple | set):
        for child in value.values() if isinstance(value, Mapping) else value:
            yield from fields(child, seen)
        return
    if id(value) in seen or not type(value).__module__.startswith("workflow_async") or isinstance(value, CookieJar):
        return
    seen.add(id(value))
    inner = dict(vars(value)) if hasattr(value, "__dict__") else {}
    kind: Any = type(value)
    if attrs.has(kind):
        yield repr(attrs.asdict(cast("Any", value), recurse=False))  # the engine and its poller know each other
        inner |= {attribute.name: getattr(value, attribute.name, None) for attribute in attrs.fields(kind)}
    yield repr(inner)
    for child in inner.values():
        yield from fields(getattr(child, "__self__", child), seen)


@define
class Canaries:
    """Everything that must not be shown."""

    texts: set[str] = field(factory=set)
    cookies: set[str] = field(factory=set)

    def check(self, recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
        """Check that nothing of it was recorded or logged. The backend's own logger may log cookies."""
        for text in recorder.texts:
            assert not [canary for canary in self.texts | self.cookies if canary in text]
        for record in caplog.records:
            line = f"{record.getMessage()} {record.exc_text} {vars(record)!r}"
            exempt = WITH_COOKIES.match(record.name) and "receive_response_headers.complete" in line
            forbidden = self.texts if exempt else self.texts | self.cookies
            assert not [canary for canary in forbidden if canary in line], record.name


@pytest.fixture(autouse=True)
async def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Log everything, including each step of the event loop."""
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("11", time, two_factor=SEED) as served:
        yield served


# Preservica


@pytest.fixture
def archive(sandbox: Sandbox) -> FakePreservica:
    sandbox.preservica.state.accounts.password = PASSWORD
    return sandbox.preservica


def secrets_of(archive: FakePreservica) -> Canaries:
    """Return the password, the seed, every token that the server issued and every code that it received."""
    accounts = archive.state.accounts
    issued = {hash_uuid("token", accounts.seed, number + 1) for number in range(accounts._issued)}
    return Canaries({PASSWORD, SEED, *issued})


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_session_with_a_preservica_shows_a_secret(
    backend: HTTPBackend,
    archive: FakePreservica,
    clock: Clock,
    time: ManualClock,
    caplog: pytest.LogCaptureFixture,
    see: See,
) -> None:
    recorder = Recorder()
    account: dict[str, Any] = {"username": archive.username, "password": PASSWORD, "two_factor": SEED, "http": backend}
    ids = archive.seed(3, contexts=["42"])
    async with PreservicaClient(archive.url, tenant=archive.tenant, clock=clock, **account) as pv:
        works: list[Work] = [
            lambda: pv.contexts.list().first(),
            lambda: pv.workflows.list(limit=2).first(),
            lambda: pv.workflows.get(ids[0]),
            lambda: pv.workflows.get(999_999),
            lambda: pv.workflows.start(42, {"a": "b"}),
            lambda: pv.workflows.wait(ids[0], poll=Poll(interval=5.0)),
        ]
        for faults in fault_plans():
            archive.faults = faults
            for work in works[:5]:
                await recorder.run(work)
            archive.revoke()
            time.advance(1.0)
        archive.faults = Faults()
        await recorder.run(works[5])
        for shift in (0.0, 800.0):  # with a token, with one to renew
            time.advance(shift)
            await recorder.run_cancelled(works[2])
            archive.revoke()
            await recorder.run_cancelled(works[2])
        archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=("/api/accesstoken/refresh",))
        time.advance(800.0)
        await recorder.run(works[2])
        recorder.record(pv, pv._transport, pv.workflows, pv.contexts)
        logins = archive.logins
    canaries = secrets_of(archive)
    assert len(canaries.texts) > 20
    canaries.check(recorder, caplog)
    see(
        f"preservica, {backend}: {len(canaries.texts)} secrets, {logins} logins: 0 in {len(recorder.texts)} texts "
        f"({recorder.errors} errors) and {len(caplog.records)} log records"
    )


def fault_plans() -> list[Faults]:
    """Return plans with no fault, and with every fault, at the login and elsewhere."""
    everywhere = [Faults(rates={fault: 1.0}) for fault in Fault]
    elsewhere = [Faults(script=(fault,), paths=("/sdb/",)) for fault in Fault]
    return [Faults(), *elsewhere, *everywhere, Faults()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "canary-wr0ng"},
        {"two_factor": "MNQW4YLSPEWTK43FMVSA"},
        {"two_factor": None},
        {"tenant": "OTHER"},
    ],
    ids=str,
)
async def test_a_rejected_login_shows_no_secret(
    wrong: dict[str, Any], archive: FakePreservica, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    account: dict[str, Any] = {"username": archive.username, "password": PASSWORD, "two_factor": SEED, "clock": clock}
    recorder = Recorder()
    async with PreservicaClient(archive.url, **{**account, **wrong}) as pv:
        for _ in range(2):
            await recorder.run(lambda: pv.contexts.list().first())
        recorder.record(pv, pv._transport)
    assert recorder.errors == 2
    canaries = secrets_of(archive)
    canaries.texts |= {"canary-wr0ng", "MNQW4YLSPEWTK43FMVSA"}
    canaries.check(recorder, caplog)


# Opencast


@pytest.fixture
def opencast(sandbox: Sandbox) -> FakeOpencast:
    access = sandbox.opencast.state.access
    access.jwt = JWT
    for name in ("admin", "opencast_system_account"):
        access.accounts[name] = evolve(access.accounts[name], password=PASSWORD)
    return sandbox.opencast


AUTHS: dict[str, Callable[[], Any]] = {
    "pair": lambda: ("admin", PASSWORD),
    "basic": lambda: Basic("admin", PASSWORD),
    "basic function": lambda: Basic("admin", lambda: PASSWORD),
    "bearer": lambda: Bearer(JWT),
    "function": lambda: Bearer(lambda: JWT),
    "digest": lambda: Digest("opencast_system_account", PASSWORD),
}
PROXY_PASSWORD = "p4ss-of-the-proxy"
PAIR = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("auth_name", AUTHS)
async def test_no_session_with_an_opencast_shows_a_secret(
    auth_name: str,
    backend: HTTPBackend,
    opencast: FakeOpencast,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    see: See,
) -> None:
    recorder = Recorder()
    ids = opencast.seed(3, definitions=["fast"])
    settings: dict[str, Any] = {"clock": clock, "http": backend, "run_as_user": "viewer"}
    async with OpencastClient(opencast.url, auth=AUTHS[auth_name](), **settings) as oc:
        works: list[Work] = [
            oc.me,
            lambda: oc.workflows.list(limit=2).first(),
            lambda: oc.workflows.get(ids[0]),
            lambda: oc.workflows.get(999_999),
            lambda: oc.workflows.start(opencast.event(), "fast", configuration={"a": "b"}),
            lambda: oc.workflows.wait(ids[0], poll=Poll(interval=5.0)),
        ]
        for faults in fault_plans():
            opencast.faults = faults
            for work in works[:5]:
                await recorder.run(work)
        opencast.faults = Faults()
        await recorder.run(works[5])
        await recorder.run_cancelled(works[2])
        recorder.record(oc, oc._transport, oc.workflows, oc._transport.credential)
    canaries = Canaries({PASSWORD, JWT, PAIR}, set(opencast.sessions))
    assert canaries.cookies
    canaries.check(recorder, caplog)
    see(f"opencast, {auth_name}, {backend}: 0 secrets in {len(recorder.texts)} texts ({recorder.errors} errors)")


# Responses of other servers


SESSION = "canary-s3ssion"
ANSWERS: dict[str, bytes | RawResponse] = {
    "redirect": http(302, b"", location="https://evil.example.org/", set_cookie=f"access-token={SESSION}"),
    "redirect with the body": http(307, b"", location="https://evil.example.org/", set_cookie=f"a={SESSION}"),
    "login page": http(302, b"", location="/login.html", set_cookie=f"JSESSIONID={SESSION}"),
    "garbage": b"garbage\r\n\r\n",
    "nothing": RawResponse(b"", "fin"),
    "reset": RawResponse(b"", "rst"),
    "half a head": RawResponse(b"HTTP/1.1 200 OK\r\nset-cookie: a=" + SESSION.encode(), "fin"),
    "stalled": RawResponse(b"HTTP/1.1 200 OK\r\nset-cookie: a=" + SESSION.encode() + b"\r\n", "stall"),
    "a token and no more": http(200, b'{"token": "' + JWT.encode() + b'" oops'),
    "a token in an error": http(500, b'{"refresh-token": "' + JWT.encode() + b'"}'),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_login_with_any_response_shows_no_secret(
    name: str, backend: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    settings: dict[str, Any] = {"clock": clock, "http": backend, "timeouts": Timeouts(exchange=0.05)}
    async with serve(lambda _: ANSWERS[name]) as wire:
        account: dict[str, Any] = {"username": "u", "password": PASSWORD, "tenant": "t"}
        async with PreservicaClient(wire.url, **account, **settings) as pv:
            for _ in range(2):
                await recorder.run(lambda: pv.workflows.start(42))
            recorder.record(pv, pv._transport)
    assert recorder.errors == 2
    Canaries({PASSWORD, JWT}, {SESSION}).check(recorder, caplog)


COMPRESSED = gzip.compress(b'{"a": "b"}')
WITH_SESSION = {"set_cookie": f"JSESSIONID={SESSION}; Path=/"}
RESPONSES_WITH_COOKIE: dict[str, bytes | RawResponse] = {
    "a record": http(200, b'{"identifier": 7, "state": "running"}', **WITH_SESSION),
    "truncated gzip": http(200, COMPRESSED[:-9], content_encoding="gzip", **WITH_SESSION),
    "not gzip": http(200, f"secret {JWT}".encode(), content_encoding="gzip", **WITH_SESSION),
    "an unknown coding": http(200, b"{}", content_encoding="br", **WITH_SESSION),
    "not JSON": http(200, b'{"token": "' + JWT.encode(), **WITH_SESSION),
    "too much": http(200, b'"' + b" " * 5_000 + JWT.encode() + b'"', **WITH_SESSION),
    "a page": http(200, b"<!doctype html><html></html>", content_type="text/html", **WITH_SESSION),
    "another password": http(401, b"{}", www_authenticate='Digest realm="a", nonce="b", qop="auth"', **WITH_SESSION),
    "an outage": http(503, b"{}", **WITH_SESSION),
    "half a body": RawResponse(http(200, b"{}", **WITH_SESSION)[:-1], "fin"),
    "half a body and a reset": RawResponse(http(200, b"{}", **WITH_SESSION)[:-1], "rst"),
    "a bad header": RawResponse(f"HTTP/1.1 200 OK\r\nset-cookie : a={SESSION}\r\n\r\n".encode(), "fin"),
}
"""Responses during which a call is cancelled. Each but the last sets a session cookie."""


def granting_logins(response: bytes | RawResponse) -> Callable[[ReceivedRequest], bytes | RawResponse]:
    """Grant each login, and send `response` for all other requests."""
    grant = http(200, json.dumps({"success": True, "token": JWT, "validFor": 15}).encode(), **WITH_SESSION)
    return lambda seen: grant if seen.target.startswith(LOGIN) else response


def get_with_new_client(system: str, auth_name: str, url: str, settings: dict[str, Any]) -> Work:
    """Return a GET by a new client, with its login."""

    async def work() -> object:
        if system == "opencast":
            async with OpencastClient(url, auth=AUTHS[auth_name](), **settings) as oc:
                return await oc.workflows.get(7)
        async with PreservicaClient(url, username="u", password=PASSWORD, tenant="t", **settings) as pv:
            return await pv.workflows.get(7)

    return work


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("name", "system", "auth_name", "twice"),
    [
        *((name, "opencast", "pair", True) for name in (*POOLED, *BORROWED)),
        *((name, "preservica", "", True) for name in (*POOLED, *BORROWED)),
        ("httpx", "opencast", "digest", True),
        ("httpx", "opencast", "pair", False),
        ("httpx", "preservica", "", False),
    ],
)
async def test_after_a_cancellation_at_any_step_no_exception_of_the_chain_holds_a_secret(
    name: str,
    system: str,
    auth_name: str,
    twice: bool,  # noqa: FBT001 - a case
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    see: See,
) -> None:
    asyncio.get_running_loop().set_debug(False)
    caplog.set_level(logging.INFO)  # the tests above cover what httpcore logs
    recorder = Recorder()
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"clock": clock, "retry": Retry(attempts=2), "limits": Limits(body=4096)}
        settings["http"] = await http_argument(name, stack)
        wire = await stack.enter_async_context(serve(b""))
        for response in RESPONSES_WITH_COOKIE.values():
            wire.respond = granting_logins(response)
            await recorder.run_cancelled(
                get_with_new_client(system, auth_name, wire.url.replace("127.0.0.1", "localhost"), settings),
                twice=twice,
            )
    Canaries({PASSWORD, JWT, PAIR}, {SESSION}).check(recorder, caplog)
    assert recorder.errors > 40
    see(f"{name}: {recorder.errors} calls of {system} cancelled at every step, once and twice: 0 secrets in any frame")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("auth_name", AUTHS)
async def test_an_untrusted_or_unreachable_opencast_gets_no_secret_and_no_error_shows_one(
    auth_name: str, backend: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    settings: dict[str, Any] = {"clock": clock, "http": backend, "retry": Retry(attempts=2)}
    async with serve(http(200, {}), tls=context) as wire:
        for url in (wire.url, wire.url.replace("https:", "http:")):
            async with OpencastClient(url, auth=AUTHS[auth_name](), **settings) as oc:
                await recorder.run(oc.me)
                await recorder.run_cancelled(oc.me)
        assert wire.requests == []
    Canaries({PASSWORD, JWT, PAIR}).check(recorder, caplog)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_deadline_of_the_caller_shows_no_secret(
    backend: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()

    async def with_deadline(work: Work) -> object:
        async with asyncio.timeout(0.01):
            return await work()

    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        account: dict[str, Any] = {"username": "u", "password": PASSWORD, "tenant": "t"}
        async with (
            PreservicaClient(wire.url, **account, http=backend, clock=clock) as pv,
            OpencastClient(wire.url, auth=("admin", PASSWORD), http=backend, clock=clock) as oc,
        ):
            await recorder.run(lambda: with_deadline(lambda: pv.workflows.get(1)))
            await recorder.run(lambda: with_deadline(lambda: oc.workflows.get(1)))
    assert recorder.errors == 2
    Canaries({PASSWORD, PAIR}).check(recorder, caplog)


@pytest.mark.parametrize("how", ["wants a password", "finds no way", "talks rubbish", "closes the tunnel"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_proxy_that_fails_gets_no_secret_of_the_server_and_no_error_shows_its_own(
    backend: HTTPBackend, how: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    proxy_pair = base64.b64encode(f"proxy-user:{PROXY_PASSWORD}".encode()).decode()
    async with raw_server(FAILING[how]) as proxy:
        url = proxy.url.replace("//", f"//proxy-user:{PROXY_PASSWORD}@")
        settings: dict[str, Any] = {"clock": clock, "http": backend, "retry": Retry(attempts=2), "proxy": url}
        async with OpencastClient("https://oc.example.org", auth=("admin", PASSWORD), **settings) as oc:
            recorder.record(oc)
            await recorder.run(oc.me)
            await recorder.run_cancelled(oc.me)
    Canaries({PASSWORD, PAIR, PROXY_PASSWORD, proxy_pair}).check(recorder, caplog)
    assert recorder.errors > 5


# Rejected arguments

HOST = "https://archive.example.org"
REJECTED: dict[str, Callable[[], object]] = {
    "oc url": lambda: OpencastClient("ftp://x", auth=("admin", PASSWORD)),
    "oc http": lambda: OpencastClient(HOST, auth=("admin", PASSWORD), http=cast("Any", "curl")),
    "oc user": lambda: OpencastClient(HOST, auth=("a:b", PASSWORD)),
    "oc password": lambda: OpencastClient(HOST, auth=("admin", PASSWORD + "\n")),
    "oc no text": lambda: OpencastClient(HOST, auth=cast("Any", ("admin", PASSWORD.encode()))),
    "oc no pair": lambda: OpencastClient(HOST, auth=cast("Any", ("admin", PASSWORD, "more"))),
    "oc role": lambda: OpencastClient(HOST, auth=("admin", PASSWORD), run_with_roles=("A,B",)),
    "oc proxy": lambda: OpencastClient(HOST, auth=("a", "b"), proxy=f"socks5://user:{PASSWORD}@proxy"),
    "oc proxy without a scheme": lambda: OpencastClient(HOST, auth=("a", "b"), proxy=f"user:{PASSWORD}@proxy:3128"),
    "oc proxy without a port": lambda: OpencastClient(HOST, auth=("a", "b"), proxy=f"http://user:{PASSWORD}@proxy:x"),
    "oc proxy password": lambda: OpencastClient(HOST, auth=("a", "b"), proxy=f"http://user:{PASSWORD}%0A@proxy"),
    "pv proxy": lambda: PreservicaClient(HOST, username="u", password="p", proxy=f"https://user:{PASSWORD}@proxy"),
    "client certificate": lambda: TLS(client_cert=cast("Any", ("cert.pem", None, PASSWORD))),
    "missing client certificate": lambda: OpencastClient(
        HOST, auth=("a", "b"), tls=TLS(client_cert=("none.pem", "none.pem", PASSWORD))
    ),
    "oc environment": lambda: OpencastClient.from_env(url="ftp://x", username="admin", password=PASSWORD),
    "oc sync": lambda: OpencastClient.sync("ftp://x", auth=("admin", PASSWORD)),
    "oc sync proxy": lambda: OpencastClient.sync(HOST, auth=("a", "b"), proxy=f"socks5://user:{PASSWORD}@proxy"),
    "oc sync environment": lambda: SyncOpencastClient.from_env(url="ftp://x", username="admin", password=PASSWORD),
    "digest": lambda: Digest("a", PASSWORD + "\n"),
    "basic": lambda: Basic("a:b", PASSWORD),
    "bearer": lambda: Bearer(JWT + "\n"),
    "bearer of": lambda: Bearer.of(JWT + "\n"),
    "pv server": lambda: PreservicaClient("ftp://x", username="u", password=PASSWORD, two_factor=SEED),
    "pv user": lambda: PreservicaClient(HOST, username="", password=PASSWORD, two_factor=SEED),
    "pv password": lambda: PreservicaClient(HOST, username="u", password=PASSWORD + "\n", two_factor=SEED),
    "pv long": lambda: PreservicaClient(HOST, username="u", password=PASSWORD * 1000),
    "pv seed": lambda: PreservicaClient(HOST, username="u", password=PASSWORD, two_factor=SEED + "1"),
    "pv tenant": lambda: PreservicaClient(HOST, username="u", password=PASSWORD, tenant=""),
    "pv shared": lambda: PreservicaClient(HOST, username="u", password=PASSWORD, shared_secret=True),
    "pv sync": lambda: PreservicaClient.sync("ftp://x", username="u", password=PASSWORD, two_factor=SEED),
    "pv sync proxy": lambda: PreservicaClient.sync(
        HOST, username="u", password="p", proxy=f"socks5://user:{PASSWORD}@proxy"
    ),
    "pv environment": lambda: PreservicaClient.from_env(username="", password=PASSWORD, two_factor=SEED, server=HOST),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_rejected_argument_reveals_no_secret(name: str, caplog: pytest.LogCaptureFixture, see: See) -> None:
    recorder = Recorder()
    with pytest.raises(InvalidArgument) as caught:
        REJECTED[name]()
    recorder.texts += [repr(caught.value), str(caught.value), pickled(caught.value), *frames(caught.value)]
    Canaries({PASSWORD, SEED, JWT}).check(recorder, caplog)
    see(f"{len(REJECTED)} rejected arguments: none in any frame but the caller's")


# The recorder detects secrets


def test_a_secret_that_is_recorded_or_logged_is_detected(caplog: pytest.LogCaptureFixture) -> None:
    canaries = Canaries({PASSWORD}, {SESSION})
    for text in (PASSWORD, SESSION):
        with pytest.raises(AssertionError):
            canaries.check(Recorder([text]), caplog)
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete return_value=%r", SESSION)
    canaries.check(Recorder(), caplog)
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete return_value=%r", PASSWORD)
    with pytest.raises(AssertionError):
        canaries.check(Recorder(), caplog)
    caplog.clear()
    logging.getLogger("httpcore.http11").debug("send_request_headers.started %s", SESSION)
    with pytest.raises(AssertionError):
        canaries.check(Recorder(), caplog)
