"""Owns what one client has asked for and what is not answered yet, in the order in which it came.

Invariant: an id belongs to one request at a time, and giving that up takes effect at once, whether
it waits or is worked on. Must not know how it is worked on.
"""

from collections import deque
from typing import Any, cast, final

import trio
from attrs import Factory, define

from codex_actors.control.jsonrpc import (
    CANCEL,
    INVALID_REQUEST,
    Batch,
    Id,
    Incoming,
    Invalid,
    parse_line,
)
from codex_actors.control.lines import LineTooLong

__all__ = ["Backlog", "Gathering", "Task"]


@define(eq=False)
class Gathering:
    """The answers to a batch, until the last one is there.

    Attributes:
        left: Items without an answer.
        size: Bytes of the answers.
    """

    left: int
    size: int = 0
    _parts: list[bytes] = Factory(list[bytes])

    def add(self, line: bytes | None) -> bytes | None:
        """Add an answer, None for an item that gets none; return the whole when it is."""
        if line is not None:
            self._parts.append(line.rstrip(b"\n"))
            self.size += len(line)
        self.left -= 1
        if self.left or not self._parts:
            return None
        return b"[" + b",".join(self._parts) + b"]\n"


@define(eq=False)
class Task:
    """Something to be answered.

    Attributes:
        item: What.
        size: Bytes that it came in.
        gathering: Of the batch that it came in.
        scope: Cancelled when the client gives it up.
    """

    item: Incoming | Invalid
    size: int
    gathering: Gathering | None
    scope: trio.CancelScope = Factory(trio.CancelScope)


@final
class Backlog:
    """What waits to be worked on.

    Args:
        count: Tasks beyond which it is full.
        size: Bytes beyond which it is full.
        line: How long a line may be, to tell it to whom sent a longer one.
    """

    def __init__(self, *, count: int, size: int, line: int) -> None:
        self._count = count
        self._most = size
        self._line = line
        self._tasks: deque[Task] = deque()
        self._size = 0
        self._scopes: dict[Id, trio.CancelScope] = {}
        self._arrived = trio.lowlevel.ParkingLot()
        self._taken = trio.lowlevel.ParkingLot()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._tasks

    @property
    def is_full(self) -> bool:
        """Whether no more should be read."""
        return len(self._tasks) >= self._count or self._size >= self._most

    def add(self, line: bytes | LineTooLong) -> None:
        """Take in a line."""
        if isinstance(line, LineTooLong):
            message = f"a request is at most {self._line} bytes long"
            self._queue(Invalid(INVALID_REQUEST, message), 0, None)
            return
        asked = parse_line(line)
        if isinstance(asked, Batch):
            gathering = Gathering(len(asked.items))
            for item in asked.items:
                self._queue(item, len(line) // len(asked.items), gathering)
        else:
            self._queue(asked, len(line), None)

    async def take(self) -> Task:
        """Wait for a task, and return it; `forget` it when it is answered."""
        while not self._tasks:
            await self._arrived.park()
        task = self._tasks.popleft()
        self._size -= task.size
        self._taken.unpark_all()
        return task

    async def wait_taken(self) -> None:
        """Wait until a task is taken."""
        await self._taken.park()

    def forget(self, task: Task) -> None:
        """Let the id of a task be used again."""
        if self._scopes.get(task.item.id) is task.scope:
            del self._scopes[task.item.id]

    def _queue(self, item: Incoming | Invalid, size: int, gathering: Gathering | None) -> None:
        if isinstance(item, Incoming) and item.method == CANCEL and not item.wants_answer:
            self._cancel(item.params)
        elif isinstance(item, Incoming) and item.id in self._scopes:
            item = Invalid(INVALID_REQUEST, f"request {item.id!r} is still under way", item.id)
        task = Task(item, size, gathering)
        if isinstance(item, Incoming) and item.id is not None:
            self._scopes[item.id] = task.scope
        self._tasks.append(task)
        self._size += size
        self._arrived.unpark_all()

    def _cancel(self, params: object) -> None:
        id_ = cast("dict[str, Any]", params).get("id") if isinstance(params, dict) else None
        if isinstance(id_, str | int) and id_ in self._scopes:
            self._scopes[id_].cancel()
