"""An actor that does what its messages say, and calls made in tasks of their own.

A `Board` outlives the incarnations of a `Desk`: it holds what they wrote down, each
line with the number of the incarnation, and the hooks that the next ones will run.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import trio
import trio.testing
from attrs import define, field, frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    Cast,
    ChildSpec,
    Down,
    ExitReason,
    Info,
    handle_call,
    handle_cast,
    handle_info,
)


class Boom(Exception):
    """What desks crash with."""


@frozen
class Say(Call[str]):
    """Answered with its text, which is written down."""

    text: str


@frozen
class Note(Cast):
    """Its text is written down."""

    text: str


@frozen
class Do(Call[object]):
    """Run `work(desk)` in the actor's own task; its value is the answer."""

    work: "Work"


@frozen
class DoCast(Cast):
    """Run `work(desk)` in the actor's own task."""

    work: "Work"


@frozen
class Tick(Info):
    """What timers tell; its text is written down."""

    text: str = "tick"


@frozen
class Unknown(Call[int]):
    """No desk handles it."""


@frozen
class UnknownCast(Cast):
    """No desk handles it."""


Work: TypeAlias = Callable[["Desk"], Awaitable[object]]


async def _nothing(_desk: "Desk") -> None:
    await trio.lowlevel.checkpoint()


@define
class Board:
    """What the incarnations of one desk share.

    Args:
        log: what was written down, `<incarnation>:<text>`.
        downs: the `Down`s that were handled.
        reasons: what `terminate` was told.
        on_init: what `init` does.
        on_continue: what `handle_continue` does.
        on_terminate: what `terminate` does, after noting the reason.
        built: how many incarnations were built.
    """

    log: list[str] = field(factory=list[str])
    downs: list[Down] = field(factory=list[Down])
    reasons: list[ExitReason] = field(factory=list[ExitReason])
    on_init: Work = _nothing
    on_continue: Work = _nothing
    on_terminate: Work = _nothing
    built: int = 0

    def spec(self, name: str | None, **options: Any) -> ChildSpec:
        """The spec of a desk that writes here."""
        return ChildSpec(name, Desk, args=(self,), **options)


class Desk(Actor):
    """Handles its messages as they say."""

    def __init__(self, board: Board) -> None:
        board.built += 1
        self.number = board.built
        self.board = board

    def write(self, text: str) -> None:
        """Write one line on the board."""
        self.board.log.append(f"{self.number}:{text}")

    async def init(self) -> None:
        """Run the board's hook."""
        await self.board.on_init(self)

    async def handle_continue(self) -> None:
        """Run the board's hook."""
        await self.board.on_continue(self)

    async def terminate(self, reason: ExitReason) -> None:
        """Note the reason and run the board's hook."""
        self.board.reasons.append(reason)
        await self.board.on_terminate(self)

    @handle_call(Say)
    async def say(self, message: Say) -> str:
        """See `Say`."""
        self.write(message.text)
        return message.text

    @handle_cast(Note)
    async def note(self, message: Note) -> None:
        """See `Note`."""
        self.write(message.text)

    @handle_call(Do)
    async def do(self, message: Do) -> object:
        """See `Do`."""
        return await message.work(self)

    @handle_cast(DoCast)
    async def do_cast(self, message: DoCast) -> None:
        """See `DoCast`."""
        await message.work(self)

    @handle_info(Tick)
    async def tick(self, message: Tick) -> None:
        """See `Tick`."""
        self.write(message.text)

    @handle_info(Down)
    async def down(self, message: Down) -> None:
        """Keep it."""
        self.board.downs.append(message)
        self.write("down")


@define
class Hold:
    """Work that writes down `held`, then waits until it is released (or cancelled)."""

    begun: trio.Event = field(factory=trio.Event)
    released: trio.Event = field(factory=trio.Event)

    async def __call__(self, desk: Desk) -> str:
        """The work."""
        desk.write("held")
        self.begun.set()
        await self.released.wait()
        return "released"

    def release(self) -> None:
        """Let the work end."""
        self.released.set()


async def crash(_desk: Desk) -> None:
    """Work that crashes."""
    raise Boom("at work")


async def stop_self(desk: Desk) -> None:
    """Work after which the actor ends by itself."""
    desk.stop()


async def hang(desk: Desk) -> None:
    """Work that never ends by itself, also as the body of an async-function child."""
    del desk
    await trio.sleep_forever()


def pause(seconds: float) -> Work:
    """Work that takes its time."""

    async def work(_desk: Desk) -> None:
        await trio.sleep(seconds)

    return work


@define
class Outcome:
    """What became of an operation in a task of its own: a value, or the exception.

    Args:
        result: the value or the exception, None before the end.
        at: when it ended, on Trio's clock.
    """

    result: object = None
    at: float | None = None
    _ended: trio.Event = field(factory=trio.Event)

    @property
    def pending(self) -> bool:
        """Whether it has not ended."""
        return self.at is None

    async def run(self, operation: Callable[[], Awaitable[object]]) -> None:
        """Run the operation to its end; its failure is a result."""
        try:
            self.result = await operation()
        except Exception as error:  # noqa: BLE001 - the failure is what the tests look at
            self.result = error
        except BaseException as error:
            self.result = error
            raise
        finally:
            self.at = trio.current_time()
            self._ended.set()

    async def wait(self) -> object:
        """The result, once it is there."""
        await self._ended.wait()
        return self.result

    async def error(self) -> BaseException:
        """The exception that it ended with."""
        result = await self.wait()
        if isinstance(result, BaseException):
            return result
        raise AssertionError(f"it succeeded with {result!r}")


async def begin(nursery: trio.Nursery, operation: Callable[[], Awaitable[object]]) -> Outcome:
    """Start an operation in a task of its own, and return when nothing moves any more."""
    outcome = Outcome()
    nursery.start_soon(outcome.run, operation)
    await trio.testing.wait_all_tasks_blocked()
    return outcome


async def ask(
    nursery: trio.Nursery, ref: ActorRef, message: Call[Any], *, timeout: float = 5.0
) -> Outcome:
    """Call in a task of its own; return when the call waits in its mailbox (or is answered)."""
    return await begin(nursery, lambda: ref.call(message, timeout=timeout))


async def ask_all(nursery: trio.Nursery, ref: ActorRef, texts: str) -> list[Outcome]:
    """One `Say` after the other for each word."""
    return [await ask(nursery, ref, Say(text)) for text in texts.split()]


async def occupy(nursery: trio.Nursery, ref: ActorRef, *, timeout: float = 60.0) -> "Occupied":
    """Give the actor a message in hand that stays there until released."""
    hold = Hold()
    call = await ask(nursery, ref, Do(hold), timeout=timeout)
    await hold.begun.wait()
    return Occupied(hold, call)


@frozen
class Occupied:
    """A message in hand: its gate, and the call that waits for it."""

    hold: Hold
    call: Outcome

    def release(self) -> None:
        """Let the message end."""
        self.hold.release()
