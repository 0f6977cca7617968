"""Every error that the framework raises; each subclasses Trio's where one exists."""

from typing import TYPE_CHECKING, Any

import trio

from .exits import NORMAL, ExitReason, describe

if TYPE_CHECKING:
    from .ref import ActorRef


class ActorError(Exception):
    """The base of all errors of the framework.

    Pickled, for another process or a log, it keeps its text and what else is text: its ref
    is left behind, and live exceptions in it become their descriptions.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self._portable())

    def _portable(self) -> dict[str, Any]:
        """The attributes that go with it into another process."""
        return vars(self)


def _without_ref(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "ref"}


def _restore(kind: type[ActorError], args: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """An error as it was pickled; its constructor would build its message a second time."""
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class SpecError(ActorError, ValueError):
    """A spec that cannot be supervised; the message names the field."""


class IgnoreChild(ActorError):
    """Raised by a child's `init` to say: do not run me, and that is fine.

    As `ignore` from OTP's `init/1`: no process and no failure.
    """


class CallTimeout(ActorError, trio.TooSlowError):
    """No answer within the caller's timeout; the actor lives on, a late answer is dropped."""


class ActorStopped(ActorError, trio.ClosedResourceError):
    """The actor is not running and not coming back.

    Attributes:
        ref: the place that was addressed.
        reason: why its last incarnation ended.
    """

    def __init__(self, ref: "ActorRef", reason: ExitReason | None = None) -> None:
        self.ref = ref
        self.reason = NORMAL if reason is None else reason
        super().__init__(f"{ref.path or 'the supervisor'!s} is not running ({self.reason})")

    def _portable(self) -> dict[str, Any]:
        return _without_ref(super()._portable()) | {"reason": self.reason.as_text()}


class ActorDied(ActorStopped):
    """The actor ended before it answered this call; a crash is the `__cause__`."""

    def __init__(self, ref: "ActorRef", reason: ExitReason | None = None) -> None:
        super().__init__(ref, reason)
        self.args = (f"{ref.path} ended before it answered ({self.reason})",)
        self.__cause__ = self.reason.error


class ReplyDropped(ActorError):
    """A deferred `Reply` was garbage-collected without an answer."""


class MailboxFull(ActorError, trio.WouldBlock):
    """`cast_nowait` found no room; `cast` would wait for it."""


class CallCycle(ActorError):
    """A call that could never be answered, because its target waits for the caller.

    Attributes:
        path: the places from the caller round to itself.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path
        super().__init__("this would wait for itself: " + " -> ".join(path))


class UnhandledMessage(ActorError, TypeError):
    """The receiver has no handler for messages of this type."""


class ChildStartError(ActorError):
    """A child could not be started; the `__cause__` is its own error.

    Attributes:
        child_id: the id of the child that failed.
    """

    def __init__(self, child_id: str, cause: BaseException | None = None) -> None:
        self.child_id = child_id
        why = f" ({describe(cause)})" if cause is not None else ""
        super().__init__(f"child {child_id!r} could not be started{why}")
        self.__cause__ = cause


class ChildAlreadyStarted(ActorError):
    """A child with this id is running.

    Attributes:
        ref: the running child.
    """

    def __init__(self, ref: "ActorRef") -> None:
        self.ref = ref
        super().__init__(f"child {ref.path!r} is already running")

    def _portable(self) -> dict[str, Any]:
        return _without_ref(super()._portable())


class ChildAlreadyPresent(ActorError):
    """A spec with this id is kept, though it is not running; restart or delete it."""


class ChildRunning(ActorError):
    """The operation needs a terminated child, and this one runs; terminate it first."""


class ChildRestarting(ActorError):
    """The operation needs a terminated child, and this one is being restarted."""


class ChildNotFound(ActorError):
    """The supervisor has no such child."""


class MaxChildrenReached(ActorError):
    """The dynamic supervisor has as many children as `max_children` admits."""


class ChildIgnored(ActorError):
    """The new child of a dynamic supervisor raised `IgnoreChild`; nothing was kept."""


class RestartIntensityExceeded(ActorError):
    """More restarts than `max_restarts` within `max_seconds`: the supervisor gave up.

    Attributes:
        crashes: the errors inside the window, in order, failed starts included.
    """

    def __init__(self, message: str, crashes: tuple[BaseException, ...] = ()) -> None:
        self.crashes = crashes
        super().__init__(message)
        if crashes:
            self.__cause__ = BaseExceptionGroup("the crashes inside the window", crashes)

    def _portable(self) -> dict[str, Any]:
        crashes = tuple(ActorError(describe(crash)) for crash in self.crashes)
        return super()._portable() | {"crashes": crashes}
