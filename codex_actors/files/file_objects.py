"""Owns the way between our values and the FileObject of the `openai` client.

Invariant: what both know (name, size, id, when it was made, when it goes) is the same on both
sides, and what only we know comes back from a FileObject that was made here. The id of an
`Attachment` there is `<algorithm>:<checksum>`, which no API takes for a file's: a local checksum
must never pass as a remote id. Must not import the client: a FileObject is made from what is
returned here, and read by its `model_dump`. Pure.

    FileObject(**file_object(uploaded))
    uploaded_from_file_object(client.files.retrieve(id), attachment=attachment)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from codex_actors.files.errors import InvalidFileObject
from codex_actors.files.model import Attachment, UploadedFile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FileObjectLike",
    "attachment_from_file_object",
    "file_object",
    "uploaded_from_file_object",
]

T = TypeVar("T")

_OURS = "codex_actors"
_SHARED = ("id", "bytes", "filename", "created_at", "expires_at")


class FileObjectLike(Protocol):
    """What is needed of the client's FileObject."""

    def model_dump(self) -> dict[str, Any]:
        """Return its members, those that its class does not know among them."""
        ...


def file_object(file: Attachment | UploadedFile, *, purpose: str = "user_data") -> dict[str, Any]:
    """Return the members of a FileObject: `FileObject(**file_object(file))`.

    Times are whole seconds there, as the API has them. The member `codex_actors` carries what the
    API has no member for, the path of an attachment among it: take it out before you publish it.

    Arguments:
        file: An attachment, whose id then is no remote one, or what an upload returned.
        purpose: What the API is told that the file is for.
    """
    if isinstance(file, Attachment):
        kind, id_, made = "attachment", f"{file.algorithm}:{file.checksum}", file.inserted_at
    else:
        kind, id_, made = "uploaded", file.file_id, file.uploaded_at
    return {
        "id": id_,
        "object": "file",
        "bytes": file.size,
        "created_at": _seconds(made),
        "expires_at": None if file.expires_at is None else _seconds(file.expires_at),
        "filename": file.name,
        "purpose": purpose,
        "status": "processed",
        _OURS: {kind: file.to_dict()},
    }


def attachment_from_file_object(source: FileObjectLike | Mapping[str, Any]) -> Attachment:
    """Return the attachment that `file_object` was given.

    Raises:
        InvalidFileObject: It was not made from an attachment (a remote file has no path here: stage
            its bytes), or was changed since.
    """
    document = _document(source)
    attachment = _ours(document, "attachment", Attachment.from_dict)
    if attachment is None:
        raise InvalidFileObject(
            f"the FileObject {document.get('id')!r} was not made from an attachment: stage the "
            "file's bytes to have one"
        )
    _check_same(document, attachment)
    return attachment


def uploaded_from_file_object(
    source: FileObjectLike | Mapping[str, Any],
    *,
    attachment: Attachment | None = None,
    target: str = "openai",
) -> UploadedFile:
    """Return an uploaded file: the one that `file_object` was given, or one that the API told of.

    Arguments:
        source: A FileObject, or its members.
        attachment: What was uploaded, for an object that the API made: it does not know the
            checksum and the content type.
        target: Where an object that the API made is.

    Raises:
        InvalidFileObject: It is no FileObject, is of another size than the attachment, is of an
            attachment and no remote file, or comes from the API and `attachment` is missing.
    """
    document = _document(source)
    known = _ours(document, "uploaded", UploadedFile.from_dict)
    if known is not None:
        _check_same(document, known)
        return known
    name = f"the FileObject {document.get('id')!r}"
    if _OURS in document:
        raise InvalidFileObject(
            f"{name} is of a staged attachment, not of a remote file: upload it"
        )
    if attachment is None:
        raise InvalidFileObject(
            f"{name} tells neither checksum nor content type: give the attachment that it is of"
        )
    if document.get("bytes") != attachment.size:
        raise InvalidFileObject(
            f"{name} has {document.get('bytes')} bytes and {attachment.name!r} has "
            f"{attachment.size}: give the attachment that it is of"
        )
    try:
        expires_at = document.get("expires_at")
        return UploadedFile(
            file_id=str(document["id"]),
            target=target,
            name=str(document["filename"]),
            size=attachment.size,
            content_type=attachment.content_type,
            checksum=attachment.checksum,
            uploaded_at=_moment(document["created_at"]),
            expires_at=None if expires_at is None else _moment(expires_at),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidFileObject(f"{name} is not a FileObject: {error!r}") from error


def _document(source: FileObjectLike | Mapping[str, Any]) -> dict[str, Any]:
    return dict(source) if isinstance(source, Mapping) else source.model_dump()


def _ours(document: dict[str, Any], kind: str, read: Callable[[dict[str, Any]], T]) -> T | None:
    carried = document.get(_OURS)
    if not isinstance(carried, dict) or kind not in carried:
        return None
    try:
        return read(cast("dict[str, dict[str, Any]]", carried)[kind])
    except Exception as error:  # cattrs groups what is wrong with the members
        raise InvalidFileObject(
            f"the FileObject {document.get('id')!r} carries a damaged {kind}: make it anew"
        ) from error


def _check_same(document: dict[str, Any], file: Attachment | UploadedFile) -> None:
    """Refuse a FileObject whose own members were changed: which ones hold would be a guess."""
    made = file_object(file)
    for member in _SHARED:
        if document.get(member) != made[member]:
            raise InvalidFileObject(
                f"the FileObject {document.get('id')!r} has {member} {document.get(member)!r}, but "
                f"was made with {made[member]!r}: make it anew from what it is of"
            )


def _seconds(moment: datetime) -> int:
    # Rounded down, also before 1970: what has begun is never in the future.
    return int(moment.timestamp() // 1)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
