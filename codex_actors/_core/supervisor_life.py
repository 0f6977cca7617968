"""One life of a supervisor as a child: its engine, seen as an incarnation."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from .endings import Ending
from .exits import KILLED, SHUTDOWN, ExitKind, ExitReason
from .incarnation import Incarnation
from .leave import Leave, Manner
from .specs import DynamicSupervisorSpec, SupervisorSpec
from .supervisor_core import SupervisorCore

if TYPE_CHECKING:
    from .deadlines import Deadline
    from .place import Place


class SupervisorLife(Incarnation):
    """One life of a supervisor; `ending` tells, afterwards, why it stopped its children."""

    __slots__ = ("_core", "_limit", "ending")

    def __init__(self, place: "Place", on_settled: Callable[[Incarnation], None]) -> None:
        super().__init__(place, on_settled)
        spec = place.spec.start
        if not isinstance(spec, SupervisorSpec | DynamicSupervisorSpec):
            raise TypeError(f"{spec!r} is not the spec of a supervisor")
        self._core = place.core = SupervisorCore(place, spec)
        self._limit: Deadline | None = None
        self.ending: Ending | None = None

    async def live(self) -> ExitReason:
        """See `Incarnation.live`."""
        timeout = self.place.spec.start_timeout
        if not math.isinf(timeout):
            due = self.started_at + timeout
            self._limit = self.place.tree.deadlines.add(due, self._too_slow)
        try:
            self.ending = await self._core.run(self._acknowledge)
        except Exception as error:  # noqa: BLE001 - a failed start, or a defect: both are reasons
            return ExitReason(ExitKind.CRASH, error)
        finally:
            if self._limit is not None:
                self._limit.cancel()
            self.place.core = None
        return self._classify(self.ending)

    def _classify(self, ending: Ending) -> ExitReason:
        if ending.error is not None and (ending.fatal or self.is_starting):
            return ExitReason(ExitKind.CRASH, ending.error)
        if ending.error is not None:
            return ExitReason(ExitKind.SHUTDOWN, detail=ending.why)
        if self.killed_at is not None and self.leave is Leave.REF:
            return KILLED
        return self.asked or SHUTDOWN

    def _acknowledge(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self.acknowledge()

    def _too_slow(self) -> None:
        timeout = self.place.spec.start_timeout
        error = trio.TooSlowError(f"{self.place.path} did not start within {timeout:g} s")
        self._core.end(Ending(str(error), error))

    def ask_kindly(self, manner: Manner) -> None:
        """See `Incarnation.ask_kindly`."""
        self._core.stop(manner, str(self.asked))

    def cancel(self) -> None:
        """Forward the kill: a scope cancelled here would not reach through the shield."""
        self._core.stop(Manner.CANCEL, "killed")

    def cut(self) -> None:
        """See `Incarnation.cut`."""
        if self.killed_at is None:
            self.killed_at = trio.current_time()
        self._core.cut()

    def grace_after_kill(self) -> float:
        """See `Incarnation.grace_after_kill`: the children report themselves."""
        return math.inf
