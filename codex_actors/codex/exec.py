"""Owns one turn of `codex exec`, from the leases to the exit of the process.

Invariant: every attachment is leased and checked before codex starts, and stays leased until codex
has exited; then the links go, then the leases. Must not know how files are stored.
"""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, TYPE_CHECKING, final

import trio

from codex_actors.codex.arguments import (
    check_prompt,
    check_thread_id,
    check_timeout,
    exec_arguments,
    goes_by_stdin,
)
from codex_actors.codex.binary import find_codex
from codex_actors.codex.delivery import Leaser, OpenDelivery, open_delivery
from codex_actors.codex.errors import CodexError, DeliveryError, TurnTimeout
from codex_actors.codex.events import Event, NotAnEvent, TurnCompleted, TurnFailed, parse_event
from codex_actors.codex.lines import LineTooLong, Tail
from codex_actors.codex.process import STDERR_KEPT, CodexProcess, open_codex_process
from codex_actors.codex.redact import redactor
from codex_actors.codex.result import TurnResult, turn_result
from codex_actors.codex.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from codex_actors.codex.options import ThreadOptions

__all__ = ["TurnEvents", "exec_turn", "open_exec_turn"]

STDERR_SHOWN = 4_000
EXCERPT = 200


async def exec_turn(
    prompt: str,
    options: ThreadOptions,
    *,
    files: Leaser,
    timeout: float | None = None,
    resume: str | None = None,
) -> TurnResult:
    """Run one turn of `codex exec` to its end, in a new thread or in that of an earlier turn.

    To `resume`, give the `thread_id` of an earlier result; a turn with `ephemeral` leaves none.

    Images are sent as images; other attachments are named in the prompt with a path that the agent
    can read while the turn runs. Without a reachable model codex tries for ever: give a `timeout`
    (seconds, for everything from the leases to the exit of codex).

    Cancellation ends codex and all that it started (SIGTERM, SIGKILL after a few seconds) before
    it is passed on.

    Raises:
        InvalidTimeout: `timeout` is not positive. Raised before anything else is looked at.
        InvalidPrompt: The prompt is empty, has a NUL, or is not valid Unicode; or `resume` cannot
            be the id of a thread.
        DeliveryError: An attachment would not arrive; nothing was started.
        CodexNotFound: There is no codex executable.
        TurnTimeout: The turn took longer than `timeout`.
        CodexError: The turn failed, or codex did.
    """
    async with open_exec_turn(
        prompt, options, files=files, timeout=timeout, resume=resume
    ) as events:
        return turn_result([event async for event in events])


@asynccontextmanager
async def open_exec_turn(
    prompt: str,
    options: ThreadOptions,
    *,
    files: Leaser,
    timeout: float | None = None,
    resume: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncGenerator[TurnEvents]:
    """Start one turn of `codex exec`, and iterate over its events as they come.

    Leaving the block before the events have ended ends codex. A `timeout` that passes cancels the
    block. `environ` is what codex inherits in place of this process's environment, for who runs a
    turn for another process; `options.env` is set on top of it. See `exec_turn` for the rest.

    Raises:
        InvalidTimeout, InvalidPrompt, DeliveryError, CodexNotFound, CodexError: When entering.
        CodexError: From the iteration, when the turn fails.
        TurnTimeout: When the block is left because `timeout` has passed.
    """
    seconds = check_timeout(timeout)
    check_prompt(prompt)
    check_thread_id(resume)
    tail = Tail(size=STDERR_KEPT)
    inherited = os.environ if environ is None else environ
    redact = redactor(options.env or {}, inherited)
    environ = {**inherited, **(options.env or {})}
    with trio.move_on_after(seconds) as scope:
        async with _open_turn(
            prompt, options, resume, files=files, tail=tail, redact=redact, environ=environ
        ) as events:
            yield events
    if scope.cancelled_caught:
        raise TurnTimeout(
            f"the codex turn took longer than {timeout:g} s and was ended: is the model reachable?",
            stderr=redact(tail.text())[-STDERR_SHOWN:],
        )


@final
class TurnEvents:
    """The events of a running turn, in order; for one task. Obtained from `open_exec_turn`."""

    def __init__(self, process: CodexProcess, tail: Tail, redact: Callable[[str], str]) -> None:
        self._process = process
        self._tail = tail
        self._redact = redact
        self._completed = False
        self._failure: str | None = None
        self._over = False

    def __aiter__(self) -> TurnEvents:
        return self

    async def __anext__(self) -> Event:
        """Return the next event.

        Raises:
            CodexError: The turn failed, codex failed, or it printed what is no event.
        """
        while not self._over:
            try:
                line = await self._process.stdout.next_line()
            except LineTooLong as error:
                raise self._error(f"codex printed {error}") from error
            if line is None:
                self._over = True
                await self._check_end()
            elif line.strip():
                return self._read(line)
        raise StopAsyncIteration

    def _read(self, line: bytes) -> Event:
        try:
            event = parse_event(line)
        except NotAnEvent as error:
            # Redacted before it is cut: a cut secret would not be recognised.
            shown = self._redact(line.decode(errors="replace"))[:EXCERPT]
            raise self._error(
                f"codex printed a line that is no event ({error}): {shown!r}. Is it codex?"
            ) from error
        match event:
            case TurnCompleted():
                self._completed = True
            case TurnFailed(message):
                self._failure = message
            case _:
                pass
        return event

    async def _check_end(self) -> None:
        status = await self._process.wait()
        if self._failure is not None:
            message = f"the codex turn failed: {self._redact(self._failure)}"
        elif status < 0:
            message = f"codex was killed by signal {-status} ({signal.strsignal(-status)})"
        elif status > 0:
            message = f"codex exited with status {status}"
        elif not self._completed:
            message = "codex exited with status 0 without having completed the turn"
        else:
            return
        raise self._error(message, status)

    def _error(self, message: str, status: int | None = None) -> CodexError:
        stderr = self._redact(self._tail.text())[-STDERR_SHOWN:]
        return CodexError(message, exit_code=status, stderr=stderr)


@asynccontextmanager
async def _open_turn(
    prompt: str,
    options: ThreadOptions,
    resume: str | None,
    *,
    files: Leaser,
    tail: Tail,
    redact: Callable[[str], str],
    environ: Mapping[str, str],
) -> AsyncGenerator[TurnEvents]:
    async with AsyncExitStack() as stack:
        delivery = await stack.enter_async_context(open_delivery(options.attachments, files))
        _check_detail(options, delivery)
        binary = await trio.to_thread.run_sync(
            lambda: find_codex(options.codex_path, environ=environ)
        )
        text = delivery.prompt(prompt)
        stdin = None
        if goes_by_stdin(text):
            stdin = stack.enter_context(
                await trio.to_thread.run_sync(_prompt_file, delivery.directory / "prompt", text)
            )
        try:
            process = await stack.enter_async_context(
                open_codex_process(
                    [str(binary), *exec_arguments(options, delivery.images(), text, resume)],
                    env=environ,
                    cwd=options.cwd,
                    stdin=stdin,
                    tail=tail,
                )
            )
        except OSError as error:
            raise CodexError(f"codex could not be started: {error}") from error
        yield TurnEvents(process, tail, redact)


def _check_detail(options: ThreadOptions, delivery: OpenDelivery) -> None:
    if options.image_detail == "original":
        for planned in delivery.deliveries:
            if planned.route is Route.IMAGE:
                raise DeliveryError(
                    planned.attachment,
                    "codex exec sends images with detail high, not original: drop image_detail",
                )


def _prompt_file(path: Path, text: str) -> IO[bytes]:
    path.write_text(text, encoding="utf-8", newline="")
    return path.open("rb")
