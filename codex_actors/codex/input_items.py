"""Owns the content parts of the Responses API, for those who call a model API themselves.

Invariant: what is sent as a file id is the id of an `UploadedFile` that the model can read, never a
local checksum; what is sent as bytes are bytes that the routing of codex turns would let pass, and
not more than the API takes. Must not know HTTP, nor import the API's client: a test holds the parts
against its types.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from codex_actors.codex.errors import DeliveryError
from codex_actors.codex.inspection import inspect_attachment
from codex_actors.codex.routing import IMAGE_TYPES, Route, check_id_is_readable, media_type, route

if TYPE_CHECKING:
    from codex_actors.files import Attachment, UploadedFile

__all__ = ["MAX_INLINE_BYTES", "ApiDetail", "input_items"]

MAX_INLINE_BYTES = 50_000_000
"""Bytes of one file that a request to the API can carry itself, before they are written as text."""

ApiDetail = Literal["auto", "low", "high", "original"]

_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def input_items(
    attachment: Attachment, uploaded: UploadedFile | None = None, *, detail: ApiDetail = "auto"
) -> list[dict[str, Any]]:
    """Return an attachment as content parts of a message to the Responses API.

    With `uploaded` the part names the file id: an `input_image` for what is declared PNG, JPEG, GIF
    or WebP, an `input_file` for everything else; the disk is not touched. Without it the part holds
    the bytes as a data URL: an image, by its bytes, is an `input_image`, everything else an
    `input_file`. Then the file is read and decoded, which blocks: call it in a thread, and hold a
    lease (`files.lease`) meanwhile.

        content = [*input_items(attachment), {"type": "input_text", "text": "What is it?"}]
        client.responses.create(model=..., input=[{"role": "user", "content": content}])

    Arguments:
        attachment: What to send.
        uploaded: The same content at a target that the model reads from.
        detail: How closely the model looks at an image.

    Raises:
        DeliveryError: `uploaded` is another file, has expired, or is where no model reads; or the
            file is gone, was changed, is declared an image or audio and would not arrive as one, or
            has more than `MAX_INLINE_BYTES`.
    """
    if uploaded is not None:
        return [_by_id(attachment, uploaded, detail)]
    if attachment.size > MAX_INLINE_BYTES:
        raise DeliveryError(
            attachment,
            f"it has {attachment.size:,} bytes, and a request to the API carries at most "
            f"{MAX_INLINE_BYTES:,}: upload it, and give what that returns as `uploaded`",
        )
    facts = inspect_attachment(attachment)
    declared = media_type(attachment.content_type)
    try:
        image = route(attachment, facts) is Route.IMAGE
    except DeliveryError as refused:
        audio = declared.startswith("audio/")
        reason = "the Responses API takes no audio: transcribe it" if audio else facts.problem
        raise DeliveryError(
            attachment,
            f"it is declared {declared}, but {reason}; or stage it with another content_type to "
            "have it sent as a file",
        ) from refused
    url = _data_url(attachment, _MEDIA[str(facts.format)] if image else declared)
    if image:
        return [{"type": "input_image", "detail": detail, "image_url": url}]
    return [{"type": "input_file", "filename": attachment.name, "file_data": url}]


def _by_id(attachment: Attachment, uploaded: UploadedFile, detail: str) -> dict[str, Any]:
    if (uploaded.checksum, uploaded.size) != (attachment.checksum, attachment.size):
        raise DeliveryError(
            attachment,
            f"what was uploaded as {uploaded.name!r} has another content: give the UploadedFile "
            "that uploading this attachment returned",
        )
    check_id_is_readable(uploaded, datetime.now(UTC))
    if media_type(uploaded.content_type) in IMAGE_TYPES:
        return {"type": "input_image", "detail": detail, "file_id": uploaded.file_id}
    return {"type": "input_file", "file_id": uploaded.file_id}


def _data_url(attachment: Attachment, content_type: str) -> str:
    try:
        with attachment.path.open("rb") as file:
            # One more than there should be, and never a file that has grown since.
            data = file.read(attachment.size + 1)
    except OSError as error:
        raise DeliveryError(
            attachment, f"{attachment.path} cannot be read ({error.strerror})"
        ) from error
    if len(data) != attachment.size:
        raise DeliveryError(attachment, f"{attachment.path} was changed: stage it again")
    return f"data:{content_type};base64,{base64.b64encode(data).decode('ascii')}"
