"""Faults on purpose: crash, hang, slow down or cancel a child, by its path.

    faults = Faults()
    faults.crash("counter", on=Add, nth=2)
    faults.hang("transfers/stage-1", at="stage.copied")
    with faults:
        async with open_supervisor(tree) as supervisor: ...

A fault is set for a message class (`on=`), just before it is handled, or for a named
point of the child's code (`at=`, see `codex_actors.fault_point`).  It happens at the
`nth` time, once, or from then on `always`.

The points of the files' tree: `stage.started`, `stage.chunk` (after each MiB of a
stream), `stage.copied` and `stage.published` in `transfers/stage-<n>`; `upload.started`,
`upload.checked`, `upload.claimed`, `upload.begun`, `upload.part` (after each acknowledged
part), `upload.sent`, `upload.completing`, `upload.sending` (of a file in one request),
`upload.finished` and `upload.aborting` in `transfers/upload-<n>`;
`registry.committing` and `registry.committed` around every batch of `registry`;
`sweeper.sweeping` before each chunk of `sweeper`.
"""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import trio
from attrs import define, frozen

from codex_actors import ActorRef, inject_faults

if TYPE_CHECKING:
    from types import TracebackType


class InjectedFault(Exception):
    """What a child crashes with when no other error was chosen."""


@frozen
class Injection:
    """One fault that has happened: which, where, and at what."""

    action: str
    path: str
    where: str


@define
class _Fault:
    action: str
    path: str
    on: type | None
    at: str | None
    nth: int
    always: bool
    act: Callable[[ActorRef], Awaitable[None]]
    seen: int = 0

    def is_due(self) -> bool:
        self.seen += 1
        return self.seen == self.nth or (self.always and self.seen > self.nth)


class Faults:
    """The faults of one test; a context manager around the opening of the tree.

    `happened` lists what was injected, in order: a test that set a fault asserts that it
    came about.
    """

    def __init__(self) -> None:
        self.happened: list[Injection] = []
        self._faults: list[_Fault] = []
        self._entered = ExitStack()
        self._released = trio.Event()

    def crash(
        self,
        path: str,
        *,
        on: type | None = None,
        at: str | None = None,
        nth: int = 1,
        always: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Raise `error` (by default an `InjectedFault`) in the child's task."""

        async def act(_ref: ActorRef) -> None:
            raise InjectedFault(f"injected into {path}") if error is None else error

        self._add(_Fault("crash", path, on, at, nth, always, act))

    def hang(
        self,
        path: str,
        *,
        on: type | None = None,
        at: str | None = None,
        nth: int = 1,
        always: bool = False,
        shield: bool = False,
    ) -> None:
        """Wait in the child's task until `release`, with `shield` even against cancellation."""

        async def act(_ref: ActorRef) -> None:
            with trio.CancelScope(shield=shield):
                await self._released.wait()

        self._add(_Fault("hang", path, on, at, nth, always, act))

    def slow(
        self,
        path: str,
        seconds: float,
        *,
        on: type | None = None,
        at: str | None = None,
        nth: int = 1,
        always: bool = False,
    ) -> None:
        """Make the child's task wait for `seconds` first."""

        async def act(_ref: ActorRef) -> None:
            await trio.sleep(seconds)

        self._add(_Fault("slow", path, on, at, nth, always, act))

    def cancel(
        self,
        path: str,
        *,
        on: type | None = None,
        at: str | None = None,
        nth: int = 1,
        always: bool = False,
    ) -> None:
        """Kill the child, which is cancelled there and then."""

        async def act(ref: ActorRef) -> None:
            ref.kill()
            await trio.lowlevel.checkpoint()

        self._add(_Fault("cancel", path, on, at, nth, always, act))

    def _add(self, fault: _Fault) -> None:
        if (fault.on is None) is (fault.at is None):
            raise ValueError(f"{fault.action} {fault.path!r}: give on=<message> or at=<point>")
        if fault.nth < 1:
            raise ValueError(f"{fault.action} {fault.path!r}: nth={fault.nth} is not at least 1")
        self._faults.append(fault)

    def release(self) -> None:
        """Let go all that hangs: also what shields itself must end before its tree can."""
        self._released.set()
        self._released = trio.Event()

    # What the framework asks

    async def on_message(self, ref: ActorRef, message: object) -> None:
        """See `codex_actors.FaultInjector`."""
        for fault in tuple(self._faults):
            if fault.on is type(message) and fault.path == ref.path and fault.is_due():
                self.happened.append(Injection(fault.action, ref.path, type(message).__name__))
                await fault.act(ref)

    async def on_point(self, ref: ActorRef, name: str) -> None:
        """See `codex_actors.FaultInjector`."""
        for fault in tuple(self._faults):
            if fault.at == name and fault.path == ref.path and fault.is_due():
                self.happened.append(Injection(fault.action, ref.path, name))
                await fault.act(ref)

    def __enter__(self) -> Self:
        self._entered.enter_context(inject_faults(self))
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self._entered.__exit__(kind, error, traceback)
