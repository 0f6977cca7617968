"""Which method of an actor handles which message.

The decorators only leave a note on the function; `collect` reads the notes when the
class is made, so that looking up a handler is one dictionary access.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

import trio
from attrs import frozen

from .messages import Call, Cast, Info
from .user_code import call_user

if TYPE_CHECKING:
    from .calls import Reply

R = TypeVar("R")
A = TypeVar("A")
M_co = TypeVar("M_co", covariant=True)
M = TypeVar("M", bound="Call[Any]")
C = TypeVar("C", bound=Cast)
I = TypeVar("I", bound=Info)  # noqa: E741 - as M and C: the initial of what it stands for

_NOTE = "__codex_actors_handles__"


class HandlerKind(enum.Enum):
    """How a message reaches its handler."""

    CALL = "call"
    CAST = "cast"
    INFO = "info"


@frozen
class Handler:
    """One handler: the message it takes, and how its outcome is an answer.

    `raises` are the exceptions that are answers, not crashes.
    """

    message: type
    kind: HandlerKind
    function: Callable[..., Awaitable[Any]]
    raises: tuple[type[Exception], ...] = ()
    deferred: bool = False


@frozen
class Handlers:
    """The handlers of a class, each by the type of its message."""

    calls: Mapping[type, Handler]
    casts: Mapping[type, Handler]
    infos: Mapping[type, Handler]


NO_HANDLERS: Final = Handlers({}, {}, {})


class _CallDecorator(Generic[M_co]):
    """Types what `@handle_call(M)` decorates: a method from an M to M's answer."""

    def __init__(self, message: type, raises: tuple[type[Exception], ...]) -> None:
        self._message = message
        self._raises = raises

    def __call__(
        self: "_CallDecorator[Call[R]]", function: Callable[[A, M_co], Awaitable[R]]
    ) -> Callable[[A, M_co], Awaitable[R]]:
        return _note(function, Handler(self._message, HandlerKind.CALL, function, self._raises))


class _DeferredDecorator(Generic[M_co]):
    """Types what `@handle_call(M, deferred=True)` decorates."""

    def __init__(self, message: type, raises: tuple[type[Exception], ...]) -> None:
        self._message = message
        self._raises = raises

    def __call__(
        self: "_DeferredDecorator[Call[R]]",
        function: Callable[[A, M_co, "Reply[R]"], Awaitable[None]],
    ) -> Callable[[A, M_co, "Reply[R]"], Awaitable[None]]:
        handler = Handler(self._message, HandlerKind.CALL, function, self._raises, deferred=True)
        return _note(function, handler)


@overload
def handle_call(
    message: type[M],
    *,
    raises: tuple[type[Exception], ...] = (),
    deferred: Literal[False] = False,
) -> _CallDecorator[M]: ...
@overload
def handle_call(
    message: type[M], *, raises: tuple[type[Exception], ...] = (), deferred: Literal[True]
) -> _DeferredDecorator[M]: ...
def handle_call(
    message: type[Any], *, raises: tuple[type[Exception], ...] = (), deferred: bool = False
) -> _CallDecorator[Any] | _DeferredDecorator[Any]:
    """Declare a method as the handler of a `Call`; what it returns is the answer.

    Args:
        message: the message class.
        raises: exceptions that are an answer: they are raised in the caller, and the
            actor lives on.  Any other exception crashes the actor, and the caller gets
            `ActorDied` with it as `__cause__`.
        deferred: the method takes a `Reply` too, and may answer after it has returned
            (as OTP's `gen_server:reply/2`).

    Raises:
        TypeError: `message` is not a Call, or `raises` holds what is no Exception class.
    """
    _check(message, Call, "handle_call")
    for error in raises:
        _check(error, Exception, f"handle_call({message.__name__}, raises=...)")
    if deferred:
        return _DeferredDecorator(message, tuple(raises))
    return _CallDecorator(message, tuple(raises))


def handle_cast(
    message: type[C],
) -> Callable[[Callable[[A, C], Awaitable[None]]], Callable[[A, C], Awaitable[None]]]:
    """Declare a method as the handler of a `Cast`.

    Raises:
        TypeError: `message` is not a Cast.
    """
    _check(message, Cast, "handle_cast")

    def decorate(function: Callable[[A, C], Awaitable[None]]) -> Callable[[A, C], Awaitable[None]]:
        return _note(function, Handler(message, HandlerKind.CAST, function))

    return decorate


def handle_info(
    message: type[I],
) -> Callable[[Callable[[A, I], Awaitable[None]]], Callable[[A, I], Awaitable[None]]]:
    """Declare a method as the handler of an `Info`: `Down`, or a timer's message.

    Raises:
        TypeError: `message` is not an Info.
    """
    _check(message, Info, "handle_info")

    def decorate(function: Callable[[A, I], Awaitable[None]]) -> Callable[[A, I], Awaitable[None]]:
        return _note(function, Handler(message, HandlerKind.INFO, function))

    return decorate


F = TypeVar("F", bound=Callable[..., Any])


def _note(function: F, handler: Handler) -> F:
    notes: tuple[Handler, ...] = getattr(function, _NOTE, ())
    setattr(function, _NOTE, (*notes, handler))
    return function


def _check(message: object, base: type, decorator: str) -> None:
    if not (isinstance(message, type) and issubclass(message, base)):
        raise TypeError(f"{decorator}: {message!r} is not a subclass of {base.__name__}")


def collect(actor_class: type) -> Handlers:
    """The handlers of a class; a subclass's override its bases'.

    A method that overrides a handler without a decorator of its own still is the handler.
    """
    found: dict[type, Handler] = {}
    for base in reversed(actor_class.__mro__):
        for name, value in vars(base).items():
            for handler in getattr(value, _NOTE, ()):
                found.pop(handler.message, None)
                if _still_handles(actor_class, name, handler):
                    found[handler.message] = _rebound(actor_class, name, handler)
    calls, casts, infos = (
        {message: handler for message, handler in found.items() if handler.kind is kind}
        for kind in (HandlerKind.CALL, HandlerKind.CAST, HandlerKind.INFO)
    )
    return Handlers(calls, casts, infos)


def _still_handles(actor_class: type, name: str, handler: Handler) -> bool:
    """Whether the method of that name, maybe overridden since, is for this message."""
    notes: tuple[Handler, ...] = getattr(getattr(actor_class, name), _NOTE, ())
    return not notes or any(note.message is handler.message for note in notes)


def _rebound(actor_class: type, name: str, handler: Handler) -> Handler:
    current = getattr(actor_class, name)
    if isinstance(current, FunctionType):
        # Ctrl-C may land in it, though the loop that calls it is the framework's.
        trio.lowlevel.disable_ki_protection(current)
    else:
        current = partial(call_user, current)
    return Handler(handler.message, handler.kind, current, handler.raises, handler.deferred)
