"""Owns one request to an upload server: what came, what it would do, what is answered.

Invariant: what a request does is decided after its body has come whole, and carried out or
discarded, once. Must not know a protocol, nor who listens.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import field, frozen

from codex_actors.testing.http import PIECE, response_head
from codex_actors.testing.upload_storage import StoredFile

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from codex_actors.testing.http import HttpBody, HttpHead
    from codex_actors.testing.upload_faults import UploadFault

__all__ = [
    "Answer",
    "ApiError",
    "Effect",
    "Incoming",
    "Prepare",
    "Struck",
    "discarding",
    "hang_up",
    "json_answer",
    "prepare_whole",
    "refusal",
    "reset",
    "send_answer",
    "send_half",
]

LINGER = 2.0
MAX_JSON = 2**20
SLICES_PER_SECOND = 20
JSON = "application/json"
NO_LINGER = struct.pack("ii", 1, 0)


class ApiError(Exception):
    """The request is refused, in the protocol's own words."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


@frozen
class Answer:
    """What a request is answered with; a file is sent from the disk."""

    status: int
    content: bytes | StoredFile = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(factory=dict[str, str])


def _nothing() -> None:
    pass


@frozen
class Effect:
    """What a request that has come whole would do: one of the two is called, once."""

    apply: Callable[[], Answer]
    discard: Callable[[], None] = _nothing


class Struck(Exception):
    """The fault strikes before the body has been read."""


@final
class Incoming:
    """A request that is coming in, its body read as a fault wants it.

    Attributes:
        head: What preceded the body.
        document: The body, once it was read as JSON.
    """

    def __init__(self, head: HttpHead, body: HttpBody, fault: UploadFault) -> None:
        self.head = head
        self.document: Any = None
        self._body = body
        self._fault = fault

    async def receive(self, limit: int = PIECE) -> bytes:
        """Return the next bytes of the body, at most `limit`; none at the end.

        Raises:
            Struck: The fault does not want more to be read.
        """
        after = self._fault.after
        if after is not None:
            if self._body.received >= after or self._body.finished:
                raise Struck
            limit = min(limit, after - self._body.received)
        speed = self._fault.bytes_per_second
        if math.isinf(speed):
            return await self._body.receive(limit)
        piece = await self._body.receive(min(limit, max(1, int(speed / SLICES_PER_SECOND))))
        await trio.sleep(len(piece) / speed)
        return piece

    async def json(self) -> Any:
        """Return the JSON document that the body is.

        Raises:
            ApiError: It is none, or too long.
        """
        text = bytearray()
        while piece := await self.receive():
            text += piece
            if len(text) > MAX_JSON:
                raise ApiError(413, "A JSON document of more than a MiB.")
        try:
            self.document = json.loads(text)
        except (ValueError, RecursionError):
            raise ApiError(400, "We could not parse the JSON body of your request.") from None
        return self.document


Prepare = Callable[[Incoming], Awaitable[Effect]]
"""Reads a request's body and returns what the request would do, or raises `ApiError`."""


def json_answer(value: object, status: int = 200) -> Answer:
    """Return an answer that is a JSON document."""
    return Answer(status, json.dumps(value).encode())


def refusal(error: ApiError) -> Prepare:
    """Return what prepares a request that is refused."""

    def apply() -> Answer:
        raise error

    async def prepare(_incoming: Incoming) -> Effect:
        await trio.lowlevel.checkpoint()
        return Effect(apply)

    return prepare


async def prepare_whole(prepare: Prepare, incoming: Incoming) -> Effect:
    """Prepare a request, and read what that left of its body."""
    try:
        effect = await prepare(incoming)
    except ApiError as error:
        effect = await refusal(error)(incoming)
    with discarding(effect):
        while await incoming.receive():
            pass
    return effect


@contextmanager
def discarding(effect: Effect) -> Generator[None]:
    """Discard an effect if the block fails."""
    try:
        yield
    except BaseException:
        effect.discard()
        raise


async def send_answer(stream: trio.SocketStream, answer: Answer, *, keep_alive: bool) -> None:
    """Send a whole answer."""
    content = answer.content
    length = content.size if isinstance(content, StoredFile) else len(content)
    head = response_head(
        answer.status, answer.content_type, length, headers=answer.headers, keep_alive=keep_alive
    )
    if isinstance(content, StoredFile):
        await stream.send_all(head)
        for piece in content.pieces():
            await stream.send_all(piece)
    else:
        await stream.send_all(head + content)


async def send_half(stream: trio.SocketStream, answer: Answer) -> None:
    """Send the head of an answer and the first half of its content, and hang up."""
    content = answer.content if isinstance(answer.content, bytes) else b""
    head = response_head(answer.status, answer.content_type, max(2, len(content)))
    await stream.send_all(head + content[: len(content) // 2])
    await hang_up(stream)


async def hang_up(stream: trio.SocketStream) -> None:
    """End a connection so that the client sees what was sent."""
    await stream.send_eof()
    with trio.move_on_after(LINGER):
        # Closing with something unread would reset the connection, and the client might never see
        # the answer.
        while await stream.receive_some():
            pass


def reset(stream: trio.SocketStream) -> None:
    """Make the end of a connection a reset: the client gets ECONNRESET."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
