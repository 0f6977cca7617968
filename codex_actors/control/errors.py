"""Owns what can go wrong between a supervisor process and those who ask it.

Invariant: each says what is wrong and what to do; those that a supervisor answers with cross the
wire by their code. Must not know exit codes: the command line chooses those.
"""

from collections.abc import Mapping
from typing import Any

__all__ = [
    "AddressHeld",
    "AddressRefused",
    "Ambiguous",
    "Busy",
    "ControlError",
    "InvalidParams",
    "Leaving",
    "NoFiles",
    "NoSupervisor",
    "NotFound",
    "NotRunning",
    "OperationCancelled",
    "RequestFailed",
    "Starting",
    "UnknownMethod",
    "Unreachable",
]


class ControlError(Exception):
    """The base of these errors."""


class NotRunning(ControlError):
    """No supervisor runs there: there is no socket, or nobody listens at it."""


class Unreachable(ControlError):
    """Somebody is there, but does not answer: too slow, not ours to ask, or gone meanwhile."""


class AddressRefused(ControlError):
    """A socket cannot be where it was wanted; the message says why."""


class AddressHeld(ControlError):
    """Another supervisor that lives holds the address, or the staging directory.

    Attributes:
        pid: Its process, None when that could not be told.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class RequestFailed(ControlError):
    """A supervisor answered a request with an error.

    Attributes:
        message: What was wrong, for people.
        code: As of JSON-RPC 2.0; from -32000 downwards our own.
        kind: The name of the error's class, where it has one.
        data: More about it.
    """

    code: int = -32000

    def __init__(
        self,
        message: str,
        code: int | None = None,
        kind: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = type(self).code if code is None else code
        self.kind = kind if kind is not None else type(self).__name__
        self.data = dict(data or {})


class UnknownMethod(RequestFailed):
    """There is no such request."""

    code = -32601


class InvalidParams(RequestFailed):
    """The parameters of a request make no sense; the message names the first that does not."""

    code = -32602


class Starting(RequestFailed):
    """The tree is not up yet."""

    code = -32001


class Leaving(RequestFailed):
    """The supervisor is ending, and takes no more."""

    code = -32001


class NoFiles(RequestFailed):
    """This supervisor runs no tree of files."""

    code = -32002


class NoSupervisor(RequestFailed):
    """What was asked for needs a supervisor process, and this is none."""


class NotFound(RequestFailed):
    """There is no actor, attachment or operation of that name."""

    code = -32003


class Ambiguous(NotFound):
    """Several attachments are called that; `data["candidates"]` tells which."""


class OperationCancelled(RequestFailed):
    """Somebody gave the operation up."""

    code = -32004


class Busy(RequestFailed):
    """More clients, or more at once from one client, than the supervisor takes."""

    code = -32005
