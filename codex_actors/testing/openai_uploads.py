"""Owns the state behind OpenAI's Uploads and Files API: what is legal, and what it leads to.

Invariant: an upload moves from pending to completed, cancelled or expired, once; a file is made of
parts that are all there, in the order that the client gave. Pure but for the bytes, which lie in
spools. Must not know HTTP.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import attrs
from attrs import frozen

from codex_actors.testing.openai_documents import json_object, refuse_unknown
from codex_actors.testing.upload_exchange import ApiError
from codex_actors.testing.upload_storage import Spool, StoredFile, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_actors.testing.openai_documents import CreateRequest

__all__ = ["LIFETIME", "MAX_PART", "MAX_UPLOAD", "StoredPart", "StoredUpload", "Uploads"]

MAX_PART = 64 * 2**20
"""The documentation says MB; the official client's own default is this many bytes."""

MAX_UPLOAD = 8 * 2**30
LIFETIME = 3600


@frozen
class StoredPart:
    """One part of an upload."""

    id: str
    created_at: int
    spool: Spool


@frozen(kw_only=True)
class StoredUpload:
    """An upload as it stands.

    Attributes:
        id: What the server calls it.
        status: "pending", "completed", "cancelled" or "expired".
        request: What was asked for when it was created.
        created_at: Seconds since the epoch.
        parts: Those that have arrived, in that order.
        file: What it became.
        completed_with: The ids that it was completed with.
    """

    id: str
    status: str
    request: CreateRequest
    created_at: int
    parts: tuple[StoredPart, ...] = ()
    file: StoredFile | None = None
    completed_with: tuple[str, ...] = ()

    @property
    def expires_at(self) -> int:
        """When it can no longer be completed, in seconds since the epoch."""
        return self.created_at + LIFETIME


@final
class Uploads:
    """All uploads and files of one server."""

    def __init__(self, *, repeats_complete: bool) -> None:
        self._repeats_complete = repeats_complete
        self._uploads: dict[str, StoredUpload] = {}
        self._files: dict[str, StoredFile] = {}
        self._made = 0

    @property
    def files(self) -> Mapping[str, StoredFile]:
        """The files by id."""
        return MappingProxyType(self._files)

    def at(self, now: int) -> tuple[StoredUpload, ...]:
        """Return all uploads with their states of `now`."""
        for upload in self._uploads.values():
            if upload.status == "pending" and now >= upload.expires_at:
                self._end(upload, "expired")
        return tuple(self._uploads.values())

    def create(self, request: CreateRequest, now: int) -> StoredUpload:
        """Begin an upload."""
        if request.bytes > MAX_UPLOAD:
            raise ApiError(400, f"'bytes' is above {MAX_UPLOAD}.", param="bytes")
        upload = StoredUpload(
            id=self._next("upload"), status="pending", request=request, created_at=now
        )
        self._uploads[upload.id] = upload
        return upload

    def check_pending(self, upload_id: str, now: int) -> StoredUpload:
        """Return an upload that can still be added to, completed or cancelled."""
        self.at(now)
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise ApiError(404, f"No such Upload object: {upload_id}", param="upload_id")
        if upload.status != "pending":
            raise ApiError(400, f"Upload {upload_id} is {upload.status}.", param="upload_id")
        return upload

    def add_part(self, upload_id: str, spool: Spool, now: int) -> StoredPart:
        """Add a part that has arrived."""
        upload = self.check_pending(upload_id, now)
        if not spool.size:
            raise ApiError(400, "'data' is empty.", param="data")
        part = StoredPart(self._next("part"), now, spool)
        self._uploads[upload_id] = attrs.evolve(upload, parts=(*upload.parts, part))
        return part

    def complete(self, upload_id: str, document: Any, now: int) -> StoredUpload:
        """Make a file of an upload's parts."""
        part_ids, md5 = _completion(document)
        known = self._uploads.get(upload_id)
        if self._repeats_complete and known is not None and known.completed_with == part_ids:
            return known
        upload = self.check_pending(upload_id, now)
        parts = {part.id: part for part in upload.parts}
        for part_id in part_ids:
            if part_id not in parts:
                raise ApiError(400, f"No such part: {part_id}", param="part_ids")
        spools = tuple(parts[part_id].spool for part_id in part_ids)
        received = sum(spool.size for spool in spools)
        if received != upload.request.bytes:
            raise ApiError(
                400,
                f"The parts have {received} bytes, and {upload.request.bytes} were announced.",
                param="part_ids",
            )
        if md5 is not None and digest("md5", spools) != md5.lower():
            raise ApiError(400, "The md5 of the parts is another.", param="md5")
        file = self.add_file(
            name=upload.request.filename,
            content_type=upload.request.mime_type,
            spools=spools,
            request=upload.request,
            now=now,
        )
        completed = attrs.evolve(upload, status="completed", file=file, completed_with=part_ids)
        self._uploads[upload_id] = completed
        return completed

    def cancel(self, upload_id: str, now: int) -> StoredUpload:
        """Give an upload up."""
        return self._end(self.check_pending(upload_id, now), "cancelled")

    def add_file(
        self,
        *,
        name: str,
        content_type: str,
        spools: tuple[Spool, ...],
        request: CreateRequest,
        now: int,
    ) -> StoredFile:
        """Make a file."""
        size = sum(spool.size for spool in spools)
        if not size:
            raise ApiError(400, "File is empty.", param="file")
        file = StoredFile(
            id=self._next("file"),
            name=name,
            size=size,
            purpose=request.purpose,
            content_type=content_type,
            created_at=now,
            expires_at=None if request.expires_after is None else now + request.expires_after,
            spools=spools,
        )
        self._files[file.id] = file
        return file

    def live(self, now: int) -> tuple[StoredFile, ...]:
        """Return the files that have not expired, the oldest first."""
        return tuple(
            file
            for file in self._files.values()
            if file.expires_at is None or now < file.expires_at
        )

    def find(self, file_id: str, now: int) -> StoredFile:
        """Return a file that has not expired."""
        for file in self.live(now):
            if file.id == file_id:
                return file
        raise ApiError(404, f"No such File object: {file_id}", param="id")

    def delete(self, file_id: str, now: int) -> None:
        """Remove a file."""
        for spool in self.find(file_id, now).spools:
            spool.discard()
        del self._files[file_id]

    def _end(self, upload: StoredUpload, status: str) -> StoredUpload:
        for part in upload.parts:
            part.spool.discard()
        ended = attrs.evolve(upload, status=status)
        self._uploads[upload.id] = ended
        return ended

    def _next(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made:06}" if kind == "file" else f"{kind}_{self._made:06}"


def _completion(value: Any) -> tuple[tuple[str, ...], str | None]:
    document = json_object(value)
    refuse_unknown(document, frozenset({"part_ids", "md5"}))
    md5 = document.get("md5")
    if md5 is not None and not isinstance(md5, str):
        raise ApiError(400, "'md5' is no text.", param="md5")
    match document.get("part_ids"):
        case [str(), *_] as part_ids if len(set(map(str, part_ids))) == len(part_ids):
            return tuple(map(str, part_ids)), md5
        case _:
            raise ApiError(400, "'part_ids' is no list of different ids.", param="part_ids")
