"""One life of an async-function child: an ordinary Trio task under supervision.

It has no mailbox through which it could be asked, so being asked to stop means being
cancelled; its spec's `shutdown` then bounds its `finally` blocks.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from .errors import IgnoreChild
from .exits import KILLED, NORMAL, ExitKind, ExitReason
from .incarnation import Incarnation
from .leave import Leave, Manner
from .user_code import call_user, leaked

if TYPE_CHECKING:
    from .place import Place


class TaskLife(Incarnation):
    """One life of an async function; also its `task_status`, if it takes one."""

    __slots__ = ("_limit", "_started_value")

    def __init__(self, place: "Place", on_settled: Callable[[Incarnation], None]) -> None:
        super().__init__(place, on_settled)
        self._limit: trio.CancelScope | None = None

    def started(self, value: object = None) -> None:
        """Acknowledge the start, as `trio.TaskStatus.started`; the value goes nowhere.

        Raises:
            RuntimeError: called twice.
        """
        del value
        if not self.is_starting:
            raise RuntimeError(f"{self.place.path} called task_status.started() twice")
        if self._limit is not None:
            self._limit.deadline = math.inf
            self.report_unless_gone_by(math.inf)
        if self.killed_at is None:
            self.acknowledge()

    async def live(self) -> ExitReason:
        """See `Incarnation.live`."""
        error: BaseException | None = None
        try:
            with self.scope:
                await self._call()
        except IgnoreChild as ignore:
            self.ignored = self.is_starting
            error = None if self.ignored else ignore
        except trio.Cancelled as cancelled:
            error = leaked(cancelled)
        except BaseException as crash:  # noqa: BLE001 - whatever it is, it is the reason
            error = crash
        if error is not None:
            return ExitReason(ExitKind.CRASH, error)
        if self.scope.cancelled_caught:
            return self.asked or KILLED
        if self.is_starting and not self.ignored:
            return ExitReason(ExitKind.CRASH, _never_started(self.place.path))
        return NORMAL

    async def _call(self) -> None:
        spec = self.place.spec
        function = spec.start
        if not callable(function):
            raise TypeError(f"{function!r} is not callable")
        if not spec.takes_task_status:
            self.acknowledge()
            await call_user(function, *spec.args, **spec.kwargs)
            return
        timeout = spec.start_timeout
        if math.isinf(timeout):
            await call_user(function, *spec.args, task_status=self, **spec.kwargs)
            return
        deadline = self.started_at + timeout
        self.report_unless_gone_by(deadline + spec.cleanup_timeout)
        with trio.CancelScope(deadline=deadline) as limit:
            self._limit = limit
            await call_user(function, *spec.args, task_status=self, **spec.kwargs)
        if limit.cancelled_caught:
            raise trio.TooSlowError(f"{self.place.path} did not start within {timeout:g} s")

    def ask_kindly(self, manner: Manner) -> None:
        """See `Incarnation.ask_kindly`: there is no kinder way than to cancel it."""
        del manner
        self.kill()

    def kill(self) -> None:
        """Cancel it now."""
        if self.leave is Leave.NO:
            self.asked = KILLED
        super().kill()

    def grace_after_kill(self) -> float:
        """See `Incarnation.grace_after_kill`: its `finally` blocks have the time to shut down."""
        shutdown = self.place.spec.shutdown
        if isinstance(shutdown, int | float):
            return shutdown
        return super().grace_after_kill()


def _never_started(path: str) -> RuntimeError:
    return RuntimeError(f"{path} returned without calling task_status.started()")
