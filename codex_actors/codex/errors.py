"""Owns the errors of talking to codex.

Invariant: a message names the thing, what is wrong with it and what to do, and holds no value of an
environment variable (`redact` sees to that before text comes here). Must not know processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from codex_actors.files import Attachment, UploadedFile

__all__ = [
    "CodexDied",
    "CodexError",
    "CodexNotFound",
    "DeliveryError",
    "InvalidPrompt",
    "InvalidTimeout",
    "NotRecorded",
    "RequestRefused",
    "TurnInterrupted",
    "TurnTimeout",
]


class CodexError(Exception):
    """A codex turn could not be run, or failed.

    Attributes:
        exit_code: The exit status of codex; negative for the signal that ended it; None when codex
            had not ended by itself.
        stderr: The end of what codex wrote to standard error, secrets replaced.
    """

    def __init__(self, message: str, *, exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self) -> str:
        """Return the message, then what codex said on standard error."""
        message = super().__str__()
        return (
            f"{message}\n--- end of codex's stderr ---\n{self.stderr}" if self.stderr else message
        )


class CodexNotFound(CodexError):
    """There is no codex executable where one was looked for."""


class InvalidPrompt(CodexError, ValueError):
    """The prompt cannot be handed to codex."""


class InvalidTimeout(CodexError, ValueError):
    """The `timeout` is one within which no turn could end; nothing was looked at."""


class TurnTimeout(CodexError, trio.TooSlowError):
    """The turn took longer than its `timeout`; codex and what it had started were ended."""


class TurnInterrupted(CodexError):
    """The turn was ended by `interrupt` before it had completed."""


class CodexDied(CodexError):
    """The app-server ended, or was ended, while something was asked of it.

    It is started again; whether what was asked has been done is not known.
    """


class RequestRefused(CodexError):
    """The app-server refused a request.

    Attributes:
        code: The JSON-RPC error code, for example -32602.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class NotRecorded(CodexError, ValueError):
    """An attachment cannot be recorded with a thread; nothing was sent."""


class DeliveryError(CodexError):
    """An attachment would not arrive, so the turn was not started.

    Attributes:
        attachment: The attachment that is refused, or the address that was given for one.
        reason: Why, and what to do.
    """

    def __init__(self, attachment: Attachment | UploadedFile | str, reason: str) -> None:
        name = attachment if isinstance(attachment, str) else attachment.name
        super().__init__(f"attachment {name!r} cannot be delivered: {reason}")
        self.attachment = attachment
        self.reason = reason
