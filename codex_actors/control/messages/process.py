"""Owns what may be asked of the process: who it is, what it does, what happened, how it ends."""

from attrs import frozen

from codex_actors.control.messages.base import Request

__all__ = [
    "Cancel",
    "Drain",
    "Dump",
    "Events",
    "Hello",
    "Shutdown",
    "Status",
]


@frozen(kw_only=True)
class Hello(Request):
    """Who is there: version, pid, state, staging directory, methods."""

    method = "process.hello"


@frozen(kw_only=True)
class Status(Request):
    """The state of the process, and the operations under way and lately ended."""

    method = "process.status"


@frozen(kw_only=True)
class Drain(Request):
    """Finish what was admitted, then end.

    Attributes:
        timeout: Seconds until what is not finished is cancelled; None for the process's setting.
    """

    method = "process.drain"
    timeout: float | None = None


@frozen(kw_only=True)
class Shutdown(Request):
    """End: every actor finishes the message in hand.

    Attributes:
        now: Cancel instead; cleanup still runs.
    """

    method = "process.shutdown"
    now: bool = False


@frozen(kw_only=True)
class Events(Request):
    """What has happened, the oldest first.

    Attributes:
        last: How many of those that are kept.
        after: Only those with a higher sequence number.
        kinds: Only those whose kind is one of these, or begins with one and a dot or underscore.
        path: Only those of this actor and of what is below it.
        follow: Go on with what happens, as notes, until cancelled.
    """

    method = "process.events"
    last: int | None = None
    after: int | None = None
    kinds: tuple[str, ...] = ()
    path: str | None = None
    follow: bool = False


@frozen(kw_only=True)
class Cancel(Request):
    """Give an operation up.

    Attributes:
        operation: Its number, as `Status` shows it.
    """

    method = "process.cancel"
    operation: int


@frozen(kw_only=True)
class Dump(Request):
    """Where the tasks stand: their stacks, without values.

    Attributes:
        path: Only those of this actor and of what is below it.
    """

    method = "process.dump"
    path: str | None = None
