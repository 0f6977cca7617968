"""Owns the adding of attachments to options, and their removal.

Invariant: pure; one attachment, told by checksum and name, stands once and keeps its place. Must
not know what the options are for.
"""

from typing import Any, Protocol, TypeVar, cast

import attrs

from codex_actors.files.model import Attachment

__all__ = ["HasAttachments", "attach", "detach"]


class HasAttachments(Protocol):
    """A frozen attrs class with a tuple of attachments."""

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is attached, in order."""
        ...


O = TypeVar("O", bound=HasAttachments)  # noqa: E741 - the options


def attach(options: O, attachment: Attachment) -> O:
    """Return options with one more attachment, or with this one in the place of its older self."""
    kept = options.attachments
    if any(other.key == attachment.key for other in kept):
        fresh = tuple(attachment if other.key == attachment.key else other for other in kept)
    else:
        fresh = (*kept, attachment)
    return _with(options, fresh)


def detach(options: O, attachment: Attachment) -> O:
    """Return options without an attachment; the same options if they do not hold it."""
    rest = tuple(other for other in options.attachments if other.key != attachment.key)
    return options if len(rest) == len(options.attachments) else _with(options, rest)


def _with(options: O, attachments: tuple[Attachment, ...]) -> O:
    return cast("O", attrs.evolve(cast("Any", options), attachments=attachments))
