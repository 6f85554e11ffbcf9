"""What stderr cannot take is lost."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_async.cli.remark_stream import RemarkStream


class Full:
    """A stream on a disk that is full, until its file is replaced."""

    encoding = "utf-8"

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Return the number of its file."""
        return self._number

    def write(self, text: str) -> int:
        """Raise an error."""
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        """Raise an error."""
        raise OSError(28, "No space left on device")


def write(remarks: RemarkStream) -> None:
    assert remarks.write("12345") == 5


@pytest.mark.parametrize("use", [write, RemarkStream.flush])
def test_a_stream_that_takes_nothing_is_replaced_by_one_that_takes_all(
    tmp_path: Path, use: Callable[[RemarkStream], None]
) -> None:
    with (tmp_path / "err").open("w") as file:
        full: Any = Full(file.fileno())
        remarks = RemarkStream(full)
        use(remarks)
        assert os.fstat(file.fileno()).st_rdev == Path(os.devnull).stat().st_rdev
        assert remarks.encoding == "utf-8"
