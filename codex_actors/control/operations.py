"""Owns the operations under way in a supervisor process: what clients asked for that takes time.

Invariant: what was admitted is listed until it has ended, and can be cancelled; when admission is
closed nothing more comes in, so the table empties. Must not know what an operation does.
"""

import itertools
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import trio
from attrs import define, field

from codex_actors.control.errors import Leaving, NotFound, OperationCancelled
from codex_actors.telemetry.text import shortened, timestamp

__all__ = ["Operation", "Operations"]

REMEMBERED = 64
LONGEST = 2_000
"""Characters of a name, and of a message, which may hold names."""


@define(eq=False, kw_only=True)
class Operation:
    """One of them.

    Attributes:
        id: Its number, from 1.
        kind: "stage", "upload", "exec" or "verify".
        what: The name of what it works on, for people.
        begun: When, by the clock of Trio.
        begun_at: When, by that of the world.
        state: "running", then "done", "failed" or "cancelled".
        progress: How far it is, as a document; empty when it cannot be told.
        outcome: What came of it, as the answer's document; None until it is done.
        error: Why it failed or was given up, as one says it.
    """

    id: int
    kind: str
    what: str
    begun: float
    begun_at: datetime
    state: str = "running"
    progress: dict[str, Any] = field(factory=dict[str, Any])
    outcome: dict[str, Any] | None = None
    error: str | None = None
    seconds: float | None = None
    scope: trio.CancelScope = field(factory=trio.CancelScope, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        now = self.begun + self.seconds if self.seconds is not None else trio.current_time()
        return {
            "operation": self.id,
            "kind": self.kind,
            "what": self.what,
            "state": self.state,
            "begun_at": timestamp(self.begun_at),
            "seconds": round(now - self.begun, 3),
            "progress": self.progress,
            "outcome": self.outcome,
            "error": self.error,
        }


class Operations:
    """The table. For one Trio run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._running: dict[int, Operation] = {}
        self._ended: deque[Operation] = deque(maxlen=REMEMBERED)
        self._closed = False
        self._empty = trio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._running)

    def running(self) -> tuple[Operation, ...]:
        """Those under way, the oldest first."""
        return tuple(self._running.values())

    def ended(self) -> tuple[Operation, ...]:
        """Those that ended lately, the oldest first."""
        return tuple(self._ended)

    @contextmanager
    def admit(self, kind: str, what: str) -> Generator[Operation]:
        """Have the block be an operation, which `cancel` cancels.

        Raises:
            Leaving: The process is ending, and takes no more.
            OperationCancelled: It was given up by `cancel`.
        """
        self.require_open()
        operation = Operation(
            id=next(self._numbers),
            kind=kind,
            what=shortened(what, LONGEST),
            begun=trio.current_time(),
            begun_at=datetime.now(UTC),
        )
        self._enter(operation)
        try:
            with operation.scope:
                yield operation
                operation.state = "done"
                return
            raise OperationCancelled(f"{kind} {what} was cancelled")  # noqa: TRY301 - as its failure
        except Exception as error:
            cancelled = isinstance(error, OperationCancelled)
            operation.state = "cancelled" if cancelled else "failed"
            operation.error = shortened(str(error), LONGEST)
            raise
        finally:
            if operation.state == "running":  # the client has gone, or the process goes
                operation.state = "cancelled"
            self._leave(operation)

    def cancel(self, number: int) -> Operation:
        """Give an operation up; it ends soon.

        Raises:
            NotFound: It is not under way.
        """
        operation = self._running.get(number)
        if operation is None:
            raise NotFound(f"no operation {number} is under way: see `status`")
        operation.scope.cancel()
        return operation

    def cancel_all(self) -> None:
        """Give all of them up."""
        for operation in self._running.values():
            operation.scope.cancel()

    def require_open(self) -> None:
        """Do nothing while operations are admitted.

        Raises:
            Leaving: The process is ending, and takes no more.
        """
        if self._closed:
            raise Leaving("the supervisor is draining and takes no new work")

    def close(self) -> None:
        """Admit no more."""
        self._closed = True

    async def wait_empty(self) -> None:
        """Wait until none is under way."""
        await self._empty.wait()

    def _enter(self, operation: Operation) -> None:
        if not self._running:
            self._empty = trio.Event()
        self._running[operation.id] = operation

    def _leave(self, operation: Operation) -> None:
        operation.seconds = trio.current_time() - operation.begun
        del self._running[operation.id]
        self._ended.append(operation)
        if not self._running:
            self._empty.set()
