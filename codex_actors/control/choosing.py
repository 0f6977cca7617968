"""Owns what people may call an attachment: by its name, its checksum, or the beginning of that.

Invariant: pure. One attachment is meant, or the error lists those that could be. Must not know
where the attachments come from.
"""

import re
from collections.abc import Iterable

from codex_actors.control.errors import Ambiguous, NotFound
from codex_actors.files import Attachment

__all__ = ["choose", "label", "not_found"]

SHORTEST = 4
_DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},}}")
_SHOWN = 10
_LABEL_DIGITS = 12


def choose(attachments: Iterable[Attachment], what: str) -> Attachment:
    """Return the attachment that somebody means.

    Args:
        attachments: All there are.
        what: Its name; its checksum, or at least four digits that it begins with; or
            `CHECKSUM/NAME`, which tells two names of one content apart.

    Raises:
        NotFound: None is called that.
        Ambiguous: Several are; the message lists them.
    """
    digits, slash, name = what.partition("/")
    digits = digits.lower()
    if not _DIGITS.fullmatch(digits):
        digits = ""

    def is_meant(each: Attachment) -> bool:
        begins = bool(digits) and each.checksum.startswith(digits)
        return (begins and each.name == name) if slash else (begins or each.name == what)

    found = [each for each in attachments if is_meant(each)]
    if not found:
        raise not_found(what)
    if len(found) > 1:
        raise _ambiguous(what, [label(each) for each in found])
    return found[0]


def not_found(what: str) -> NotFound:
    """Return the error that says that nothing is called that."""
    return NotFound(
        f"nothing that is staged is called {what!r}: give its name, its checksum, or at least"
        f" {SHORTEST} digits of that, as `list` shows them"
    )


def label(attachment: Attachment) -> str:
    """Return what means this attachment only, short enough to be read."""
    return f"{attachment.checksum[:_LABEL_DIGITS]}/{attachment.name}"


def _ambiguous(what: str, labels: list[str]) -> Ambiguous:
    more = len(labels) - _SHOWN
    shown = ", ".join(labels[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return Ambiguous(
        f"{what!r} means {len(labels)} attachments: give one of {shown}",
        data={"candidates": labels[:_SHOWN]},
    )
