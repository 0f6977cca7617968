"""A target in memory whose answers a test decides, step by step.

    target = ScriptedTarget(Limits(max_bytes=1 << 20, part_size=1000, parallel=2, resumable=True))
    target.script("part 3", Retryable("busy", status=503), Retryable("busy", status=503))
    uploaded = await files.upload(attachment, target=target)
    assert target.files[uploaded.file_id] == data

It needs no thread and no socket, so it works under a virtual clock. What it has is what a server
would have: `files` that are complete, `pending` uploads with the parts that arrived. `log` tells
what was asked, in order.
"""

import itertools
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias, TypeVar

import trio
from attrs import define, field, frozen

from codex_actors.files.errors import MissingCredentials
from codex_actors.files.targets.protocol import (
    Body,
    Fate,
    Finished,
    Limits,
    Outgoing,
    Part,
    Receipt,
    Refused,
    Remote,
    TargetFailure,
)

__all__ = ["Lost", "ScriptedTarget", "Stall"]


@frozen
class Lost:
    """The request takes effect, but its answer does not arrive.

    Attributes:
        failure: What is raised instead; None for silence.
    """

    failure: TargetFailure | None = None


@frozen
class Stall:
    """The server is silent for some seconds, and then does what it was asked.

    Attributes:
        seconds: How long; by default for ever.
    """

    seconds: float = float("inf")


T = TypeVar("T")
Behaviour: TypeAlias = TargetFailure | Lost | Stall | None


@define(eq=False)
class _Pending:
    file: Outgoing
    parts: dict[int, bytes] = field(factory=dict[int, bytes])


@define(eq=False)
class ScriptedTarget:
    """A target and its server.

    Steps are named "begin", "part <n>" (from 0), "part" (any), "complete", "abort", "whole",
    "settle" and "confirm".

    Attributes:
        limits: What it takes.
        name: Its kind.
        credential: Its account, None for a missing one.
        expires_at: When files expire.
        pending_until: When uploads expire.
        tells: It knows, when asked, what became of a request.
        files: What is complete, by file id.
        pending: What has begun, by the id of the upload.
        log: What was asked, for example "part 3".
        in_flight: How many parts are being sent.
        most_in_flight: How many were at a time.
        sessions: How many are open.
    """

    limits: Limits
    name: str = "scripted"
    credential: str | None = "account"
    expires_at: datetime | None = None
    pending_until: datetime | None = None
    tells: bool = True
    files: dict[str, bytes] = field(factory=dict[str, bytes])
    pending: dict[str, _Pending] = field(factory=dict[str, _Pending])
    log: list[str] = field(factory=list[str])
    in_flight: int = 0
    most_in_flight: int = 0
    sessions: int = 0
    _scripts: dict[str, deque[Behaviour]] = field(
        factory=lambda: defaultdict[str, deque[Behaviour]](deque)
    )
    _made: dict[str, str] = field(factory=dict[str, str])
    _numbers: "itertools.count[int]" = field(factory=lambda: itertools.count(1))

    def script(self, step: str, *behaviours: Behaviour) -> None:
        """Decide the next answers at a step: a failure, `Lost`, `Stall`, or None for none of it."""
        self._scripts[step].extend(behaviours)

    def account(self) -> str:
        """See `Target.account`."""
        if self.credential is None:
            raise MissingCredentials(f"There is no credential for {self.name}: give it one.")
        return self.credential

    def accept(self, file: Outgoing) -> Remote:
        """Have an upload begun, as by an earlier process."""
        remote = Remote(f"upload-{next(self._numbers)}", self.pending_until)
        self.pending[remote.id] = _Pending(file)
        return remote

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator["ScriptedTarget"]:
        """Count sessions; the target is its own."""
        self.sessions += 1
        try:
            yield self
        finally:
            self.sessions -= 1

    async def begin(self, file: Outgoing) -> Remote:
        """See `Session.begin`."""

        async def act() -> Remote:
            return self.accept(file)

        return await self._step("begin", act)

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        """See `Session.send_part`."""
        del file
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:

            async def act() -> Receipt:
                pending = self._find(remote)
                pending.parts[part.number] = await _read(body)
                return Receipt(part.number, f"{remote.id}/{part.number}")

            return await self._step(f"part {part.number}", act)
        finally:
            self.in_flight -= 1

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        """See `Session.complete`."""

        async def act() -> Finished:
            pending = self._find(remote)
            expected = [f"{remote.id}/{number}" for number in range(len(receipts))]
            if [receipt.token for receipt in receipts] != expected:
                raise Refused("the parts are not in file order", status=400)
            data = b"".join(pending.parts[number] for number in range(len(receipts)))
            if len(data) != file.size:
                raise Refused(f"{len(data)} bytes, not {file.size}", status=400)
            del self.pending[remote.id]
            return self._make(remote.id, data)

        return await self._step("complete", act)

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        """See `Session.abort`."""
        del file

        async def act() -> None:
            if remote.id in self._made:
                raise Refused("it is complete", status=400)
            self.pending.pop(remote.id, None)

        await self._step("abort", act)

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        """See `Session.send_whole`."""

        async def act() -> Finished:
            return self._make(f"whole {file.checksum}", await _read(body))

        return await self._step("whole", act)

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """See `Session.settle`."""
        del receipts

        async def act() -> Finished | Fate:
            if not self.tells:
                return Fate.UNKNOWN
            made = self._made.get(f"whole {file.checksum}" if remote is None else remote.id)
            return Fate.NOT_DONE if made is None else Finished(made, self.expires_at)

        return await self._step("settle", act)

    async def confirm(self, file_id: str) -> bool:
        """See `Session.confirm`."""

        async def act() -> bool:
            return file_id in self.files

        return await self._step("confirm", act)

    async def _step(self, step: str, act: Callable[[], Awaitable[T]]) -> T:
        self.log.append(step)
        behaviour = self._next(step)
        await trio.lowlevel.checkpoint()
        match behaviour:
            case TargetFailure():
                raise behaviour
            case Lost():
                await act()
                if behaviour.failure is not None:
                    raise behaviour.failure
                await trio.sleep_forever()
            case Stall():
                await trio.sleep(behaviour.seconds)
            case None:
                pass
        return await act()

    def _next(self, step: str) -> Behaviour:
        for name in (step, step.split(maxsplit=1)[0]):
            if self._scripts[name]:
                return self._scripts[name].popleft()
        return None

    def _find(self, remote: Remote) -> _Pending:
        pending = self.pending.get(remote.id)
        if pending is None:
            raise Refused(f"there is no upload {remote.id}", status=404)
        return pending

    def _make(self, key: str, data: bytes) -> Finished:
        file_id = f"file-{next(self._numbers)}"
        self.files[file_id] = data
        self._made[key] = file_id
        return Finished(file_id, self.expires_at)


async def _read(body: Body) -> bytes:
    data = bytearray()
    async for chunk in body:
        data += chunk
    return bytes(data)
