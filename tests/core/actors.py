"""Children for tests: they write down their lives and do what a plan or a message says.

A `Journal` holds the notation of the specification: `+a` started, `-a` stopped on
request (or ended by itself), `-a!` crashed, `+a✗` start failed.
"""

from collections.abc import Callable, Container
from typing import Any

import trio
from attrs import define, field, frozen

from codex_actors import (
    Actor,
    Call,
    Cast,
    ChildSpec,
    ExitKind,
    ExitReason,
    IgnoreChild,
    handle_call,
    handle_cast,
)


class Boom(Exception):
    """What children of these tests crash with."""


@define
class Journal:
    """What happened, in order.

    Args:
        entries: one mark each, see the module.
        reasons: every end with its reason, for instance `("a", ExitKind.SHUTDOWN)`.
        times: the clock's time of each entry.
    """

    entries: list[str] = field(factory=list[str])
    reasons: list[tuple[str, ExitKind]] = field(factory=list[tuple[str, ExitKind]])
    times: list[float] = field(factory=list[float])
    _taken: int = 0

    def write(self, mark: str) -> None:
        """Append one mark."""
        self.entries.append(mark)
        self.times.append(trio.current_time())

    def ended(self, name: str, reason: ExitReason) -> None:
        """Append the end of a child."""
        self.reasons.append((name, reason.kind))
        self.write(f"-{name}!" if reason.kind is ExitKind.CRASH else f"-{name}")

    def take(self) -> str:
        """All marks since the last take, separated by spaces."""
        new = self.entries[self._taken :]
        self._taken = len(self.entries)
        return " ".join(new)

    def time_of(self, mark: str) -> float:
        """When a mark was written last, in seconds of the clock."""
        return max(t for t, entry in zip(self.times, self.entries, strict=True) if entry == mark)


@define
class Plan:
    """What the incarnations of one worker do; may be changed while they run.

    Args:
        broken: every start fails as long as this is true.
        failing: the numbers (from 1) of the starts that fail.
        ignoring: the numbers of the starts that raise `IgnoreChild`.
        error: what a failing start raises.
        start_seconds: how long `init` takes.
        start_gate: what `init` waits for.
        stop_seconds: how long `terminate` takes.
        stop_gate: what `terminate` waits for.
        stop_error: what `terminate` raises, at its end.
        starts: how many starts were tried so far.
    """

    broken: bool = False
    failing: Container[int] = ()
    ignoring: Container[int] = ()
    error: Callable[[], BaseException] = Boom
    start_seconds: float = 0.0
    start_gate: trio.Event | None = None
    stop_seconds: float = 0.0
    stop_gate: trio.Event | None = None
    stop_error: Callable[[], BaseException] | None = None
    starts: int = 0


@frozen
class Ping(Call[int]):
    """Answered with the number of the incarnation's start."""


@frozen
class Work(Call[str]):
    """Answered with `text`, after `seconds`."""

    seconds: float = 0.0
    text: str = ""


@frozen
class Note(Cast):
    """Write `text` to the journal, after `seconds`."""

    text: str
    seconds: float = 0.0


@frozen
class Crash(Cast):
    """Raise `error`."""

    error: BaseException = field(factory=Boom)


@frozen
class CrashCall(Call[None]):
    """Raise `error` instead of an answer."""

    error: BaseException = field(factory=Boom)


@frozen
class Finish(Cast):
    """End by itself; `reason` None means the default of `Actor.stop`."""

    reason: ExitReason | None = None


@frozen
class Hang(Cast):
    """Wait for `gate` in the handler, forever when there is none."""

    gate: trio.Event | None = None


class Worker(Actor):
    """A child that does what its plan and its messages say, and writes down its life."""

    def __init__(self, journal: Journal, name: str, plan: Plan | None = None) -> None:
        self.journal = journal
        self.name = name
        self.plan = Plan() if plan is None else plan
        self.plan.starts += 1
        self.number = self.plan.starts

    async def init(self) -> None:
        """Start as planned."""
        try:
            await self._start()
        except IgnoreChild:
            raise
        except BaseException:
            self.journal.write(f"+{self.name}✗")
            raise
        self.journal.write(f"+{self.name}")

    async def _start(self) -> None:
        plan = self.plan
        if plan.start_gate is not None:
            await plan.start_gate.wait()
        if plan.start_seconds:
            await trio.sleep(plan.start_seconds)
        if self.number in plan.ignoring:
            raise IgnoreChild
        if plan.broken or self.number in plan.failing:
            raise plan.error()

    async def terminate(self, reason: ExitReason) -> None:
        """End as planned; the mark is written when all is done."""
        plan = self.plan
        if plan.stop_gate is not None:
            await plan.stop_gate.wait()
        if plan.stop_seconds:
            await trio.sleep(plan.stop_seconds)
        self.journal.ended(self.name, reason)
        if plan.stop_error is not None:
            raise plan.stop_error()

    @handle_call(Ping)
    async def ping(self, message: Ping) -> int:
        """See `Ping`."""
        return self.number

    @handle_call(Work)
    async def work(self, message: Work) -> str:
        """See `Work`."""
        await trio.sleep(message.seconds)
        return message.text

    @handle_cast(Note)
    async def note(self, message: Note) -> None:
        """See `Note`."""
        if message.seconds:
            await trio.sleep(message.seconds)
        self.journal.write(message.text)

    @handle_cast(Crash)
    async def crash(self, message: Crash) -> None:
        """See `Crash`."""
        raise message.error

    @handle_call(CrashCall)
    async def crash_call(self, message: CrashCall) -> None:
        """See `CrashCall`."""
        raise message.error

    @handle_cast(Finish)
    async def finish(self, message: Finish) -> None:
        """See `Finish`."""
        if message.reason is None:
            self.stop()
        else:
            self.stop(message.reason)

    @handle_cast(Hang)
    async def hang(self, message: Hang) -> None:
        """See `Hang`."""
        if message.gate is None:
            await trio.sleep_forever()
        else:
            await message.gate.wait()


def worker(journal: Journal, name: str, plan: Plan | None = None, **spec: Any) -> ChildSpec:
    """The spec of a `Worker`; one plan is shared by its incarnations.

    Args:
        journal: where it writes.
        name: its id, and what the journal calls it.
        plan: what it does; nothing special when None.
        spec: the other fields of its `ChildSpec`.
    """
    return ChildSpec(name, Worker, args=(journal, name, plan or Plan()), **spec)


def workers(journal: Journal, names: str, **spec: Any) -> list[ChildSpec]:
    """One plain worker for each word of `names`."""
    return [worker(journal, name, **spec) for name in names.split()]


async def background(journal: Journal, name: str, stop_seconds: float = 0.0) -> None:
    """An async-function child: runs until it is cancelled, and cleans up in a shield."""
    journal.write(f"+{name}")
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(stop_seconds)
        journal.write(f"-{name}")


def task(journal: Journal, name: str, stop_seconds: float = 0.0, **spec: Any) -> ChildSpec:
    """The spec of a `background` task."""
    return ChildSpec(name, background, args=(journal, name, stop_seconds), **spec)
