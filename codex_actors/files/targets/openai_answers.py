"""Owns what OpenAI's answers to uploads say: is it over, is the checksum wrong, is there a file.

Invariant: pure. Must not know what was asked before, nor what follows.
"""

from typing import Any

from codex_actors.files.targets.answers import Answer, document_of, id_of, moment_of
from codex_actors.files.targets.protocol import Finished, Outgoing, Refused, TargetFailure

__all__ = ["finished_of", "is_about_md5", "is_over"]

BAD_REQUEST = 400


def is_about_md5(answer: Answer, refusal: TargetFailure) -> bool:
    """Tell whether an answer refuses the checksum."""
    match document_of(answer):
        case {"error": {"param": "md5"}}:
            return True
        case _:
            return "md5" in refusal.message.lower()


def is_over(refused: Refused, *, repeated: bool) -> bool:
    """Tell whether a refusal to cancel means that there is nothing left to cancel."""
    words = refused.message.lower()
    over = any(word in words for word in ("cancelled", "canceled", "expired"))
    # A server that cancels after all, and whose first answer was lost, may use other words.
    return refused.status == BAD_REQUEST and (over or (repeated and "complete" not in words))


def finished_of(document: dict[str, Any] | None, file: Outgoing) -> Finished | None:
    """Return the file that an Upload or a FileObject tells of."""
    described: Any = document or {}
    if described.get("object") == "upload":
        if described.get("status") != "completed":
            return None
        described = described.get("file")
    match described:
        # The size may not be known yet.
        case {"object": "file", "id": given, "bytes": size} if size is None or size == file.size:
            file_id = id_of(given)
        case _:
            file_id = None
    return None if file_id is None else Finished(file_id, moment_of(described.get("expires_at")))
