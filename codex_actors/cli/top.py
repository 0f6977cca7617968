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
    failure: Exception | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGWINCH) as signals:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    if number == signal.SIGINT:
                        nursery.cancel_scope.cancel()
                    else:
                        watch.display.redraw()

            nursery.start_soon(listen)
            nursery.start_soon(_wait_for_q, nursery.cancel_scope.cancel)
            try:
                await watch.run()
            except Exception as error:  # noqa: BLE001 - raised again, out of the nursery
                failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _wait_for_q(leave: Callable[[], object]) -> None:
    if not (sys.stdin and sys.stdin.isatty() and is_live(sys.stdout)):
        return
    keyboard = sys.stdin.fileno()
    with _one_key_at_a_time(keyboard):
        while True:
            await trio.lowlevel.wait_readable(keyboard)
            keys = os.read(keyboard, 64)
            if not keys or b"q" in keys.lower():
                leave()
                return


@contextmanager
def _one_key_at_a_time(keyboard: int) -> Generator[None]:
    """Have keys arrive as they are pressed, unseen."""
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
