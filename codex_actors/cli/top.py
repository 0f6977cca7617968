"""The verb `top`: the actors as they work, drawn again and again."""

import math
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from typing import Annotated, Any, final

import trio
from cyclopts import Parameter

from codex_actors._background import open_background
from codex_actors.cli.common import NO_OPTIONS, Common, Seconds
from codex_actors.cli.errors import UsageError
from codex_actors.cli.output import is_live
from codex_actors.cli.session import PATIENCE, Connect, with_connections
from codex_actors.cli.top_displays import Display, display_for
from codex_actors.cli.top_frame import Meter
from codex_actors.control.errors import NotRunning, RequestFailed, Unreachable
from codex_actors.control.messages import Status, Tree
from codex_actors.control.session import Session

_LEAST = 0.05
_HEARD = (signal.SIGINT, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


def top(
    *,
    interval: Seconds = 1.0,
    count: Annotated[int | None, Parameter(name=("--count", "-n"), metavar="COUNT")] = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Watch actors; the parameters as `top --help` shows them.

    Parameters
    ----------
    interval
        The time from one picture to the next. [default: 1s]
    count
        How many pictures; without an end otherwise.
    """
    if not _LEAST <= interval < math.inf:
        raise UsageError(f"--interval: give at least {_LEAST:g} seconds")
    if count is not None and count < 1:
        raise UsageError(f"--count: {count} is less than 1")
    settings = common.load()

    async def work(connect: Connect) -> None:
        with closing(display_for(as_json=common.as_json)) as display:
            await _until_quit(_Watch(connect, interval, count, display))

    with_connections(settings, work)
    return 0


@final
class _Watch:
    """Looks, and looks again."""

    def __init__(
        self, connect: Connect, interval: float, count: int | None, display: Display
    ) -> None:
        self.display = display
        self._connect = connect
        self._interval = interval
        self._count = count
        self._shown = 0
        self._meter = Meter()

    async def run(self) -> None:
        """Show as many frames as are wanted; one supervisor after the other."""
        while True:
            try:
                async with self._connect() as session:
                    await self._look(session)
                    while self._shown != self._count:
                        await trio.sleep(self._interval)
                        await self._look(session)
                    return
            except (NotRunning, Unreachable):
                if not self._shown:
                    raise
            self.display.wait()
            await trio.sleep(min(self._interval, 1.0))

    async def _look(self, session: Session) -> None:
        """Show one frame."""
        process = await session.request(Status(), timeout=PATIENCE)
        tree: dict[str, Any] | None = None
        with suppress(RequestFailed):  # there is none yet, or none any more
            tree = await session.request(Tree(), timeout=PATIENCE)
        await self.display.show(self._meter.frame(process, tree, trio.current_time()))
        self._shown += 1


async def _until_quit(watch: _Watch) -> None:
    """Watch to the end, or until `q` or Ctrl-C."""
    with _keyboard() as keyboard, trio.open_signal_receiver(*_HEARD) as signals:
        async with open_background() as nursery:

            async def listen() -> None:
                async for number in signals:
                    if number == signal.SIGINT:
                        nursery.cancel_scope.cancel()
                    elif number == signal.SIGTSTP:
                        # The shell gets its terminal as it was; SIGCONT says that it is ours again.
                        watch.display.close()
                        keyboard.give_back()
                        os.kill(os.getpid(), signal.SIGSTOP)
                    else:
                        keyboard.take()
                        watch.display.redraw()

            nursery.start_soon(listen)
            nursery.start_soon(keyboard.wait_for_q, nursery.cancel_scope.cancel)
            await watch.run()


@contextmanager
def _keyboard() -> Generator["_Keyboard"]:
    """Have keys arrive as they are pressed, unseen, for the time of the block."""
    there = sys.stdin and sys.stdin.isatty() and is_live(sys.stdout)
    keyboard = _Keyboard(sys.stdin.fileno() if there else None)
    keyboard.take()
    try:
        yield keyboard
    finally:
        keyboard.give_back()


@final
class _Keyboard:
    """The keys of the terminal, if there is one."""

    def __init__(self, stream: int | None) -> None:
        self._stream = stream
        self._before = None if stream is None else termios.tcgetattr(stream)

    def take(self) -> None:
        """Have each key arrive when it is pressed, unseen."""
        if self._stream is not None:
            tty.setcbreak(self._stream)

    def give_back(self) -> None:
        """Have the terminal as it was."""
        if self._stream is not None and self._before is not None:
            termios.tcsetattr(self._stream, termios.TCSANOW, self._before)

    async def wait_for_q(self, leave: Callable[[], object]) -> None:
        """Call `leave` when q is pressed, or nobody will ever press a key."""
        if self._stream is None:
            return
        while True:
            await trio.lowlevel.wait_readable(self._stream)
            keys = os.read(self._stream, 64)
            if not keys or b"q" in keys.lower():
                leave()
                return
