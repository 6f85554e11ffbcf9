"""The command `check`: reports whether a server can be used, and as whom."""

from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import frozen

from workflow_async.cli.certificates import certificate_text
from workflow_async.cli.columns import Column
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit, code_of, print_error, worst_code
from workflow_async.cli.messages import sentence_of
from workflow_async.cli.replies import offset_text
from workflow_async.cli.systems.checks import Check
from workflow_async.errors import WorkflowAsyncError


@frozen
class Row:
    """The result of one check."""

    check: str
    ok: bool
    text: str


ROWS: Sequence[Column[Row]] = (
    Column("CHECK", lambda row: row.check, 14),
    Column("", lambda row: "ok" if row.ok else "failed", 6),
    Column("", lambda row: row.text),
)


async def check(ctx: CommandContext) -> Exit:
    """Check whether the server can be used: its version, your roles, its clock and its certificate.

    Nothing is changed. The exit code is that of the first error.
    """
    rows: list[Row] = []
    errors: list[WorkflowAsyncError] = []
    with ctx.output.spinner("checking"):
        for each in ctx.system.checks():
            row, error = await _run(each)
            rows.append(row)
            errors += [error] if error is not None else []
            if error is not None and len(rows) == 1:  # without the server nothing else can be checked
                break
        else:
            rows += await _connection(ctx)
    if ctx.output.json:
        for row in rows:
            ctx.output.record(row)
    else:
        ctx.output.rows(ROWS, rows)
    for error in errors:
        print_error(error)
    return worst_code(map(code_of, errors))


async def _run(check: Check) -> tuple[Row, WorkflowAsyncError | None]:
    """Return the result of a check, and its error."""
    try:
        return Row(check.name, ok=True, text=await check.run()), None
    except WorkflowAsyncError as error:
        return Row(check.name, ok=False, text=sentence_of(error)), error


async def _connection(ctx: CommandContext) -> list[Row]:
    """Return what the connection shows: the server's clock and its certificate."""
    certificate = await certificate_text(ctx.system.url, ctx.target, datetime.now(UTC))
    return [
        Row("clock", ok=True, text=offset_text(ctx.target.replies.clock_offset)),
        Row("certificate", ok=True, text=certificate),
    ]
