"""Printing what comes while it comes: for the verbs that go on until they are ended.

A reader that is slow, or has stopped reading, holds up only what is printed: signals are heard.
"""

import json
import os
import select
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, final

import trio
from rich.text import Text

from codex_actors._background import open_background
from codex_actors.cli.output import SCHEMA, console
from codex_actors.control.messages import Request
from codex_actors.control.session import Session

Note = dict[str, Any]

_KEPT = 10_000


async def write_out(text: str) -> None:
    """Write to stdout, now, without blocking signals: a pipe may be full.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    sys.stdout.flush()
    stream = sys.stdout.fileno()
    left = memoryview(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    while left:
        with suppress(OSError):  # a file on disk is always ready, and cannot be waited for
            await trio.lowlevel.wait_writable(stream)
        # What a pipe that is ready takes without blocking.
        left = left[os.write(stream, left[: select.PIPE_BUF]) :]


def json_line(document: dict[str, Any]) -> str:
    """Return one document as one line."""
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False) + "\n"


def styled(line: Text) -> str:
    """Return a line as it is sent to stdout."""
    out = console()
    with out.capture() as captured:
        out.print(line, soft_wrap=True)
    return captured.get()


async def follow(session: Session, request: Request, form: Callable[[Note], str]) -> dict[str, Any]:
    """Ask, and write what is told until the answer comes; return the answer.

    Args:
        session: whom.
        request: what.
        form: makes a note the text that is written.

    Raises:
        BrokenPipeError: nobody reads any more.
        Unreachable, RequestFailed: as `Session.request`.
    """
    unwritten = _Unwritten()
    outcome: list[dict[str, Any] | Exception] = []

    async def listen() -> None:
        try:
            outcome.append(await session.request(request, on_note=unwritten.add))
        except Exception as error:  # noqa: BLE001 - raised again, out of the nursery
            outcome.append(error)
        unwritten.end()

    async with open_background() as nursery:
        nursery.start_soon(listen)
        while notes := await unwritten.take():
            await write_out("".join(map(form, notes)))
    (result,) = outcome
    if isinstance(result, Exception):
        raise result
    return result


@final
class _Unwritten:
    """What has been told and is not written yet: bounded, what is too much is counted."""

    def __init__(self) -> None:
        self._notes: deque[Note] = deque()
        self._missed = 0
        self._ended = False
        self._changed = trio.Event()

    def add(self, note: Note) -> None:
        """Take one; the oldest gives way."""
        if len(self._notes) == _KEPT:
            self._missed += 1 + self._notes.popleft().get("missed", 0)
        self._notes.append(note)
        self._changed.set()

    def end(self) -> None:
        """There will be no more."""
        self._ended = True
        self._changed.set()

    async def take(self) -> list[Note]:
        """Wait for some; none means that there will be no more."""
        while not self._notes and not self._ended:
            self._changed = trio.Event()
            await self._changed.wait()
        notes = list(self._notes)
        self._notes.clear()
        if self._missed and notes:
            notes[0] = {**notes[0], "missed": notes[0].get("missed", 0) + self._missed}
            self._missed = 0
        return notes
