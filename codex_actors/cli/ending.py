"""What `drain` and `shutdown` share: asking for the end, and waiting until it has come."""

import sys
from collections.abc import Callable
from typing import Any

import trio
from attrs import define
from rich.text import Text

from codex_actors.cli.common import Common
from codex_actors.cli.output import is_live, notice, print_json, print_lines, status
from codex_actors.cli.session import PATIENCE, Connect, with_connections
from codex_actors.control.errors import NotRunning, RequestFailed, Unreachable
from codex_actors.control.messages import Hello, Request, Status
from codex_actors.telemetry.text import duration, one_line

_LOOK_EVERY = 0.25
_TELL_EVERY = 5.0


def end(request: Request, common: Common, *, wait: bool) -> int:
    """Ask the supervisor to end, and wait until it has gone; blocks.

    Args:
        request: how it is to end.
        common: how to tell.
        wait: for its end; else only for its promise.

    Raises:
        NotRunning: there is none.
        Unreachable: it does not answer.
    """

    async def work(connect: Connect) -> dict[str, Any]:
        with status("asking the supervisor to end") as line:
            return await _end(connect, request, _Teller(line.update), wait=wait)

    answer = with_connections(common.load(), work)
    if common.as_json:
        print_json(answer)
    else:
        what = "has ended" if answer["ended"] else f"is {answer['state']}"
        print_lines([Text(f"the supervisor (pid {answer['pid']}) {what}")])
    return 0


async def _end(
    connect: Connect, request: Request, teller: "_Teller", *, wait: bool
) -> dict[str, Any]:
    started = trio.current_time()
    async with connect() as session:
        hello = await session.request(Hello(), timeout=PATIENCE)
        pid = hello["pid"]
        state = hello["state"]
        unreachable: Unreachable | None = None
        try:
            state = (await session.request(request, timeout=PATIENCE))["state"]
            while wait:
                teller.tell(await session.request(Status(), timeout=PATIENCE))
                await trio.sleep(_LOOK_EVERY)
        except Unreachable as error:
            unreachable = error  # it may have ended before it said so
    if unreachable is not None:
        with trio.move_on_after(PATIENCE) as patience:
            await _wait_gone(connect, pid)
        if patience.cancelled_caught:
            raise unreachable
    ended = unreachable is not None
    seconds = round(trio.current_time() - started, 3)
    return {"pid": pid, "ended": ended, "state": state, "seconds": seconds}


async def _wait_gone(connect: Connect, pid: int) -> None:
    """Wait until nobody listens there any more, or somebody else does."""
    while True:
        try:
            async with connect() as session:
                hello = await session.request(Hello(), timeout=PATIENCE)
        except NotRunning:
            return
        except (Unreachable, RequestFailed):
            pass
        else:
            if hello["pid"] != pid:
                return
        await trio.sleep(_LOOK_EVERY / 5)


@define
class _Teller:
    """Tells what is waited for: on a terminal's last line, else a line now and then."""

    update: Callable[[str], object]
    _told: float = -_TELL_EVERY

    def tell(self, process: dict[str, Any]) -> None:
        """This is how it is now."""
        text = _waited_for(process)
        if is_live(sys.stderr):
            self.update(text)
        elif trio.current_time() - self._told >= _TELL_EVERY:
            self._told = trio.current_time()
            notice(text)


def _waited_for(process: dict[str, Any]) -> str:
    leaving: dict[str, Any] = process["leaving"] or {"seconds_left": None, "waiting_for": []}
    text = one_line(process["state"])
    if leaving["seconds_left"] is not None:
        text += f", {duration(leaving['seconds_left'])} left"
    if leaving["waiting_for"]:
        text += f", waiting for {one_line(', '.join(leaving['waiting_for']))}"
    return text
