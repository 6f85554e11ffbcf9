"""T-SECRET: nothing that is printed, logged, raised, kept or pickled shows a secret, whatever happens to a client."""

import asyncio
import base64
import gzip
import json
import logging
import pickle
import re
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterator
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
from tests.unit.conftest import BORROWED, POOLED, http_argument
from workflow_async import (
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

pytestmark = pytest.mark.figure("T-SECRET")

CARRIERS: tuple[HTTPBackend, ...] = ("httpx", "httpx2", "aiohttp")
TESTS = str(Path(__file__).parent.parent)
PASSWORD, SEED, JWT = "canary-p4ssw0rd", "KNSWG4TFORBWC3TBOJ4Q", "canary.json.webt0ken"
WITH_COOKIES = re.compile(r"httpcore2?\.")
"""Loggers of a carrier that print the headers of answers at DEBUG, and no client can tell them not to."""
Work = Callable[[], Awaitable[object]]


@define
class Ears:
    """Hears whatever a program could come to print."""

    said: list[str] = field(factory=list)
    errors: int = 0

    async def during(self, work: Work) -> None:
        """What comes of it, or how it fails."""
        try:
            found = await work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, it must not tell
            self.errors += 1
            self.said += [repr(error), str(error), repr(vars(error)), *frames(error), pickled(error)]
        else:
            self.said += [repr(found), pickled(found)]

    async def cancelled(self, work: Work, *, again: bool = False) -> None:
        """How it ends when it is cancelled at each of its suspensions, and again as it cleans up."""
        k, last = 0, 1
        while k < last:
            k += 1
            task, last = await suspended(work, k, again=again)
            await self.during(partial(asyncio.wait_for, task, None))

    def look(self, *things: object) -> None:
        """A thing with all that is in it."""
        self.said += [f"{thing!r} {thing} {pickled(thing)}" for thing in things]
        self.said += [text for thing in things for text in fields(thing)]


async def suspended(work: Work, k: int, *, again: bool) -> "tuple[asyncio.Task[object], int]":
    """A task that was cancelled at its k-th suspension, and whether there was one to come."""
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        task.cancel()
        if again:
            loop.call_soon(lambda: loop.call_soon(task.cancel))

    step = SuspensionTrigger(k, cancel)

    async def stepping() -> object:
        async def all_of_it() -> object:
            return await work()

        return await step.run(all_of_it())

    task = asyncio.create_task(stepping())
    await asyncio.wait([task])
    return task, k + 1 if step.count >= k else k


def frames(error: BaseException) -> Iterator[str]:
    """Every frame with its local variables, but those of tests: what a caller's frame holds is the caller's."""
    trace: traceback.TracebackException | None
    queue = [traceback.TracebackException.from_exception(error, capture_locals=True)]
    while queue:
        trace = queue.pop()
        queue += [more for more in (trace.__cause__, trace.__context__, *(trace.exceptions or ())) if more]
        yield from (str(frame.locals) for frame in trace.stack if not frame.filename.startswith(TESTS))
        yield from trace.format_exception_only()


def pickled(thing: object) -> str:
    try:
        return pickle.dumps(thing).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return str(error)


def fields(thing: object, seen: set[int] | None = None) -> Iterator[str]:
    """What `vars` and `attrs.asdict` show of a thing of ours, and of all things of ours in it.

    The standard library's jar of cookies keeps them in attributes of its own.
    """
    seen = set() if seen is None else seen
    if id(thing) in seen or not type(thing).__module__.startswith("workflow_async") or isinstance(thing, CookieJar):
        return
    seen.add(id(thing))
    inner = dict(vars(thing)) if hasattr(thing, "__dict__") else {}
    kind: Any = type(thing)
    if attrs.has(kind):
        yield repr(attrs.asdict(cast("Any", thing)))
        inner |= {one.name: getattr(thing, one.name, None) for one in attrs.fields(kind)}
    yield repr(inner)
    for value in inner.values():
        yield from fields(getattr(value, "__self__", value), seen)


@define
class Canaries:
    """Everything that must not be seen."""

    texts: set[str] = field(factory=set)
    cookies: set[str] = field(factory=set)

    def prove(self, ears: Ears, caplog: pytest.LogCaptureFixture) -> None:
        """None of it was said, and none was logged, but a cookie where the carrier's own logger says so."""
        for text in ears.said:
            assert not [canary for canary in self.texts | self.cookies if canary in text]
        for record in caplog.records:
            line = f"{record.getMessage()} {record.exc_text} {vars(record)!r}"
            exempt = WITH_COOKIES.match(record.name) and "receive_response_headers.complete" in line
            forbidden = self.texts if exempt else self.texts | self.cookies
            assert not [canary for canary in forbidden if canary in line], record.name


@pytest.fixture(autouse=True)
async def loud(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is logged, and the event loop tells of each of its steps."""
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0


@pytest.fixture
def time() -> ManualClock:
    return ManualClock()


@pytest.fixture
def clock(time: ManualClock) -> Clock:
    async def sleep(seconds: float) -> None:
        time.advance(seconds)
        await asyncio.sleep(0)

    return Clock(now=time, sleep=sleep, jitter=lambda: 0.5, wall=time)


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("11", time, two_factor=SEED) as served:
        yield served


# Preservica


@pytest.fixture
def archive(sandbox: Sandbox) -> FakePreservica:
    sandbox.preservica.state.accounts.password = PASSWORD
    return sandbox.preservica


def given(archive: FakePreservica) -> Canaries:
    """The password, the seed, and every token the server gave and every code it got."""
    accounts = archive.state.accounts
    issued = {hash_uuid("token", accounts.seed, number + 1) for number in range(accounts._issued)}
    return Canaries({PASSWORD, SEED, *issued})


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_session_with_a_preservica_tells_no_secret(
    carrier: HTTPBackend,
    archive: FakePreservica,
    clock: Clock,
    time: ManualClock,
    caplog: pytest.LogCaptureFixture,
    see: See,
) -> None:
    ears = Ears()
    account: dict[str, Any] = {"username": archive.username, "password": PASSWORD, "two_factor": SEED, "http": carrier}
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
        for plan in plans():
            archive.faults = plan
            for work in works[:5]:
                await ears.during(work)
            archive.revoke()
            time.advance(1.0)
        archive.faults = Faults()
        await ears.during(works[5])
        for shift in (0.0, 800.0):  # with a token, with one to renew
            time.advance(shift)
            await ears.cancelled(works[2])
            archive.revoke()
            await ears.cancelled(works[2])
        archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=("/api/accesstoken/refresh",))
        time.advance(800.0)
        await ears.during(works[2])
        ears.look(pv, pv._transport, pv.workflows, pv.contexts)
        logins = archive.logins
    canaries = given(archive)
    assert len(canaries.texts) > 20
    canaries.prove(ears, caplog)
    see(
        f"preservica, {carrier}: {len(canaries.texts)} secrets of {logins} logins in none of {len(ears.said)} texts "
        f"({ears.errors} errors) and {len(caplog.records)} log records"
    )


def plans() -> list[Faults]:
    """Nothing, and everything that can go wrong, at the login as elsewhere."""
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
async def test_a_login_that_is_refused_tells_no_secret(
    wrong: dict[str, Any], archive: FakePreservica, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    account: dict[str, Any] = {"username": archive.username, "password": PASSWORD, "two_factor": SEED, "clock": clock}
    ears = Ears()
    async with PreservicaClient(archive.url, **{**account, **wrong}) as pv:
        for _ in range(2):
            await ears.during(lambda: pv.contexts.list().first())
        ears.look(pv, pv._transport)
    assert ears.errors == 2
    canaries = given(archive)
    canaries.texts |= {"canary-wr0ng", "MNQW4YLSPEWTK43FMVSA"}
    canaries.prove(ears, caplog)


# Opencast


@pytest.fixture
def opencast(sandbox: Sandbox) -> FakeOpencast:
    access = sandbox.opencast.state.access
    access.jwt = JWT
    for name in ("admin", "opencast_system_account"):
        access.accounts[name] = evolve(access.accounts[name], password=PASSWORD)
    return sandbox.opencast


WAYS: dict[str, Callable[[], Any]] = {
    "pair": lambda: ("admin", PASSWORD),
    "basic": lambda: Basic("admin", PASSWORD),
    "bearer": lambda: Bearer(JWT),
    "asked": lambda: Bearer(lambda: JWT),
    "digest": lambda: Digest("opencast_system_account", PASSWORD),
}
PAIR = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_session_with_an_opencast_tells_no_secret(
    way: str, carrier: HTTPBackend, opencast: FakeOpencast, clock: Clock, caplog: pytest.LogCaptureFixture, see: See
) -> None:
    ears = Ears()
    ids = opencast.seed(3, definitions=["fast"])
    settings: dict[str, Any] = {"clock": clock, "http": carrier, "run_as_user": "viewer"}
    async with OpencastClient(opencast.url, auth=WAYS[way](), **settings) as oc:
        works: list[Work] = [
            oc.me,
            lambda: oc.workflows.list(limit=2).first(),
            lambda: oc.workflows.get(ids[0]),
            lambda: oc.workflows.get(999_999),
            lambda: oc.workflows.start(opencast.event(), "fast", configuration={"a": "b"}),
            lambda: oc.workflows.wait(ids[0], poll=Poll(interval=5.0)),
        ]
        for plan in plans():
            opencast.faults = plan
            for work in works[:5]:
                await ears.during(work)
        opencast.faults = Faults()
        await ears.during(works[5])
        await ears.cancelled(works[2])
        ears.look(oc, oc._transport, oc.workflows, oc._transport.credential)
    canaries = Canaries({PASSWORD, JWT, PAIR}, set(opencast.sessions))
    assert canaries.cookies
    canaries.prove(ears, caplog)
    see(f"opencast, {way}, {carrier}: none in {len(ears.said)} texts ({ears.errors} errors)")


# Whoever else answers


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
    "a token in a refusal": http(500, b'{"refresh-token": "' + JWT.encode() + b'"}'),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_login_answered_by_anything_tells_no_secret(
    name: str, carrier: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()
    settings: dict[str, Any] = {"clock": clock, "http": carrier, "timeouts": Timeouts(exchange=0.05)}
    async with serve(lambda _: ANSWERS[name]) as wire:
        account: dict[str, Any] = {"username": "u", "password": PASSWORD, "tenant": "t"}
        async with PreservicaClient(wire.url, **account, **settings) as pv:
            for _ in range(2):
                await ears.during(lambda: pv.workflows.start(42))
            ears.look(pv, pv._transport)
    assert ears.errors == 2
    Canaries({PASSWORD, JWT}, {SESSION}).prove(ears, caplog)


PACKED = gzip.compress(b'{"a": "b"}')
WITH_SESSION = {"set_cookie": f"JSESSIONID={SESSION}; Path=/"}
UPSET: dict[str, bytes | RawResponse] = {
    "a record": http(200, b'{"identifier": 7, "state": "running"}', **WITH_SESSION),
    "gzip that is cut": http(200, PACKED[:-9], content_encoding="gzip", **WITH_SESSION),
    "gzip that is none": http(200, f"secret {JWT}".encode(), content_encoding="gzip", **WITH_SESSION),
    "an unknown coding": http(200, b"{}", content_encoding="br", **WITH_SESSION),
    "no JSON": http(200, b'{"token": "' + JWT.encode(), **WITH_SESSION),
    "too much": http(200, b'"' + b" " * 5_000 + JWT.encode() + b'"', **WITH_SESSION),
    "a page": http(200, b"<!doctype html><html></html>", content_type="text/html", **WITH_SESSION),
    "another password": http(401, b"{}", www_authenticate='Digest realm="a", nonce="b", qop="auth"', **WITH_SESSION),
    "an outage": http(503, b"{}", **WITH_SESSION),
    "half a body": RawResponse(http(200, b"{}", **WITH_SESSION)[:-1], "fin"),
    "half a body and a reset": RawResponse(http(200, b"{}", **WITH_SESSION)[:-1], "rst"),
    "a bad header": RawResponse(f"HTTP/1.1 200 OK\r\nset-cookie : a={SESSION}\r\n\r\n".encode(), "fin"),
}
"""Answers in the middle of which a call is cancelled; each but the last sets a session."""


def answering(upset: bytes | RawResponse) -> Callable[[ReceivedRequest], bytes | RawResponse]:
    """Grant a login, and answer everything else so."""
    grant = http(200, json.dumps({"success": True, "token": JWT, "validFor": 15}).encode(), **WITH_SESSION)
    return lambda seen: grant if seen.target.startswith(LOGIN) else upset


def fresh(system: str, way: str, url: str, settings: dict[str, Any]) -> Work:
    """A get by a client of its own, with its login."""

    async def work() -> object:
        if system == "opencast":
            async with OpencastClient(url, auth=WAYS[way](), **settings) as oc:
                return await oc.workflows.get(7)
        async with PreservicaClient(url, username="u", password=PASSWORD, tenant="t", **settings) as pv:
            return await pv.workflows.get(7)

    return work


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("name", "system", "way", "again"),
    [
        *((name, "opencast", "pair", True) for name in (*POOLED, *BORROWED)),
        *((name, "preservica", "", True) for name in (*POOLED, *BORROWED)),
        ("httpx", "opencast", "digest", True),
        ("httpx", "opencast", "pair", False),
        ("httpx", "preservica", "", False),
    ],
)
async def test_cancelled_at_every_step_no_exception_nor_what_led_to_it_holds_a_secret(
    name: str,
    system: str,
    way: str,
    again: bool,  # noqa: FBT001 - a case
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    see: See,
) -> None:
    asyncio.get_running_loop().set_debug(False)
    caplog.set_level(logging.INFO)  # what httpcore logs of its steps is not ours, and is heard above
    ears = Ears()
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"clock": clock, "retry": Retry(attempts=2), "limits": Limits(body=4096)}
        settings["http"] = await http_argument(name, stack)
        wire = await stack.enter_async_context(serve(b""))
        for upset in UPSET.values():
            wire.respond = answering(upset)
            await ears.cancelled(fresh(system, way, wire.url.replace("127.0.0.1", "localhost"), settings), again=again)
    Canaries({PASSWORD, JWT, PAIR}, {SESSION}).prove(ears, caplog)
    assert ears.errors > 40
    see(f"{name}: {ears.errors} calls of {system} cancelled at every step, once and twice: none in any frame")


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("way", WAYS)
async def test_an_opencast_that_cannot_be_trusted_or_reached_is_told_no_secret_and_tells_none(
    way: str, carrier: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    settings: dict[str, Any] = {"clock": clock, "http": carrier, "retry": Retry(attempts=2)}
    async with serve(http(200, {}), tls=context) as wire:
        for url in (wire.url, wire.url.replace("https:", "http:")):
            async with OpencastClient(url, auth=WAYS[way](), **settings) as oc:
                await ears.during(oc.me)
                await ears.cancelled(oc.me)
        assert wire.requests == []
    Canaries({PASSWORD, JWT, PAIR}).prove(ears, caplog)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_deadline_of_the_callers_tells_no_secret(
    carrier: HTTPBackend, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()

    async def hurried(work: Work) -> object:
        async with asyncio.timeout(0.01):
            return await work()

    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        account: dict[str, Any] = {"username": "u", "password": PASSWORD, "tenant": "t"}
        async with (
            PreservicaClient(wire.url, **account, http=carrier, clock=clock) as pv,
            OpencastClient(wire.url, auth=("admin", PASSWORD), http=carrier, clock=clock) as oc,
        ):
            await ears.during(lambda: hurried(lambda: pv.workflows.get(1)))
            await ears.during(lambda: hurried(lambda: oc.workflows.get(1)))
    assert ears.errors == 2
    Canaries({PASSWORD, PAIR}).prove(ears, caplog)


# Arguments that are refused

HOST = "https://archive.example.org"
REFUSED: dict[str, Callable[[], object]] = {
    "oc url": lambda: OpencastClient("ftp://x", auth=("admin", PASSWORD)),
    "oc http": lambda: OpencastClient(HOST, auth=("admin", PASSWORD), http=cast("Any", "curl")),
    "oc user": lambda: OpencastClient(HOST, auth=("a:b", PASSWORD)),
    "oc password": lambda: OpencastClient(HOST, auth=("admin", PASSWORD + "\n")),
    "oc no text": lambda: OpencastClient(HOST, auth=cast("Any", ("admin", PASSWORD.encode()))),
    "oc no pair": lambda: OpencastClient(HOST, auth=cast("Any", ("admin", PASSWORD, "more"))),
    "oc role": lambda: OpencastClient(HOST, auth=("admin", PASSWORD), run_with_roles=("A,B",)),
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
    "pv environment": lambda: PreservicaClient.from_env(username="", password=PASSWORD, two_factor=SEED, server=HOST),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_is_refused_gives_no_secret_away(
    name: str, caplog: pytest.LogCaptureFixture, see: See
) -> None:
    ears = Ears()
    with pytest.raises(InvalidArgument) as caught:
        REFUSED[name]()
    ears.said += [repr(caught.value), str(caught.value), pickled(caught.value), *frames(caught.value)]
    Canaries({PASSWORD, SEED, JWT}).prove(ears, caplog)
    see(f"{len(REFUSED)} refused arguments: none in any frame but the caller's")


# What hears must have ears


def test_a_secret_that_is_said_or_logged_is_found(caplog: pytest.LogCaptureFixture) -> None:
    canaries = Canaries({PASSWORD}, {SESSION})
    for said in (PASSWORD, SESSION):
        with pytest.raises(AssertionError):
            canaries.prove(Ears([said]), caplog)
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete return_value=%r", SESSION)
    canaries.prove(Ears(), caplog)
    logging.getLogger("httpcore.http11").debug("receive_response_headers.complete return_value=%r", PASSWORD)
    with pytest.raises(AssertionError):
        canaries.prove(Ears(), caplog)
    caplog.clear()
    logging.getLogger("httpcore.http11").debug("send_request_headers.started %s", SESSION)
    with pytest.raises(AssertionError):
        canaries.prove(Ears(), caplog)
