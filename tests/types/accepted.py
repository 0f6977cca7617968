"""What both type checkers must accept, with the types that they must see.

Never run: `test_types.py` has mypy and pyright judge it.
"""

from typing import Generic, TypeVar, assert_type

from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    Cast,
    ChildSpec,
    Down,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    ExitReason,
    Info,
    Monitor,
    Reply,
    Restart,
    Shutdown,
    Supervisor,
    SupervisorSpec,
    Timer,
    handle_call,
    handle_cast,
    handle_info,
    open_supervisor,
)

T = TypeVar("T")


@frozen
class Add(Call[int]):
    """Answered with the new total."""

    amount: int


@frozen
class Find(Call[str | None]):
    """May find nothing."""

    key: str


@frozen
class Reset(Call[None]):
    """Answered when it is done."""


@frozen
class Echo(Call[T], Generic[T]):
    """Answered with what it carries."""

    value: T


@frozen
class Slowly(Call[list[int]]):
    """Answered later."""


@frozen
class Log(Cast):
    """Not answered."""

    line: str


@frozen
class Flush(Cast):
    """Not answered."""


@frozen
class Tick(Info):
    """From a timer."""


class Counter(Actor):
    """Every kind of handler."""

    def __init__(self, start: int = 0) -> None:
        self.total = start
        self.replies: list[Reply[list[int]]] = []

    @handle_call(Add)
    async def add(self, message: Add) -> int:
        """Return the answer's type."""
        self.total += message.amount
        return self.total

    @handle_call(Find, raises=(KeyError, ValueError))
    async def find(self, message: Find) -> str:
        """Return something narrower than the answer's type."""
        return message.key

    @handle_call(Reset)
    async def reset(self, message: Call[None]) -> None:
        """Take something wider than the message."""
        self.total = 0

    @handle_call(Slowly, deferred=True, raises=(LookupError,))
    async def slowly(self, message: Slowly, reply: Reply[list[int]]) -> None:
        """Answer later."""
        reply.send([1, 2])
        reply.error(LookupError())
        assert_type(reply.abandoned, bool)
        self.replies.append(reply)

    @handle_cast(Log)
    async def write(self, message: Log | Flush) -> None:
        """Take something wider than the message."""

    @handle_cast(Flush)
    async def flush(self, message: Flush) -> None:
        """Handle it."""

    @handle_info(Tick)
    async def tick(self, message: Tick) -> None:
        """From a timer."""

    @handle_info(Down)
    async def down(self, message: Down) -> None:
        """From a monitor."""
        assert_type(message.ref, ActorRef)
        assert_type(message.reason, ExitReason)

    async def init(self) -> None:
        """Use what an actor has."""
        assert_type(self.ref, ActorRef)
        assert_type(self.supervisor, Supervisor | DynamicSupervisor)
        assert_type(self.supervisor["sibling"], ActorRef)
        assert_type(self.monitor(self.ref), Monitor)
        assert_type(self.send_after(1.0, Tick()), Timer)
        assert_type(self.send_interval(1, Tick()), Timer)
        self.stop()


class Loud(Counter):
    """Overrides a handler."""

    async def add(self, message: Add) -> int:
        """Handlers stay methods with their own types."""
        return await super().add(message) * 2


async def messages(ref: ActorRef) -> None:
    """The answer's type is the message's."""
    assert_type(await ref.call(Add(2)), int)
    assert_type(await ref.call(Find("x"), timeout=1), str | None)
    assert_type(await ref.call(Slowly()), list[int])
    assert_type(await ref.call(Echo("text")), str)
    assert_type(await ref.call(Echo(2.5)), float)
    await ref.call(Reset())
    await ref.cast(Log("x"))
    ref.cast_nowait(Flush())
    assert_type(await ref.wait_stopped(), ExitReason)


async def a_task(number: int) -> None:
    """A child, too."""


async def trees() -> None:
    """What is opened depends on the spec."""
    static = SupervisorSpec(
        [
            ChildSpec("counter", Counter, args=(1,), restart="transient", shutdown="brutal_kill"),
            ChildSpec("loud", Loud, kwargs={"start": 2}, restart=Restart.TEMPORARY),
            ChildSpec("made", lambda: Counter(3), shutdown=Shutdown.BRUTAL_KILL),
            ChildSpec("task", a_task, args=[7]),
            ChildSpec("pool", DynamicSupervisorSpec(max_children=3)),
        ],
        strategy="rest_for_one",
    )
    async with open_supervisor(static) as supervisor:
        assert_type(supervisor, Supervisor)
        assert_type(supervisor["counter"], ActorRef)
        assert_type(supervisor.subtree("pool"), Supervisor | DynamicSupervisor)
        assert_type(supervisor.whereis("pool/x"), ActorRef | None)
        assert_type(await supervisor.restart_child("counter"), ActorRef)
        await supervisor.terminate_child("counter")
    async with open_supervisor(DynamicSupervisorSpec()) as pool:
        assert_type(pool, DynamicSupervisor)
        ref = await pool.start_child(ChildSpec(None, Counter))
        assert_type(ref, ActorRef)
        await pool.terminate_child(ref)
