"""What happened in a tree, as data: frozen classes, each a line of text and a document.

Events are delivered synchronously, in the order of what happened, to plain callables.
The core emits and never logs; a handler that raises is reported and detached.
"""

import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import trio
from attrs import asdict, frozen

from .exits import ExitReason, describe


@frozen(kw_only=True)
class Event:
    """The base of all events.

    Args:
        path: the child it is about; empty for the root.
    """

    kind: ClassVar[str] = "event"
    path: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.__name__.removesuffix("Event")
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    def to_dict(self) -> dict[str, Any]:
        """The event as a JSON document; errors and reasons are text, no limit is "infinity"."""
        return {"kind": self.kind, **asdict(self, recurse=False, value_serializer=_plain)}

    def _text(self) -> str:
        return ""

    def __str__(self) -> str:
        text = " ".join(self._text().split())
        return f"{self.kind} {self.path or '(root)'}{': ' + text if text else ''}"


def _plain(_instance: object, _field: object, value: object) -> object:
    if isinstance(value, ExitReason):
        return str(value)
    if isinstance(value, BaseException):
        return describe(value)
    return "infinity" if value == math.inf else value


@frozen(kw_only=True)
class ChildStarted(Event):
    """A child acknowledged its start.

    Args:
        path: the child.
        incarnation: which of its lives began, counted from 1.
    """

    incarnation: int

    def _text(self) -> str:
        return f"incarnation {self.incarnation}"


@frozen(kw_only=True)
class ChildStartFailed(Event):
    """A child's start failed, timed out or was called off; nothing of it is left.

    Args:
        path: the child.
        reason: a crash with the error of its start, or by what it was called off.
    """

    reason: ExitReason

    def _text(self) -> str:
        return str(self.reason)


@frozen(kw_only=True)
class ChildStartIgnored(Event):
    """A child raised `IgnoreChild` from its `init`.

    Args:
        path: the child.
    """


@frozen(kw_only=True)
class ChildExited(Event):
    """A child's incarnation is gone, its cleanup included.

    Args:
        path: the child.
        reason: why it ended, with the live exception of a crash.
    """

    reason: ExitReason

    def _text(self) -> str:
        return str(self.reason)


@frozen(kw_only=True)
class ChildRestartingEvent(Event):
    """A child will be started again, after `delay` seconds of backoff; kind `child_restarting`.

    The plain name belongs to the error that `restart_child` raises for a child in that
    state.

    Args:
        path: the child.
        restarts: how many restarts count in the window, this one included.
        delay: seconds until it is started, 0 without a backoff.
    """

    restarts: int
    delay: float

    def _text(self) -> str:
        pause = f", in {self.delay:.3g} s" if self.delay else ""
        return f"restart {self.restarts} in the window{pause}"


@frozen(kw_only=True)
class ChildShutdownError(Event):
    """A child ended its stop with another reason than the one it was asked for.

    As the `shutdown_error` of an OTP supervisor report; the stop of the others goes on.

    Args:
        path: the child.
        asked: the reason that it was asked to end with.
        reason: the one that it ended with.
    """

    asked: ExitReason
    reason: ExitReason

    def _text(self) -> str:
        return f"asked for {self.asked}, ended by {self.reason}"


@frozen(kw_only=True)
class ChildCleanupFailed(Event):
    """A child's `terminate` raised, or was cut short at its `cleanup_timeout`.

    Args:
        path: the child.
        error: what it raised, or a `TooSlowError`.
    """

    error: BaseException

    def _text(self) -> str:
        return describe(self.error)


@frozen(kw_only=True)
class ChildUnresponsive(Event):
    """A child was cancelled, has outlived every deadline, and is still waited for.

    Args:
        path: the child.
        waited: seconds since it was cancelled, or since it started if it was not.
        stack: where its task hangs, as a traceback prints it.
    """

    waited: float
    stack: str

    def _text(self) -> str:
        lines = self.stack.strip().splitlines()
        place = f", at {lines[-1].strip()}" if lines else ""
        return f"still running {self.waited:.3g} s after it was cancelled{place}"


@frozen(kw_only=True)
class RestartIntensityReached(Event):
    """A supervisor gave up: more than `max_restarts` within `max_seconds`.

    Args:
        path: the supervisor.
        max_restarts: what its window tolerates.
        max_seconds: the length of the window, in seconds.
    """

    max_restarts: int
    max_seconds: float

    def _text(self) -> str:
        return f"more than {self.max_restarts} restarts within {self.max_seconds:g} s"


@frozen(kw_only=True)
class RestartIntensityUnreachable(Event):
    """A warning at start: the settings of a child keep the intensity from ever tripping.

    Args:
        path: the supervisor.
        child: the id of the child.
        why: which setting, in words.
    """

    child: str
    why: str

    def _text(self) -> str:
        return f"child {self.child!r}: {self.why}"


@frozen(kw_only=True)
class InfoDropped(Event):
    """An info was not handled: its actor is slower than its interval, or has ended.

    Args:
        path: the actor.
        info: the type of the info.
        why: which of the two.
    """

    info: str
    why: str

    def _text(self) -> str:
        return f"{self.info} ({self.why})"


@frozen(kw_only=True)
class CastUnhandled(Event):
    """A cast, sent before the receiver's class was known, has no handler there.

    Args:
        path: the actor.
        message: the type of the cast.
    """

    message: str

    def _text(self) -> str:
        return self.message


@frozen(kw_only=True)
class SupervisorStopping(Event):
    """A supervisor begins to stop its children.

    Args:
        path: the supervisor, empty for the root.
        why: on whose behalf, or because of what.
    """

    why: str

    def _text(self) -> str:
        return self.why


@frozen(kw_only=True)
class HandlerDetached(Event):
    """An event handler raised, and is called no more.

    Args:
        path: the path of the event at which it raised.
        handler: its name.
        error: what it raised.
    """

    handler: str
    error: BaseException

    def _text(self) -> str:
        return f"{self.handler}: {describe(self.error)}"


EventHandler: TypeAlias = Callable[[Event], object]
"""Called with every event, synchronously: it must not block.  What it returns is ignored."""


class EventHub:
    """Where the events of one tree go."""

    __slots__ = ("_handlers",)

    def __init__(self, handlers: tuple[EventHandler, ...] = ()) -> None:
        # Keyed by identity of the attachment: one handler may be attached twice.
        self._handlers: dict[object, EventHandler] = {object(): handler for handler in handlers}

    def __bool__(self) -> bool:
        return bool(self._handlers)

    @trio.lowlevel.enable_ki_protection
    def attach(self, handler: EventHandler) -> Callable[[], None]:
        """Have `handler` called with every event from now on.

        It is called synchronously, between two steps of the tree: it must not block, and
        it cannot await.  When it raises, it is detached and `HandlerDetached` is emitted.

        Returns:
            A function that detaches it; calling that twice does nothing.
        """
        key = object()
        self._handlers[key] = handler

        def detach() -> None:
            self._handlers.pop(key, None)

        return detach

    def emit(self, event: Event) -> None:
        """Deliver one event to all handlers, in the order of their attachment."""
        broken: list[HandlerDetached] = []
        for key, handler in tuple(self._handlers.items()):
            if key not in self._handlers:
                continue
            try:
                handler(event)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the tree must go on
                self._handlers.pop(key, None)
                name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
                broken.append(HandlerDetached(path=event.path, handler=name, error=error))
        # The others hear of the event first, then of the one that broke at it.
        for report in broken:
            self.emit(report)
