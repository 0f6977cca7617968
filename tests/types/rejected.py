"""What both type checkers must reject: each wrong line names the errors it must get.

Never run, and not part of the ordinary run of the checkers: `test_types.py` has them
judge it, and compares every error with the comment on its line.
"""

from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    Cast,
    ChildSpec,
    DynamicSupervisor,
    Info,
    Reply,
    Supervisor,
    SupervisorSpec,
    handle_call,
    handle_cast,
    handle_info,
)


@frozen
class Add(Call[int]):
    """Answered with a number."""

    amount: int


@frozen
class Find(Call[str]):
    """Answered with a text."""


@frozen
class Log(Cast):
    """Not answered."""


@frozen
class Tick(Info):
    """From a timer."""


class Handlers(Actor):
    """Handlers that do not fit their messages."""

    @handle_call(Add)  # mypy: arg-type; pyright: reportArgumentType
    async def wrong_answer(self, message: Add) -> str:
        """Return a text for a number."""
        return "three"

    @handle_call(Add)  # mypy: arg-type; pyright: reportArgumentType
    async def wrong_message(self, message: Find) -> int:
        """Take another message."""
        return 3

    @handle_call(Add)  # mypy: arg-type; pyright: reportArgumentType
    def not_async(self, message: Add) -> int:
        """Return at once."""
        return 3

    @handle_call(Log)  # mypy: type-var; pyright: reportArgumentType
    async def a_cast(self, message: Log) -> None:
        """Answer what is not asked."""

    @handle_call(Add, raises=(int,))  # mypy: arg-type; pyright: reportArgumentType
    async def raises_no_exception(self, message: Add) -> int:
        """Declare what cannot be raised."""
        return 3

    @handle_call(Add, deferred=True)  # mypy: arg-type; pyright: reportArgumentType
    async def without_reply(self, message: Add) -> None:
        """Have no way to answer."""

    @handle_call(Add, deferred=True)  # mypy: arg-type; pyright: reportArgumentType
    async def wrong_reply(self, message: Add, reply: Reply[str]) -> None:
        """Answer with a text."""

    @handle_call(Add)  # mypy: arg-type; pyright: reportArgumentType
    async def reply_without_deferred(self, message: Add, reply: Reply[int]) -> int:
        """Ask for a reply that nobody hands out."""
        return 3

    @handle_cast(Log)  # mypy: arg-type; pyright: reportArgumentType
    async def answering_cast(self, message: Log) -> int:
        """Answer a cast."""
        return 3

    @handle_cast(Add)  # mypy: type-var; pyright: reportArgumentType
    async def call_as_cast(self, message: Add) -> None:
        """Leave a question unanswered."""

    @handle_info(Log)  # mypy: type-var; pyright: reportArgumentType
    async def cast_as_info(self, message: Log) -> None:
        """Take a cast from nowhere."""

    async def init(self) -> None:
        """Have timers tell what is no info."""
        self.send_after(1.0, Log())  # mypy: arg-type; pyright: reportArgumentType
        self.send_interval("1", Tick())  # mypy: arg-type; pyright: reportArgumentType


async def messages(ref: ActorRef, reply: Reply[int]) -> None:
    """Messages sent the wrong way."""
    await ref.call(Log())  # mypy: arg-type; pyright: reportArgumentType
    await ref.call(Tick())  # mypy: arg-type; pyright: reportArgumentType
    await ref.cast(Add(2))  # mypy: arg-type; pyright: reportArgumentType
    ref.cast_nowait(Find())  # mypy: arg-type; pyright: reportArgumentType
    text: str = await ref.call(Add(2))  # mypy: arg-type; pyright: reportAssignmentType
    print(text)  # noqa: T201 - never run
    reply.send("three")  # mypy: arg-type; pyright: reportArgumentType
    reply.error(KeyboardInterrupt())  # mypy: arg-type; pyright: reportArgumentType


async def trees(static: Supervisor, pool: DynamicSupervisor, ref: ActorRef) -> None:
    """Children named the wrong way, and specs of the wrong types."""
    await static.terminate_child(ref)  # mypy: arg-type; pyright: reportArgumentType
    await pool.terminate_child("child")  # mypy: arg-type; pyright: reportArgumentType
    pool.restart_child("child")  # mypy: attr-defined; pyright: reportAttributeAccessIssue
    ChildSpec("child", Handlers, restart=7)  # mypy: arg-type; pyright: reportArgumentType
    ChildSpec("child", 7)  # mypy: arg-type; pyright: reportArgumentType
    ChildSpec("child", Handlers, ())  # mypy: call-arg; pyright: reportCallIssue
    SupervisorSpec([Handlers])  # mypy: list-item; pyright: reportArgumentType
