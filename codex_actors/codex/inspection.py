"""Owns the look at an attachment's file right before a turn.

Invariant: what passes is there, a regular file of the recorded size, and readable: codex reports a
missing image as success and hangs on a FIFO. Must not decide how it is delivered.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from codex_actors.codex.errors import DeliveryError
from codex_actors.codex.images import ImageFacts, inspect_image

if TYPE_CHECKING:
    from codex_actors.files import Attachment

__all__ = ["inspect_attachment"]


def inspect_attachment(attachment: Attachment) -> ImageFacts:
    """Check the file and judge it as an image. Blocks: call it in a thread.

    Raises:
        DeliveryError: The file is missing, is none, was changed, or cannot be read.
    """
    path = attachment.path
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DeliveryError(attachment, f"{path} is not a regular file: stage it again")
        if status.st_size != attachment.size:
            raise DeliveryError(
                attachment,
                f"{path} has {status.st_size:,} bytes instead of the {attachment.size:,} that were "
                "staged: stage it again",
            )
        return inspect_image(path)
    except FileNotFoundError as error:
        raise DeliveryError(attachment, f"{path} does not exist: stage it again") from error
    except OSError as error:
        raise DeliveryError(attachment, f"{path} cannot be read ({error.strerror})") from error
