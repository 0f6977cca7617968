"""Owns the documents of OpenAI's Uploads and Files API: what may be sent, what is answered.

Invariant: the shapes are those of the official client's types. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

from attrs import frozen

from codex_actors.testing.upload_exchange import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_actors.testing.http import HttpHead
    from codex_actors.testing.openai_uploads import StoredPart, StoredUpload
    from codex_actors.testing.upload_storage import StoredFile

__all__ = [
    "CreateRequest",
    "check_create",
    "check_form",
    "error_document",
    "file_document",
    "json_object",
    "listed",
    "part_document",
    "refuse_unknown",
    "upload_document",
]

PURPOSES = frozenset({"assistants", "batch", "fine-tune", "vision", "user_data", "evals"})
SHORTEST_EXPIRY = 3_600
LONGEST_EXPIRY = 2_592_000
MAX_LIST = 10_000
CREATE_FIELDS = frozenset({"bytes", "filename", "mime_type", "purpose", "expires_after"})
FORM_FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
SERVER_ERROR = 500


@frozen(kw_only=True)
class CreateRequest:
    """What a client asks for when it begins an upload, or sends a file.

    Attributes:
        bytes: The announced size; 0 for a file, which is its own announcement.
        filename: Its name.
        mime_type: Its media type.
        purpose: One of the API's purposes.
        expires_after: Seconds that the file is to live, None for ever.
    """

    bytes: int = 0
    filename: str = ""
    mime_type: str = ""
    purpose: str = ""
    expires_after: int | None = None


def check_create(value: Any) -> CreateRequest:
    """Return what the body of `POST /uploads` asks for.

    Raises:
        ApiError: It is not what the API takes.
    """
    document = json_object(value)
    refuse_unknown(document, CREATE_FIELDS)
    size = document.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ApiError(400, "'bytes' is no positive integer.", param="bytes")
    for name in ("filename", "mime_type"):
        text = document.get(name)
        if not isinstance(text, str) or not text:
            raise ApiError(400, f"'{name}' is no text.", param=name)
    return CreateRequest(
        bytes=size,
        filename=document["filename"],
        mime_type=document["mime_type"],
        purpose=_purpose(document.get("purpose")),
        expires_after=_expiry(document.get("expires_after")),
    )


def check_form(fields: Mapping[str, str], required: tuple[str, ...]) -> CreateRequest:
    """Return what the fields beside the file of a form ask for.

    Raises:
        ApiError: They are not what the API takes.
    """
    refuse_unknown(fields, FORM_FIELDS if required else frozenset())
    if not required:
        return CreateRequest()
    expiry = {
        name.removeprefix("expires_after[").removesuffix("]"): value
        for name, value in fields.items()
        if name.startswith("expires_after")
    }
    seconds = expiry.get("seconds", "")
    document: dict[str, Any] = {**expiry, "seconds": int(seconds) if seconds.isdecimal() else None}
    return CreateRequest(
        purpose=_purpose(fields.get("purpose")), expires_after=_expiry(document if expiry else None)
    )


def upload_document(upload: StoredUpload) -> dict[str, Any]:
    """Return an Upload."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.request.bytes,
        "created_at": upload.created_at,
        "filename": upload.request.filename,
        "purpose": upload.request.purpose,
        "status": upload.status,
        "expires_at": upload.expires_at,
        "file": None if upload.file is None else file_document(upload.file),
    }


def part_document(part: StoredPart, upload_id: str) -> dict[str, Any]:
    """Return an UploadPart."""
    return {
        "id": part.id,
        "object": "upload.part",
        "created_at": part.created_at,
        "upload_id": upload_id,
    }


def file_document(file: StoredFile) -> dict[str, Any]:
    """Return a FileObject."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "expires_at": file.expires_at,
    }


def listed(files: tuple[StoredFile, ...], head: HttpHead) -> dict[str, Any]:
    """Return the page of files that a query asks for.

    Raises:
        ApiError: The query is not what the API takes.
    """
    query = dict(parse_qsl(head.target.partition("?")[2]))
    refuse_unknown(query, frozenset({"after", "limit", "order", "purpose"}))
    limit = query.get("limit", str(MAX_LIST))
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIST:
        raise ApiError(400, f"'limit' is not between 1 and {MAX_LIST}.", param="limit")
    found = [file for file in files if query.get("purpose") in {None, file.purpose}]
    if query.get("order", "desc") == "desc":
        found.reverse()
    after = query.get("after")
    if after is not None:
        ids = [file.id for file in found]
        if after not in ids:
            raise ApiError(400, f"No such File object: {after}", param="after")
        found = found[ids.index(after) + 1 :]
    page = found[: int(limit)]
    return {
        "object": "list",
        "data": [file_document(file) for file in page],
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "has_more": len(page) < len(found),
    }


def error_document(error: ApiError) -> dict[str, Any]:
    """Return the body of a refusal."""
    kind = "server_error" if error.status >= SERVER_ERROR else "invalid_request_error"
    described = {"message": str(error), "type": kind, "param": error.param, "code": error.code}
    return {"error": described}


def _purpose(value: Any) -> str:
    if value is None:
        message = "Missing required parameter: 'purpose'."
        raise ApiError(400, message, code="missing_required_parameter", param="purpose")
    if value not in PURPOSES:
        raise ApiError(400, f"'{value}' is not one of {sorted(PURPOSES)}.", param="purpose")
    return str(value)


def _expiry(value: Any) -> int | None:
    match value:
        case None:
            return None
        case {"anchor": "created_at", "seconds": int(seconds)} if (
            SHORTEST_EXPIRY <= seconds <= LONGEST_EXPIRY
        ):
            return seconds
        case _:
            raise ApiError(
                400,
                f"'expires_after' needs the anchor 'created_at' and {SHORTEST_EXPIRY} to"
                f" {LONGEST_EXPIRY} seconds.",
                param="expires_after",
            )


def json_object(value: Any) -> dict[str, Any]:
    """Return a JSON document that has to be an object."""
    if not isinstance(value, dict):
        raise ApiError(400, "The body is no JSON object.")
    return cast("dict[str, Any]", value)


def refuse_unknown(given: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse parameters that the API does not know."""
    if unknown := set(given) - known:
        name = min(unknown)
        raise ApiError(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
