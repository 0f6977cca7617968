"""A tree as a whole program: signals in, an exit code out."""

import signal
import sys
from collections.abc import Iterable

import trio

from .errors import ChildStartError, RestartIntensityExceeded
from .events import EventHandler
from .exits import SHUTDOWN
from .handles import DynamicSupervisor, Supervisor
from .leave import Leave, Manner
from .opening import open_supervisor
from .specs import DynamicSupervisorSpec, SupervisorSpec

_OK = 0
_FAILED = 1
_GAVE_UP = 70
_BY_SIGNAL = 128


def run(
    spec: SupervisorSpec | DynamicSupervisorSpec,
    *,
    name: str = "root",
    on_event: Iterable[EventHandler] = (),
    cancel_grace: float = 10.0,
) -> int:
    """Run a tree until it ends, in a Trio of its own; blocks, and returns an exit code.

    The first SIGINT or SIGTERM drains: admission closes, and every actor handles what was
    admitted within its `shutdown` seconds, in reverse start order.  The second cancels.

    Args:
        spec: the tree.
        name: what the root is called.
        on_event: callables that get every event.
        cancel_grace: seconds for an orderly end after the second signal.

    Returns:
        0 when the tree ended by itself; 128 plus the signal's number when a signal ended
        it; 70 when it gave up restarting, and 1 when it could not be started, each with
        a line on stderr.
    """
    handlers = tuple(on_event)

    async def main() -> int:
        async with open_supervisor(
            spec, name=name, on_event=handlers, cancel_grace=cancel_grace
        ) as supervisor:
            return await _until_signalled(supervisor, cancel_grace)
        return _OK  # the block was cancelled: the tree has ended by itself

    try:
        return trio.run(main)
    except (ChildStartError, RestartIntensityExceeded) as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - a program's last words
        return _GAVE_UP if isinstance(error, RestartIntensityExceeded) else _FAILED


async def _until_signalled(supervisor: Supervisor | DynamicSupervisor, cancel_grace: float) -> int:
    code = _OK
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            nonlocal code
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for number in signals:
                    place = supervisor.ref.place
                    if place.life is None:
                        continue
                    if code == _OK:
                        place.life.ask(Leave.SHUTDOWN, SHUTDOWN, Manner.DRAIN)
                    else:
                        place.life.kill()
                        due = trio.current_time() + cancel_grace
                        place.tree.deadlines.add(due, place.life.cut)
                    code = _BY_SIGNAL + number

        nursery.start_soon(listen)
        await supervisor.wait_stopped()
        nursery.cancel_scope.cancel()
    return code
