"""Attachments and uploaded files to and from the FileObject of the openai client."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from openai.types import FileObject

from codex_actors.files import (
    Attachment,
    InvalidFileObject,
    UploadedFile,
    attachment_from_file_object,
    file_object,
    uploaded_from_file_object,
)

MADE = datetime(2026, 3, 1, 12, 30, 15, 678_000, UTC)
CHECKSUM = "ab" * 32

attachment = Attachment(
    name="a b.pdf",
    path=Path("/staging/ab/a b.pdf"),
    checksum=CHECKSUM,
    algorithm="blake3",
    size=12,
    content_type="application/pdf",
    persist=True,
    inserted_at=MADE,
    ttl=60.5,
    expires_at=MADE + timedelta(seconds=60.5),
)
uploaded = UploadedFile(
    file_id="file-abc",
    target="openai",
    name="a b.pdf",
    size=12,
    content_type="application/pdf",
    checksum=CHECKSUM,
    uploaded_at=MADE,
    expires_at=None,
)
moments = st.datetimes(
    min_value=datetime(1960, 1, 1),  # noqa: DTZ001 - hypothesis wants its bounds without zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


def test_what_both_know_is_the_same() -> None:
    """The client's object says of an uploaded file what we say."""
    made = FileObject(**file_object(uploaded, purpose="vision"))

    assert (made.id, made.bytes, made.filename) == ("file-abc", 12, "a b.pdf")
    assert made.created_at == int(MADE.timestamp())
    assert made.expires_at is None
    assert (made.object, made.purpose, made.status) == ("file", "vision", "processed")


def test_an_attachments_id_is_no_remote_one() -> None:
    """The checksum does not stand where an API would look a file up by it."""
    # E20
    made = FileObject(**file_object(attachment))

    assert made.id == f"blake3:{CHECKSUM}"
    assert made.expires_at == int((MADE + timedelta(seconds=60.5)).timestamp())
    with pytest.raises(InvalidFileObject, match="not of a remote file: upload it"):
        uploaded_from_file_object(made)


@given(st.text(min_size=1), moments, st.none() | st.floats(0, 1e6).map(lambda s: round(s, 3)))
def test_attachments_come_back(name: str, made: datetime, ttl: float | None) -> None:
    """Nothing is lost on the way through the client's object, also not parts of a second."""
    expires_at = None if ttl is None else made + timedelta(milliseconds=round(ttl * 1000))
    ttl_seconds = math.inf if ttl is None else ttl
    changes: dict[str, Any] = {
        "name": name,
        "inserted_at": made,
        "ttl": ttl_seconds,
        "expires_at": expires_at,
    }
    there = FileObject(**file_object(evolve(attachment, **changes)))

    assert attachment_from_file_object(there) == evolve(attachment, **changes)
    assert attachment_from_file_object(there.to_dict()) == evolve(attachment, **changes)


@given(moments, st.none() | moments)
def test_uploaded_files_come_back(made: datetime, expires_at: datetime | None) -> None:
    """The same for what was uploaded."""
    changed = evolve(uploaded, uploaded_at=made, expires_at=expires_at)

    assert uploaded_from_file_object(FileObject(**file_object(changed))) == changed


def remote(**changes: Any) -> FileObject:
    """Return an object as the API makes it."""
    members = {
        "id": "file-xyz",
        "object": "file",
        "bytes": 12,
        "created_at": 1_700_000_000,
        "filename": "other.pdf",
        "purpose": "user_data",
        "status": "processed",
        "expires_at": 1_700_003_600,
    }
    return FileObject.model_validate({**members, **changes})


def test_what_the_api_made_becomes_an_uploaded_file() -> None:
    """The attachment tells what the API does not know."""
    got = uploaded_from_file_object(remote(), attachment=attachment)

    assert got == UploadedFile(
        file_id="file-xyz",
        target="openai",
        name="other.pdf",
        size=12,
        content_type="application/pdf",
        checksum=CHECKSUM,
        uploaded_at=datetime.fromtimestamp(1_700_000_000, UTC),
        expires_at=datetime.fromtimestamp(1_700_003_600, UTC),
    )


def test_what_does_not_tell_enough_is_refused() -> None:
    """A remote file is no attachment, and without one it has no checksum."""
    with pytest.raises(InvalidFileObject, match="stage the file's bytes"):
        attachment_from_file_object(remote())
    with pytest.raises(InvalidFileObject, match="give the attachment"):
        uploaded_from_file_object(remote())
    with pytest.raises(InvalidFileObject, match=r"has 13 bytes and 'a b\.pdf' has 12"):
        uploaded_from_file_object(remote(bytes=13), attachment=attachment)
    with pytest.raises(InvalidFileObject, match="is not a FileObject"):
        uploaded_from_file_object({"id": "file-xyz", "bytes": 12}, attachment=attachment)


@pytest.mark.parametrize(
    "changes",
    [{"filename": "x"}, {"bytes": 1}, {"id": "y"}, {"created_at": 5}, {"expires_at": 5}],
)
def test_what_was_changed_is_refused(changes: dict[str, Any]) -> None:
    """Which of two contradicting members holds would be a guess."""
    with pytest.raises(InvalidFileObject, match="make it anew"):
        attachment_from_file_object({**file_object(attachment), **changes})
    with pytest.raises(InvalidFileObject, match="make it anew"):
        uploaded_from_file_object({**file_object(uploaded), **changes})


def test_damage_is_refused() -> None:
    """What is carried along and cannot be read is an error that names the object."""
    damaged = {**file_object(uploaded), "codex_actors": {"uploaded": {"file_id": "y"}}}

    with pytest.raises(InvalidFileObject, match="'file-abc' carries a damaged uploaded"):
        uploaded_from_file_object(damaged)
