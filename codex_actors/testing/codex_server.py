"""Owns a server on loopback that speaks the codex backend's upload protocol.

Invariant: credentials are demanded where they belong and refused where they do not; what a client
has left behind can be seen. Must not know who the client is.

    async with CodexUploadServer() as server:
        target = CodexTarget(server.base_url, server.access_token, server.account_id)
        uploaded = await files.upload(attachment, target=target)
        assert server.files[uploaded.file_id].read() == data
"""

from __future__ import annotations

import re
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, final
from urllib.parse import parse_qs

import attrs
from attrs import frozen

from codex_actors.testing.upload_exchange import (
    Answer,
    ApiError,
    Effect,
    Incoming,
    Prepare,
    json_answer,
)
from codex_actors.testing.upload_serving import UploadServer
from codex_actors.testing.upload_storage import Spool, StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codex_actors.testing.http import HttpHead

__all__ = ["CodexUploadServer", "CreatedFile"]

MAX_FILE = 512 * 2**20


@frozen(kw_only=True)
class CreatedFile:
    """A file that was announced.

    Attributes:
        id: What the server calls it.
        name: What the client called it.
        size: Bytes, as announced.
        signature: What the address to put it to is signed with.
        blob: The bytes, when they have come.
        polls: How often its finalisation was asked for.
    """

    id: str
    name: str
    size: int
    signature: str
    blob: Spool | None = None
    polls: int = 0


@final
class CodexUploadServer(UploadServer):
    """The codex backend's `/backend-api/files` on 127.0.0.1, to be used by `async with`.

    Arguments:
        access_token: The only one that is accepted.
        account_id: The account that it belongs to.
        finalise: What asking for the finalisation is answered with, the last one from then on:
            "retry", "success", or the message of a failure.
        **options: See `UploadServer`.
    """

    STEPS: ClassVar[tuple[str, ...]] = ("create", "put", "finalise")

    def __init__(
        self,
        *,
        access_token: str = "test-token",  # noqa: S107 - of a test
        account_id: str = "test-account",
        finalise: Sequence[str] = ("success",),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.access_token = access_token
        self.account_id = account_id
        self.finalise = tuple(finalise)
        self._created: dict[str, CreatedFile] = {}
        self._files: dict[str, StoredFile] = {}

    @property
    def base_url(self) -> str:
        """What a client's base URL has to be."""
        return f"{self.url}/backend-api"

    @property
    def files(self) -> Mapping[str, StoredFile]:
        """The finalised files by id."""
        return MappingProxyType(self._files)

    @property
    def created(self) -> tuple[CreatedFile, ...]:
        """All that were announced, in that order."""
        return tuple(self._created.values())

    def _route(self, head: HttpHead) -> tuple[str, Prepare]:
        if (head.method, head.path) == ("POST", "/backend-api/files"):
            return "create", self._create
        finalised = re.fullmatch(r"/backend-api/files/([^/]+)/uploaded", head.path)
        if finalised is not None and head.method == "POST":
            return "finalise", self._bound(self._finalise, finalised[1])
        put = re.fullmatch(r"/blobs/([^/]+)", head.path)
        if put is not None and head.method == "PUT":
            return "put", self._bound(self._put, put[1])
        raise ApiError(404, f"{head.method} {head.path} is not served here")

    @staticmethod
    def _bound(prepare: Callable[[Incoming, str], Any], file_id: str) -> Prepare:
        return lambda incoming: prepare(incoming, file_id)

    def _error(self, error: ApiError) -> Answer:
        return json_answer({"detail": str(error)}, error.status)

    def _check_authorised(self, head: HttpHead) -> None:
        if head.headers.get("authorization") != f"Bearer {self.access_token}":
            raise ApiError(401, "no token, or not one that is known")
        if head.headers.get("chatgpt-account-id") != self.account_id:
            raise ApiError(403, "the token does not belong to this account")

    async def _create(self, incoming: Incoming) -> Effect:
        self._check_authorised(incoming.head)
        document = await incoming.json()
        match document:
            case {"file_name": str(name), "file_size": int(size), "use_case": "codex"} if (
                len(document) == 3  # noqa: PLR2004 - those three
            ):
                pass
            case _:
                raise ApiError(422, "file_name, file_size and use_case are needed")
        if not name or not 0 < size <= MAX_FILE:
            raise ApiError(400, f"a file of {size} bytes, where 1 to {MAX_FILE} are allowed")

        def apply() -> Answer:
            file_id = f"file_{len(self._created) + 1:06}"
            created = CreatedFile(id=file_id, name=name, size=size, signature=secrets.token_hex(16))
            self._created[file_id] = created
            signed = f"sv=2025-01-05&sr=b&sp=cw&sig={created.signature}"
            url = f"{self.url}/blobs/{file_id}?{signed}"
            return json_answer({"status": "success", "file_id": file_id, "upload_url": url})

        return Effect(apply)

    async def _put(self, incoming: Incoming, file_id: str) -> Effect:
        created = self._check_put(incoming.head, file_id)
        spool = self._storage.spool()
        try:
            while piece := await incoming.receive():
                spool.write(piece)
        except BaseException:
            spool.discard()
            raise
        spool.close()

        def apply() -> Answer:
            before = self._created[created.id].blob
            if before is not None and created.id not in self._files:
                before.discard()
            self._created[created.id] = attrs.evolve(self._created[created.id], blob=spool)
            return Answer(201, content_type="application/octet-stream")

        return Effect(apply, spool.discard)

    def _check_put(self, head: HttpHead, file_id: str) -> CreatedFile:
        """Be as particular as the blob storage is."""
        created = self._created.get(file_id)
        signature = parse_qs(head.target.partition("?")[2]).get("sig")
        if created is None or signature != [created.signature]:
            raise ApiError(403, "AuthenticationFailed: the signature did not match")
        if "authorization" in head.headers:
            raise ApiError(400, "InvalidAuthenticationInfo: a signed address takes no other")
        if head.headers.get("x-ms-blob-type") != "BlockBlob":
            raise ApiError(400, "MissingRequiredHeader: x-ms-blob-type")
        if "content-length" not in head.headers:
            raise ApiError(411, "MissingContentLengthHeader")
        return created

    async def _finalise(self, incoming: Incoming, file_id: str) -> Effect:
        self._check_authorised(incoming.head)
        if await incoming.json() != {}:
            raise ApiError(422, "an empty document is expected")
        if file_id not in self._created:
            raise ApiError(404, f"no file {file_id}")
        return Effect(lambda: json_answer(self._finalised(file_id)))

    def _finalised(self, file_id: str) -> dict[str, Any]:
        created = self._created[file_id]
        outcome = self.finalise[min(created.polls, len(self.finalise) - 1)]
        self._created[file_id] = attrs.evolve(created, polls=created.polls + 1)
        if created.blob is None or created.blob.size != created.size:
            return {"status": "error", "error_message": "the blob is not what was announced"}
        if outcome == "retry":
            return {"status": "retry"}
        if outcome != "success":
            return {"status": "error", "error_message": outcome}
        self._files.setdefault(
            file_id,
            StoredFile(
                id=file_id,
                name=created.name,
                size=created.size,
                purpose="",
                content_type="",
                created_at=self._now(),
                expires_at=None,
                spools=(created.blob,),
            ),
        )
        return {
            "status": "success",
            "download_url": f"{self.url}/blobs/{file_id}?sig={created.signature}",
            "file_name": created.name,
            "mime_type": "application/octet-stream",
            "file_size_bytes": created.size,
        }
