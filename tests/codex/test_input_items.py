"""Attachments as content parts for those who call a model API themselves."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from codex_support import described, image, png, staged
from openai import AsyncOpenAI
from openai.types.responses import ResponseInputFileParam, ResponseInputImageParam
from pydantic import TypeAdapter

from codex_actors.codex import DeliveryError, input_items
from codex_actors.codex.input_items import MAX_INLINE_BYTES
from codex_actors.files import Attachment, UploadedFile
from codex_actors.testing import ModelServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PDF = b"%PDF-1.7\n1 0 obj\n"


def uploaded_from(attachment: Attachment, **changes: Any) -> UploadedFile:
    """Return what uploading an attachment would have returned."""
    uploaded = UploadedFile(
        file_id="file-abc",
        target="openai",
        name=attachment.name,
        size=attachment.size,
        content_type=attachment.content_type,
        checksum=attachment.checksum,
        uploaded_at=datetime.now(UTC),
        expires_at=None,
    )
    return evolve(uploaded, **changes)


def assert_is_part(part: Mapping[str, Any], kind: type) -> None:
    """Hold a part against the client's type: every member is known, and of its kind."""
    assert set(part) <= set(kind.__annotations__)
    TypeAdapter(kind).validate_python(part, strict=True)


@pytest.mark.parametrize(
    ("form", "media"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")]
)
def test_an_image_goes_as_its_bytes(tmp_path: Path, form: str, media: str) -> None:
    """The bytes decide that it is one and which, whatever it is called and declared."""
    data = image(form)
    attachment = staged(tmp_path, "noname", data)

    (part,) = input_items(attachment, detail="high")

    assert_is_part(part, ResponseInputImageParam)
    assert part == {
        "type": "input_image",
        "detail": "high",
        "image_url": f"data:image/{media};base64,{base64.b64encode(data).decode()}",
    }


def test_another_file_goes_as_its_bytes(tmp_path: Path) -> None:
    """With its name and its media type, without the parameters of that."""
    attachment = staged(tmp_path, "a, b.pdf", PDF, "Application/PDF; version=1.7")

    (part,) = input_items(attachment)

    assert_is_part(part, ResponseInputFileParam)
    assert part == {
        "type": "input_file",
        "filename": "a, b.pdf",
        "file_data": f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}",
    }


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", {"type": "input_image", "detail": "auto", "file_id": "file-abc"}),
        ("application/pdf", {"type": "input_file", "file_id": "file-abc"}),
        ("image/svg+xml", {"type": "input_file", "file_id": "file-abc"}),
    ],
)
def test_what_was_uploaded_goes_by_its_id(
    tmp_path: Path, content_type: str, expected: dict[str, Any]
) -> None:
    """The id is the upload's; the disk is not asked."""
    # E20
    attachment = described(tmp_path, "a", b"not laid down", content_type)

    (part,) = input_items(attachment, uploaded_from(attachment))

    kind = ResponseInputImageParam if "detail" in expected else ResponseInputFileParam
    assert_is_part(part, kind)
    assert part == expected
    assert attachment.checksum not in str(part)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_id": "0" * 64, "checksum": "0" * 64}, "another content"),
        ({"size": 4}, "another content"),
        ({"target": "directory"}, "the model cannot read"),
        ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, "expired"),
    ],
)
def test_ids_that_lead_nowhere_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """Another file's id, a path for an id, an id that has expired."""
    # E20
    attachment = staged(tmp_path, "a.png", png(), "image/png")

    with pytest.raises(DeliveryError, match=reason):
        input_items(attachment, uploaded_from(attachment, **changes))


def test_a_checksum_is_never_sent_as_an_id(tmp_path: Path) -> None:
    """What the original did: the local checksum in the place of the remote id."""
    # E20
    attachment = staged(tmp_path, "a.png", png(), "image/png")

    with pytest.raises(DeliveryError, match="the model cannot read"):
        input_items(attachment, uploaded_from(attachment, file_id=attachment.checksum))


@pytest.mark.parametrize(
    ("data", "content_type", "reason"),
    [
        (png()[:-20], "image/png", r"declared image/png, but .*incomplete PNG"),
        (PDF, "image/png", "not an image"),
        (image("BMP"), "image/bmp", "cannot show BMP"),
        (b"RIFF", "audio/wav", "takes no audio: transcribe it"),
    ],
)
def test_what_would_not_arrive_is_refused(
    tmp_path: Path, data: bytes, content_type: str, reason: str
) -> None:
    """The rules of codex turns: declared an image or audio, and not to be had as one."""
    attachment = staged(tmp_path, "a", data, content_type)

    with pytest.raises(DeliveryError, match=reason):
        input_items(attachment)


def test_a_large_file_has_to_be_uploaded(tmp_path: Path) -> None:
    """It is refused before a byte is read, and goes by its id."""
    attachment = evolve(described(tmp_path, "a.pdf", PDF), size=MAX_INLINE_BYTES + 1)

    with pytest.raises(DeliveryError, match=r"50,000,001 bytes.*upload it"):
        input_items(attachment)

    (part,) = input_items(attachment, uploaded_from(attachment))
    assert part["file_id"] == "file-abc"


def test_a_file_that_has_gone_or_changed_is_refused(tmp_path: Path) -> None:
    """What is sent is what was staged."""
    gone = described(tmp_path, "gone", PDF)
    changed = staged(tmp_path, "changed", PDF)
    changed.path.write_bytes(PDF + b"more")

    with pytest.raises(DeliveryError, match="does not exist"):
        input_items(gone)
    with pytest.raises(DeliveryError, match="stage it again"):
        input_items(changed)


async def test_the_client_sends_the_parts(tmp_path: Path) -> None:
    """Through the client's own request, the model gets the image's bytes and the file."""
    picture = staged(tmp_path, "a.png", png(), "image/png")
    paper = staged(tmp_path, "a.pdf", PDF, "application/pdf")
    content: Any = [*input_items(picture), *input_items(paper)]

    async with (
        ModelServer(reply="It is red.") as server,
        AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client,
    ):
        message: Any = {"role": "user", "content": content}
        response = await client.responses.create(model="gpt-5", input=[message])

        assert server.images() == (png(),)
        assert server.turns[-1].turn_parts()[1]["filename"] == "a.pdf"
    assert response.output_text == "It is red."
