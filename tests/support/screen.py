"""What a terminal shows after a text with control sequences was written to it."""

import re

from attrs import define, field

TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


@define
class Screen:
    """A terminal that wraps no line. It knows the control sequences that rich writes."""

    rows: list[str] = field(factory=lambda: [""])
    shown: set[str] = field(factory=set)
    """Every line that was ever shown."""
    _row: int = 0
    _column: int = 0

    def write(self, text: str) -> None:
        """Show a text."""
        for argument, letter, back, down, piece in TOKEN.findall(text):
            if back or down:
                self._column = 0
                self._move(1 if down else 0)
            elif letter:
                self._control(argument, letter)
            else:
                self._put(piece)

    def _control(self, argument: str, letter: str) -> None:
        if letter == "A":
            self._move(-int(argument or 1))
        elif letter == "K":
            self.rows[self._row] = ""

    def _move(self, by: int) -> None:
        self._row = max(0, self._row + by)
        if self._row == len(self.rows):
            self.rows.append("")

    def _put(self, piece: str) -> None:
        line = self.rows[self._row].ljust(self._column)
        self.rows[self._row] = line[: self._column] + piece + line[self._column + len(piece) :]
        self._column += len(piece)
        self.shown.add(self.rows[self._row].rstrip())

    @property
    def lines(self) -> list[str]:
        """The lines that are left, without empty ones at the end."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip().splitlines()


def screen_after(text: str) -> Screen:
    """Return the screen of a terminal to which a text was written."""
    screen = Screen()
    screen.write(text)
    return screen
