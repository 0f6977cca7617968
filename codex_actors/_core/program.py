"""A tree as a whole program: signals in, an exit code out."""

import signal
import sys
from collections.abc import AsyncIterator, Iterable

import trio

from .errors import ActorStopped, ChildStartError, RestartIntensityExceeded
from .events import EventHandler
from .exits import SHUTDOWN
from .incarnation import Incarnation
from .leave import Leave, Manner
from .opening import host_tree
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
        signals = _Signals(cancel_grace)
        failure: BaseException | None = None
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(signals.listen, received)
                try:
                    async with host_tree(
                        spec, name, handlers, cancel_grace, signals.attend
                    ) as supervisor:
                        await supervisor.wait_stopped()
                except ActorStopped:
                    pass  # a signal called the start off
                except BaseException as error:  # noqa: BLE001 - raised again, out of the nursery
                    failure = error
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return signals.code

    try:
        return trio.run(main)
    except (ChildStartError, RestartIntensityExceeded) as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - a program's last words
        return _GAVE_UP if isinstance(error, RestartIntensityExceeded) else _FAILED


class _Signals:
    """What the signals so far have asked for.

    The first one drains the tree, or calls its start off; the second cancels it.
    """

    def __init__(self, cancel_grace: float) -> None:
        self.code = _OK
        self._root: Incarnation | None = None
        self._cancel_grace = cancel_grace

    def attend(self, root: Incarnation) -> None:
        """From now on signals end this root."""
        self._root = root

    async def listen(self, received: AsyncIterator[int]) -> None:
        """Act on one signal after the other, until cancelled."""
        async for number in received:
            first = self.code == _OK
            self.code = _BY_SIGNAL + number
            if self._root is not None and self._root.reason is None:
                self._end(self._root, first=first)

    def _end(self, root: Incarnation, *, first: bool) -> None:
        if first:
            root.ask(Leave.SHUTDOWN, SHUTDOWN, Manner.DRAIN)
        else:
            root.kill()
            due = trio.current_time() + self._cancel_grace
            root.place.tree.deadlines.add(due, root.cut)
