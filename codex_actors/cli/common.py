"""What all verbs share: their common options, and how they run against the files."""

import math
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import outcome
import trio
from cyclopts import Parameter, Token

from codex_actors.cli.errors import Terminated
from codex_actors.files import Files, FilesConfig, open_files

T = TypeVar("T")


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    """A time on the command line: seconds, or a number with s, m, h or d, or "inf"."""
    text = tokens[0].value
    scale = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:].lower())
    try:
        value = float(text[:-1]) * scale if scale is not None else float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError(f"{text!r} is not a time: give seconds, 90m, 12h, 7d or inf")
    return value


Seconds = Annotated[float, Parameter(converter=_seconds, allow_leading_hyphen=True)]
StagingDir = Annotated[
    str | None,
    Parameter(
        name="--staging-dir",
        help="Where staged files are kept. [default: $CODEX_ACTORS_STAGING_DIR, "
        "or _build/codex_files]",
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", negative="", help="Print one JSON document for programs.")
]


def with_files(staging_dir: str | None, work: Callable[[Files], Awaitable[T]]) -> T:
    """Open the files tree, do the work, close the tree; blocks.

    Raises:
        Terminated: a signal ended the work; the tree was closed all the same.
        FilesError: the files could not be opened, or what the work raised.
    """
    return trio.run(_until_terminated, staging_dir, work)


async def _until_terminated(staging_dir: str | None, work: Callable[[Files], Awaitable[T]]) -> T:
    """Work to the end, or until a SIGTERM or SIGHUP cancels it.

    What is cancelled is the work, inside the tree: it gives its leases back to a registry
    that is still there, then the tree stops in order.
    """
    received: list[int] = []
    results: list[outcome.Maybe[T]] = []
    working = trio.CancelScope()

    async def main() -> None:
        async with open_files(FilesConfig(staging_dir=staging_dir)) as files:
            with working:
                results.append(await _capture(work(files)))

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    received.append(number)
                    working.cancel()

            nursery.start_soon(listen)
            opened = await _capture(main())
            nursery.cancel_scope.cancel()
    opened.unwrap()
    if results:
        return results[0].unwrap()
    raise Terminated(received[0])


async def _capture(work: Awaitable[T]) -> outcome.Maybe[T]:
    """The result as a value, so that no nursery wraps its error; cancellations pass."""
    try:
        return outcome.Value(await work)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again by who unwraps
        return outcome.Error(error)
