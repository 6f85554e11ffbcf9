"""A prompt with top-level `await`, like `python -m asyncio`. That of Python 3.13.0 takes no blocks from a pipe."""

import ast
import asyncio
import builtins
import code
import inspect
import types
from typing import Any


class Prompt(code.InteractiveConsole):
    """Runs each statement in the same event loop."""

    def __init__(self, runner: asyncio.Runner) -> None:
        super().__init__({"__name__": "__main__", "__builtins__": builtins, "asyncio": asyncio})
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.runner = runner

    def runcode(self, code: types.CodeType) -> None:
        """Run a statement. Print the traceback of an exception."""
        try:
            self.runner.run(self._statement(code))
        except SystemExit:
            raise
        except BaseException:  # noqa: BLE001 - as at any prompt
            self.showtraceback()

    async def _statement(self, code: types.CodeType) -> None:
        result: Any = types.FunctionType(code, self.locals)()
        if inspect.iscoroutine(result):
            await result


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        Prompt(runner).interact(banner="", exitmsg="")
