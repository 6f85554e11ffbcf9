"""Tokens that are kept between processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from workflow_async import Clock
from workflow_async._core.auth import Secret
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import FileTokenStore, PreservicaClient
from workflow_async.preservica.token_store import StoredToken, dump_token, load_token
from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.systems import FakePreservica

Connect = Callable[..., PreservicaClient]


def logins(archive: FakePreservica) -> list[str]:
    return [one.path.rpartition("/")[2] for one in archive.requests if "accesstoken" in one.path]


async def use(connect: Connect, **settings: Any) -> None:
    async with connect(**settings) as pv:
        await pv.contexts.list(type="Access").first()


@define
class Remote:
    """An asynchronous store."""

    kept: list[str] = field(factory=list)

    async def load(self) -> str | None:
        return self.kept[-1] if self.kept else None

    async def save(self, text: str) -> None:
        self.kept.append(text)


async def test_a_second_process_uses_the_token_of_the_first(
    connect: Connect, archive: FakePreservica, tmp_path: Path
) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    for _ in range(3):
        await use(connect, token_store=store)
    assert logins(archive) == ["login"]


async def test_a_store_may_be_asynchronous(connect: Connect, archive: FakePreservica) -> None:
    store = Remote()
    for _ in range(3):
        await use(connect, token_store=store)
    assert logins(archive) == ["login"]
    assert len(store.kept) == 1


async def test_a_stored_token_that_was_revoked_is_replaced_and_stored_again(
    connect: Connect, archive: FakePreservica
) -> None:
    store = Remote()
    await use(connect, token_store=store)
    archive.revoke()
    await use(connect, token_store=store)
    await use(connect, token_store=store)
    assert logins(archive) == ["login", "login"]
    assert len(store.kept) == 2


async def test_an_expired_stored_token_is_not_sent(
    connect: Connect, archive: FakePreservica, time: ManualClock
) -> None:
    store = Remote()
    await use(connect, token_store=store)
    time.advance(841)  # of 900 seconds
    await use(connect, token_store=store)
    assert logins(archive) == ["login", "login"]
    assert 401 not in [one.status for one in archive.requests]


async def test_a_renewed_token_is_stored_too(connect: Connect, archive: FakePreservica, time: ManualClock) -> None:
    store = Remote()
    async with connect(token_store=store) as pv:
        await pv.contexts.list().first()
        time.advance(730)
        await pv.contexts.list().first()
    assert logins(archive) == ["login", "refresh"]
    assert len(store.kept) == 2


async def test_the_token_of_another_user_is_not_used(connect: Connect, archive: FakePreservica, clock: Clock) -> None:
    store = Remote()
    await use(connect, token_store=store)
    other = PreservicaClient(
        archive.url, username=archive.username, password=archive.password, clock=clock, token_store=store
    )
    async with other as pv:
        await pv.contexts.list().first()
    assert logins(archive) == ["login", "login"]


def test_the_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    assert store.load() is None
    store.save("first")
    store.save("second")
    assert store.load() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["token.json"]
    assert (tmp_path / "token.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "token.json")
    store.save("text")
    (tmp_path / "token.json").chmod(0o640)
    with pytest.raises(InvalidArgument, match="other users can read the token in it. Run: chmod 600"):
        store.load()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        FileTokenStore(tmp_path / "token.json").save("text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [("missing/token.json", "needs a folder that this user can write to:"), (".", "cannot be read, Is a directory:")],
)
async def test_a_file_that_cannot_be_used_is_refused_before_the_login(
    path: str, why: str, connect: Connect, archive: FakePreservica, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgument, match=f"^token_store: {why} '{tmp_path}"):
        await use(connect, token_store=FileTokenStore(tmp_path / path))
    assert logins(archive) == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who can write anywhere
    with pytest.raises(InvalidArgument, match="needs a folder that this user can write to"):
        FileTokenStore(tmp_path / "token.json").load()


class FullStore:
    """A store that cannot save."""

    def load(self) -> str | None:
        return None

    def save(self, text: str) -> None:
        raise OSError(text)


async def test_a_token_that_cannot_be_saved_is_used_and_the_failure_is_logged(
    connect: Connect, archive: FakePreservica, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(token_store=FullStore()) as pv:
        for _ in range(3):
            await pv.contexts.list(type="Access").first()
    assert logins(archive) == ["login"]
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert messages == ["the token was not saved, so the next process logs in again"]


def test_a_file_that_is_not_text_has_no_token(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    assert FileTokenStore(path).load() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"token": 7, "expires_at": 1.0}',
        '{"token": "tok"}',
        '{"token": "tok", "expires_at": true}',
        '{"token": "a\\nb", "expires_at": 1.0}',
        "\ud800",
    ],
)
def test_a_text_without_a_token_is_none(text: str) -> None:
    assert load_token(Secret(text)) is None


@pytest.mark.parametrize("refresh", [None, Secret("r-1")])
def test_a_token_survives_dump_and_load(refresh: Secret | None) -> None:
    stored = StoredToken("me TEN https://pv", Secret("tok-1"), 1234.5, refresh)
    assert load_token(Secret(dump_token(stored))) == stored
    assert "tok-1" not in repr(stored)
