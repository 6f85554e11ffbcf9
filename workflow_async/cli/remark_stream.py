"""Writes to stderr what is no data, such as progress, and goes on if nothing can be written there."""

from typing import Any, TextIO

from attrs import frozen

from workflow_async.cli.exit_codes import discard_output


@frozen
class RemarkStream:
    """Stderr, for what is no data. What cannot be written there is lost, and the command goes on."""

    _stream: TextIO

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return self._stream.write(text)
        except OSError:
            discard_output(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        try:
            self._stream.flush()
        except OSError:
            discard_output(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
