"""Owns what is recorded of an attachment with a thread. Pure.

Invariant: one content is one record (`identityKey` is its checksum), whatever its names are; no
local path is recorded; nothing is sent that codex would refuse for its size. Must not know
requests.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

from codex_actors.codex.errors import NotRecorded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_actors.files import Attachment

__all__ = [
    "ATTACHMENT_TYPE",
    "MAX_KEY",
    "MAX_PAYLOAD",
    "MAX_RECORDS",
    "Record",
    "ThreadAttachment",
    "identity_of",
    "parse_attachments",
    "record_of",
]

ATTACHMENT_TYPE = "codex_actors.file"
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_PAYLOAD = 65_536
"""Bytes of a payload, written as compact JSON in UTF-8."""
MAX_KEY = 256
"""Bytes of an identity key."""
MAX_RECORDS = 100
"""Records that one thread can have, of all types together."""


@frozen
class Record:
    """What is recorded of one attachment."""

    key: str
    payload: dict[str, Any] = field(repr=False)

    @property
    def identity(self) -> dict[str, str]:
        """The parameters that name it in every request."""
        return {"attachmentType": ATTACHMENT_TYPE, "identityKey": self.key}


@frozen(kw_only=True)
class ThreadAttachment:
    """An attachment that is recorded with a thread.

    Attributes:
        key: `<algorithm>:<checksum>`: one content is recorded once in a thread.
        payload: The attachment's descriptor (`Attachment.to_dict` without its path).
        id: Codex's own id of the record; None while it waits for the thread's first turn.
        created_at: When it was recorded (aware UTC); None while it waits.
    """

    key: str
    payload: dict[str, Any] = field(repr=False)
    id: str | None = None
    created_at: datetime | None = None

    @property
    def name(self) -> str:
        """The name under which it was attached last; empty when the payload is not ours."""
        return str(self.payload.get("name", ""))


def identity_of(attachment: Attachment) -> dict[str, str]:
    """Return the parameters that name the attachment's content in every request."""
    return Record(_key(attachment), {}).identity


def record_of(attachment: Attachment) -> Record:
    """Return what is to be recorded.

    Raises:
        NotRecorded: Codex would refuse it.
    """
    payload = attachment.to_dict()
    del payload["path"]
    if _SURROGATE.search(attachment.name + attachment.content_type):
        raise NotRecorded(
            f"attachment {attachment.name[:80]!r} cannot be recorded with a thread: its name or "
            "type is not valid Unicode"
        )
    record = Record(_key(attachment), payload)
    for what, text, most in (
        ("descriptor", json.dumps(payload, ensure_ascii=False, separators=(",", ":")), MAX_PAYLOAD),
        ("checksum", record.key, MAX_KEY),
    ):
        size = len(text.encode())
        if size > most:
            raise NotRecorded(
                f"attachment {attachment.name[:80]!r} cannot be recorded with a thread: its {what} "
                f"has {size:,} bytes, and codex takes at most {most:,}"
            )
    return record


def _key(attachment: Attachment) -> str:
    return f"{attachment.algorithm}:{attachment.checksum}"


def parse_attachments(data: object) -> Iterable[ThreadAttachment]:
    """Read what codex lists; records of other types, and what is none, are left out."""
    for entry in cast("list[object]", data) if isinstance(data, list) else []:
        match entry:
            case {
                "attachmentType": str(kind),
                "identityKey": str(key),
                "id": str(id_),
            } if kind == ATTACHMENT_TYPE:
                fields = cast("dict[str, object]", entry)
                payload, created = fields.get("payload"), fields.get("createdAt")
                yield ThreadAttachment(
                    key=key,
                    payload=cast("dict[str, Any]", payload) if isinstance(payload, dict) else {},
                    id=id_,
                    created_at=datetime.fromtimestamp(created, UTC)
                    if isinstance(created, int)
                    else None,
                )
            case _:
                pass
