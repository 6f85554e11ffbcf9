"""Files with secrets: other users must not be able to read them."""

import os
from pathlib import Path

import pytest

from workflow_async._core.private_file import check_private
from workflow_async.errors import InvalidArgument

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


def made(path: Path, mode: int) -> Path:
    path.write_text("secret")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_passes(tmp_path: Path, mode: int) -> None:
    with made(tmp_path / "token", mode).open() as file:
        check_private(file, "token_store", tmp_path / "token", holds="token")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = made(tmp_path / "my token", mode)
    with path.open() as file, pytest.raises(InvalidArgument) as caught:
        check_private(file, "token_store", path, holds="token")
    assert str(caught.value) == f"token_store: other users can read the token in it. Run: chmod 600 '{path}'"


def test_the_open_file_is_checked_and_not_the_path(tmp_path: Path) -> None:
    path = made(tmp_path / "token", 0o644)
    with path.open() as file:
        path.unlink()
        made(path, 0o600)
        with pytest.raises(InvalidArgument):
            check_private(file, "token_store", path, holds="token")
