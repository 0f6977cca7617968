"""Owns a server on loopback that speaks OpenAI's Uploads and Files API.

Invariant: as strict as the real one where it is known to be; what a client has left behind can be
seen: uploads with their states, files with their bytes. Must not know who the client is.

    async with OpenAIUploadServer() as server:
        target = OpenAITarget(server.base_url, server.api_key)
        uploaded = await files.upload(attachment, target=target)
        assert server.files[uploaded.file_id].read() == data
        assert not server.pending
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, final

from codex_actors.testing.multipart import Field, MultipartReader, boundary_of
from codex_actors.testing.openai_documents import (
    check_create,
    check_form,
    error_document,
    file_document,
    listed,
    part_document,
    upload_document,
)
from codex_actors.testing.openai_uploads import MAX_PART, StoredUpload, Uploads
from codex_actors.testing.upload_exchange import (
    Answer,
    ApiError,
    Effect,
    Incoming,
    Prepare,
    json_answer,
)
from codex_actors.testing.upload_serving import UploadServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from codex_actors.testing.http import HttpHead
    from codex_actors.testing.upload_storage import Spool, StoredFile

__all__ = ["OpenAIUploadServer"]

MAX_FILE = 512 * 2**20


@final
class OpenAIUploadServer(UploadServer):
    """OpenAI's `/v1/uploads` and `/v1/files` on 127.0.0.1, to be used by `async with`.

    There is no endpoint that tells an upload's state, as there is none in the real API.

    Arguments:
        api_key: The only one that is accepted.
        repeats_complete: Whether completing a completed upload is answered as the first time was,
            instead of refused. (What the real one does is not documented.)
        **options: See `UploadServer`.
    """

    STEPS: ClassVar[tuple[str, ...]] = (
        "create",
        "part",
        "complete",
        "cancel",
        "file",
        "list",
        "retrieve",
        "content",
        "delete",
    )

    def __init__(
        self, *, api_key: str = "sk-test", repeats_complete: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.api_key = api_key
        self._uploads = Uploads(repeats_complete=repeats_complete)

    @property
    def base_url(self) -> str:
        """What a client's base URL has to be: `url` and the version."""
        return f"{self.url}/v1"

    @property
    def files(self) -> Mapping[str, StoredFile]:
        """The files by id, in the order in which they came to be."""
        return self._uploads.files

    @property
    def uploads(self) -> tuple[StoredUpload, ...]:
        """All uploads, in the order of their creation, with their states of now."""
        return self._uploads.at(self._now())

    @property
    def pending(self) -> tuple[StoredUpload, ...]:
        """The uploads that are neither completed, cancelled nor expired."""
        return tuple(upload for upload in self.uploads if upload.status == "pending")

    def _route(self, head: HttpHead) -> tuple[str, Prepare]:
        path = head.path.removeprefix("/v1")
        for method, pattern, step, prepare in self._routes():
            found = re.fullmatch(pattern, path)
            if found is not None and method == head.method and head.path.startswith("/v1/"):
                return step, self._authorised(prepare, found.groups())
        raise ApiError(404, f"Invalid URL ({head.method} {head.path})")

    def _routes(
        self,
    ) -> tuple[tuple[str, str, str, Callable[..., Awaitable[Effect]]], ...]:
        return (
            ("POST", r"/uploads", "create", self._create),
            ("POST", r"/uploads/([^/]+)/parts", "part", self._part),
            ("POST", r"/uploads/([^/]+)/complete", "complete", self._complete),
            ("POST", r"/uploads/([^/]+)/cancel", "cancel", self._cancel),
            ("POST", r"/files", "file", self._file),
            ("GET", r"/files", "list", self._list),
            ("GET", r"/files/([^/]+)", "retrieve", self._retrieve),
            ("GET", r"/files/([^/]+)/content", "content", self._content),
            ("DELETE", r"/files/([^/]+)", "delete", self._delete),
        )

    def _authorised(
        self, prepare: Callable[..., Awaitable[Effect]], names: tuple[str, ...]
    ) -> Prepare:
        async def prepare_authorised(incoming: Incoming) -> Effect:
            given = incoming.head.headers.get("authorization")
            if given is None:
                raise ApiError(401, "You didn't provide an API key.")
            if given != f"Bearer {self.api_key}":
                raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
            return await prepare(incoming, *names)

        return prepare_authorised

    def _error(self, error: ApiError) -> Answer:
        return json_answer(error_document(error), error.status)

    # Uploads

    async def _create(self, incoming: Incoming) -> Effect:
        request = check_create(await incoming.json())
        return Effect(
            lambda: json_answer(upload_document(self._uploads.create(request, self._now())))
        )

    async def _part(self, incoming: Incoming, upload_id: str) -> Effect:
        form = MultipartReader(incoming, boundary_of(incoming.head))
        self._uploads.check_pending(upload_id, self._now())
        spool, fields, _ = await self._spooled(form, "data", MAX_PART)

        def apply() -> Answer:
            check_form(fields, ())
            return json_answer(
                part_document(self._uploads.add_part(upload_id, spool, self._now()), upload_id)
            )

        return Effect(_or_discard(apply, spool), spool.discard)

    async def _complete(self, incoming: Incoming, upload_id: str) -> Effect:
        document = await incoming.json()
        return Effect(
            lambda: json_answer(
                upload_document(self._uploads.complete(upload_id, document, self._now()))
            )
        )

    async def _cancel(self, _incoming: Incoming, upload_id: str) -> Effect:
        return Effect(
            lambda: json_answer(upload_document(self._uploads.cancel(upload_id, self._now())))
        )

    # Files

    async def _file(self, incoming: Incoming) -> Effect:
        form = MultipartReader(incoming, boundary_of(incoming.head))
        spool, fields, sent = await self._spooled(form, "file", MAX_FILE)

        def apply() -> Answer:
            request = check_form(fields, ("purpose",))
            file = self._uploads.add_file(
                name=sent.filename or "upload",
                content_type=sent.content_type or "",
                spools=(spool,),
                request=request,
                now=self._now(),
            )
            return json_answer(file_document(file))

        return Effect(_or_discard(apply, spool), spool.discard)

    async def _spooled(
        self, form: MultipartReader, wanted: str, limit: int
    ) -> tuple[Spool, dict[str, str], Field]:
        """Read a form whose field `wanted` is a file; the others are returned as text."""
        spool = self._storage.spool()
        described: list[Field] = []
        fields: dict[str, str] = {}
        try:
            while field := await form.next_field():
                if field.name == wanted:
                    described.append(field)
                    await _fill(spool, form, wanted, limit)
                else:
                    fields[field.name] = await form.value()
            _check_one(described, wanted)
        except BaseException:
            spool.discard()
            raise
        return spool.close(), fields, described[0]

    async def _list(self, incoming: Incoming) -> Effect:
        return Effect(lambda: json_answer(listed(self._uploads.live(self._now()), incoming.head)))

    async def _retrieve(self, _incoming: Incoming, file_id: str) -> Effect:
        return Effect(lambda: json_answer(file_document(self._uploads.find(file_id, self._now()))))

    async def _content(self, _incoming: Incoming, file_id: str) -> Effect:
        return Effect(
            lambda: Answer(
                200, self._uploads.find(file_id, self._now()), "application/octet-stream"
            )
        )

    async def _delete(self, _incoming: Incoming, file_id: str) -> Effect:
        def apply() -> Answer:
            self._uploads.delete(file_id, self._now())
            return json_answer({"id": file_id, "object": "file", "deleted": True})

        return Effect(apply)


def _or_discard(apply: Callable[[], Answer], spool: Spool) -> Callable[[], Answer]:
    def applied() -> Answer:
        try:
            return apply()
        except ApiError:
            spool.discard()
            raise

    return applied


async def _fill(spool: Spool, form: MultipartReader, wanted: str, limit: int) -> None:
    while piece := await form.receive():
        if spool.size + len(piece) > limit:
            raise ApiError(413, f"'{wanted}' is above {limit} bytes.", param=wanted)
        spool.write(piece)


def _check_one(described: list[Field], wanted: str) -> None:
    if not described:
        message = f"Missing required parameter: '{wanted}'."
        raise ApiError(400, message, code="missing_required_parameter", param=wanted)
    if len(described) > 1:
        raise ApiError(400, f"'{wanted}' was given twice.", param=wanted)
