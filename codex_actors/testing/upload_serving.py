"""Owns what the two upload servers share: connections, and what a fault makes of a request.

Invariant: a request takes effect once, in one step without an await, after its body has come whole;
a fault decides whether it does and what the client sees. Must not know a protocol.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs
import trio

from codex_actors.testing.http import HttpReader, Refused
from codex_actors.testing.loopback import LoopbackServer
from codex_actors.testing.upload_exchange import (
    Answer,
    ApiError,
    Incoming,
    Struck,
    discarding,
    hang_up,
    json_answer,
    prepare_whole,
    refusal,
    reset,
    send_answer,
    send_half,
)
from codex_actors.testing.upload_faults import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerTwice,
    AnswerWith,
    FaultScript,
    NeverAnswer,
    ResetConnection,
    UploadFault,
)
from codex_actors.testing.upload_record import RequestLog, UploadRequest
from codex_actors.testing.upload_storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from codex_actors.testing.http import HttpBody, HttpHead
    from codex_actors.testing.upload_exchange import Effect, Prepare

__all__ = ["UploadServer"]

CONNECTION_IDLE = 60.0
MAX_BODY = 9 * 2**30
"""Bytes of a request, above every limit of the protocols: those are answered in their own way."""

GARBAGE = b"<html><body>The proxy has something to say.</body></html>"


class UploadServer(LoopbackServer):
    """Base of the upload servers, to be used by `async with`.

    Arguments:
        faults: What goes wrong; see `UploadFault`. May be replaced while serving, which starts
            the counting afresh.
        latency: Seconds before every answer.
        clock: Seconds since the epoch.
        keep_bytes: Whether contents are kept (on disk, until the server stops). Without them,
            files know their size only.
        port: 0 takes a free one.
    """

    STEPS: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        faults: Iterable[UploadFault] = (),
        latency: float = 0.0,
        clock: Callable[[], float] = time.time,
        keep_bytes: bool = True,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.latency = latency
        self._clock = clock
        self._keep_bytes = keep_bytes
        self._script = FaultScript(faults, self.STEPS)
        self._log = RequestLog()
        self._open_storage: Storage | None = None

    @contextmanager
    def _running(self) -> Generator[None]:
        with tempfile.TemporaryDirectory(prefix="uploads-") as directory:
            self._open_storage = Storage(Path(directory), keep=self._keep_bytes)
            yield

    @property
    def faults(self) -> tuple[UploadFault, ...]:
        """What goes wrong."""
        return self._script.faults

    @faults.setter
    def faults(self, faults: Iterable[UploadFault]) -> None:
        self._script = FaultScript(faults, self.STEPS)

    @property
    def requests(self) -> tuple[UploadRequest, ...]:
        """Every request so far, in the order of arrival."""
        return self._log.requests

    def of(self, step: str) -> tuple[UploadRequest, ...]:
        """Return the requests of one step, in the order of arrival."""
        return self._log.of(step)

    def peak(self, step: str) -> int:
        """Return how many requests of one step were in hand at the same time, at most."""
        return self._log.peak(step)

    async def wait_requests(self, step: str, count: int) -> None:
        """Wait until `count` requests of one step have come in all."""
        while len(self.of(step)) < count:
            await self.wait_activity()

    async def wait_activity(self) -> None:
        """Wait until the next request comes, was read or is answered."""
        await self._log.wait_activity()

    @property
    def _storage(self) -> Storage:
        if self._open_storage is None:
            raise RuntimeError(f"the {type(self).__name__} is not running: use `async with`")
        return self._open_storage

    def _now(self) -> int:
        return int(self._clock())

    # What a protocol says

    def _route(self, head: HttpHead) -> tuple[str, Prepare]:
        """Return the step of a request and what prepares it, or raise `ApiError`."""
        raise NotImplementedError

    def _error(self, error: ApiError) -> Answer:
        """Return the answer of a refused request."""
        raise NotImplementedError

    # One connection

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            # A client that hangs up is no concern of the server's.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                try:
                    await self._converse(HttpReader(stream, max_body=MAX_BODY), stream)
                except Refused as refused:
                    answer = self._error(ApiError(refused.status, str(refused)))
                    await send_answer(stream, answer, keep_alive=False)
                    await hang_up(stream)

    async def _converse(self, reader: HttpReader, stream: trio.SocketStream) -> None:
        while True:
            head = None
            with trio.move_on_after(CONNECTION_IDLE):
                head = await reader.next_head()
            if head is None:
                return
            body = reader.body(head)
            if head.headers.get("expect", "").lower() == "100-continue":
                await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            if not await self._exchange(head, body, stream):
                return

    async def _exchange(self, head: HttpHead, body: HttpBody, stream: trio.SocketStream) -> bool:
        """Serve one request; return whether another may follow on its connection."""
        try:
            step, prepare = self._route(head)
        except ApiError as error:
            step, prepare = "", refusal(error)
        number = self._log.arrived(step, head)
        fault = self._script.next(step) if step else UploadFault(step)
        incoming = Incoming(head, body, fault)
        answer: Answer | None = None
        try:
            with self._log.in_hand(step):
                effect = await prepare_whole(prepare, incoming)
                with discarding(effect):
                    await trio.sleep(self.latency + fault.delay)
                if fault.carried_out:
                    answer = self._apply(effect)
                else:
                    effect.discard()
        except Struck:
            pass
        finally:
            self._log.note(number, received=body.received, json=incoming.document)
        return await self._reply(head, number, fault, answer, stream)

    def _apply(self, effect: Effect) -> Answer:
        try:
            return effect.apply()
        except ApiError as error:
            return self._error(error)

    async def _reply(
        self,
        head: HttpHead,
        number: int,
        fault: UploadFault,
        answer: Answer | None,
        stream: trio.SocketStream,
    ) -> bool:
        """Send what a fault makes of an answer."""
        match fault.then:
            case ResetConnection():
                reset(stream)
                return False
            case NeverAnswer():
                if fault.after is not None:
                    await trio.sleep_forever()  # what comes is left unread, and fills the buffers
                while await stream.receive_some():
                    pass
                return False
            case AnswerTruncated():
                whole = json_answer({"id": "", "object": ""}) if answer is None else answer
                await send_half(stream, whole)
                return False
            case AnswerGarbage():
                answer = Answer(200, GARBAGE, "text/html")
            case AnswerWith():
                answer = self._instead(fault.then)
            case AnswerTwice() | None:
                pass
        if answer is None:  # its fault has taken effect, and so it has one
            raise AssertionError(f"no answer for {head.method} {head.path}")
        keep_alive = head.keep_alive and fault.after is None
        self._log.note(number, status=answer.status)
        for _ in range(2 if isinstance(fault.then, AnswerTwice) else 1):
            await send_answer(stream, answer, keep_alive=keep_alive)
        if not keep_alive:
            await hang_up(stream)
        return keep_alive

    def _instead(self, given: AnswerWith) -> Answer:
        answer = self._error(ApiError(given.status, f"status {given.status}, as the test wants it"))
        headers = dict(given.headers)
        if given.retry_after is not None:
            headers["retry-after"] = (
                given.retry_after
                if isinstance(given.retry_after, str)
                else f"{given.retry_after:g}"
            )
        if given.body is not None:
            answer = Answer(given.status, given.body.encode())
        return attrs.evolve(answer, headers=headers)
