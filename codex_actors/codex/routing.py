"""Owns the decision how each attachment reaches the model. Pure.

Invariant: every attachment gets exactly one route, or the turn is refused: codex drops what it
cannot read and reports success, so nothing doubtful is passed to it. The bytes decide, and the
declared content type only where they cannot. Must not touch the disk.

| bytes                        | declared    | route    |
| an image that codex takes    | anything    | image    |
| anything else                | image/*     | refused  |
| anything else                | audio/*     | refused  |
| anything else                | other, SVG  | manifest |

What was uploaded goes by its file id if it is declared an image: its bytes are not here to be
judged.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from attrs import frozen

from codex_actors.codex.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from codex_actors.codex.images import ImageFacts
    from codex_actors.files import Attachment, UploadedFile

__all__ = [
    "IMAGE_TYPES",
    "Delivery",
    "Route",
    "check_goes_by_id",
    "check_id_is_readable",
    "media_type",
    "plan_delivery",
    "route",
]

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_MAX_STEM = 60
_MAX_SUFFIX = 12
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MODEL_TARGETS = frozenset({"openai", "codex"})


class Route(Enum):
    """How an attachment reaches the model."""

    IMAGE = "image"
    MANIFEST = "manifest"


@frozen
class Delivery:
    """One attachment's way: its route, and the name of its link.

    The name is of letters, digits, dots, underscores and one dash, and unique in its turn.
    """

    attachment: Attachment
    route: Route
    link_name: str


def route(attachment: Attachment, facts: ImageFacts) -> Route:
    """Decide for one attachment.

    Raises:
        DeliveryError: It would not arrive as what its owner declared it to be.
    """
    if facts.problem is None:
        return Route.IMAGE
    declared = media_type(attachment.content_type)
    # An SVG is a text that the agent can read, and no image to codex.
    if declared.startswith("image/") and declared != "image/svg+xml":
        raise DeliveryError(
            attachment,
            f"it is declared {declared}, but {facts.problem}; or stage it with another "
            "content_type to have the agent told of its path instead",
        )
    if declared.startswith("audio/"):
        raise DeliveryError(
            attachment,
            f"it is declared {declared}, and codex has no way to send audio: transcribe it; "
            "or stage it with another content_type to have the agent told of its path instead",
        )
    return Route.MANIFEST


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def check_goes_by_id(uploaded: UploadedFile, now: datetime) -> None:
    """Decide whether codex can show an uploaded file by its file id; codex checks nothing.

    Raises:
        DeliveryError: It would not arrive.
    """
    if media_type(uploaded.content_type) not in IMAGE_TYPES:
        raise DeliveryError(
            uploaded,
            f"it is declared {uploaded.content_type}, and only PNG, JPEG, GIF and WebP images go "
            "by file id: attach the staged file, of which the agent is told",
        )
    check_id_is_readable(uploaded, now)


def check_id_is_readable(uploaded: UploadedFile, now: datetime) -> None:
    """Decide whether a model can read a file by the id that it has at its target.

    Raises:
        DeliveryError: It cannot: the id is a path or a checksum, or the file has expired.
    """
    if uploaded.target not in _MODEL_TARGETS or uploaded.file_id == uploaded.checksum:
        reason = (
            f"its file id is of the target {uploaded.target!r}, which the model cannot read: "
            "attach the staged file, or upload it to OpenAITarget"
        )
    elif uploaded.expires_at is not None and uploaded.expires_at <= now:
        reason = f"it expired at {uploaded.expires_at:%Y-%m-%d %H:%M:%S} UTC: upload it again"
    else:
        return
    raise DeliveryError(uploaded, reason)


def plan_delivery(judged: Iterable[tuple[Attachment, ImageFacts]]) -> tuple[Delivery, ...]:
    """Decide for all attachments of a turn, in their order.

    Raises:
        DeliveryError: One of them would not arrive.
    """
    return tuple(
        Delivery(attachment, route(attachment, facts), _link_name(number, attachment.name, facts))
        for number, (attachment, facts) in enumerate(judged, start=1)
    )


def _link_name(number: int, name: str, facts: ImageFacts) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        stem, suffix = name, ""
    stem = _UNSAFE.sub("_", stem).strip("._")[:_MAX_STEM] or "file"
    suffix = _UNSAFE.sub("", suffix)[:_MAX_SUFFIX]
    ending = facts.suffix or (f".{suffix}" if suffix else "")
    return f"{number}-{stem}{ending}"
