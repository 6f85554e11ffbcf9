"""Replaces characters that the encoding of an output does not have, such as cp1252, with similar ones."""

import codecs
import io
import sys

HANDLER = "workflow-async"
"""The name of the error handler."""
LOOKALIKES = str.maketrans(
    {
        "\N{FULL BLOCK}": "#",
        "\N{DARK SHADE}": "%",
        "\N{MEDIUM SHADE}": "+",
        "\N{LIGHT SHADE}": ".",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{MIDDLE DOT}": ".",
        "\N{REPLACEMENT CHARACTER}": "?",
        **dict.fromkeys("\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}", "-"),
        **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
        **dict.fromkeys("\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}", '"'),
        **{chr(code): "-=#"[min(2, (code - 0x2581) // 3)] for code in range(0x2581, 0x2588)},  # eighths of a block
        **{chr(code): "#" for code in range(0x2589, 0x2591)},
        **{chr(code): "+" for code in range(0x250C, 0x2580)},  # corners and crossings of lines
        **dict.fromkeys("\N{BOX DRAWINGS LIGHT HORIZONTAL}\N{BOX DRAWINGS HEAVY HORIZONTAL}\u2578\u257a", "-"),
        **dict.fromkeys("\N{BOX DRAWINGS LIGHT VERTICAL}\N{BOX DRAWINGS HEAVY VERTICAL}", "|"),
        **{chr(code): "." for code in range(0x2800, 0x2900)},  # the dots of a spinner
        "\N{RIGHTWARDS ARROW}": ">",
        "\N{LEFTWARDS ARROW}": "<",
    }
)
"""What to draw in place of the characters that the command line draws with."""


def use_lookalikes() -> None:
    r"""Let stdout and stderr carry any text. Letters that they do not have become escapes, such as `\u65e5`."""
    codecs.register_error(HANDLER, replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def replace(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement for characters that cannot be encoded, and the position to go on from."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(LOOKALIKES)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
