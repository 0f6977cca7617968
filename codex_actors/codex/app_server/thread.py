"""Owns a thread of the app-server: its turns, one at a time, and its records.

Invariant: every attachment of a turn is leased from before the turn until codex has read it (an
image: when the user's message has begun; a file that the agent reads: when the turn has ended),
also when the turn is cancelled or codex dies; a turn that its caller has left is not running any
more. Must not know how the process is kept.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, final

import trio

from codex_actors._background import wait_first
from codex_actors.codex.app_server.connection import REQUEST_TIMEOUT, Connection, Pending
from codex_actors.codex.app_server.ledger import Ledger
from codex_actors.codex.app_server.params import (
    LocalImage,
    RemoteImage,
    thread_params,
    turn_input,
)
from codex_actors.codex.app_server.turns import Turn
from codex_actors.codex.app_server.wire import Failure
from codex_actors.codex.arguments import check_prompt, check_timeout
from codex_actors.codex.delivery import OpenDelivery, check_kind, open_delivery
from codex_actors.codex.errors import CodexError, TurnInterrupted, TurnTimeout
from codex_actors.codex.result import turn_result
from codex_actors.codex.routing import Route, check_goes_by_id
from codex_actors.files import Attachment, UploadedFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from codex_actors.codex.app_server.client import Link
    from codex_actors.codex.app_server.records import ThreadAttachment
    from codex_actors.codex.delivery import Leaser
    from codex_actors.codex.events import AttachmentNotRecorded
    from codex_actors.codex.options import ThreadOptions
    from codex_actors.codex.result import TurnResult

__all__ = ["Thread", "thread_id_of"]

INTERRUPT_TIMEOUT = 3.0
"""Seconds for a turn that nobody wants any more to end, before codex is ended."""
GONE_TIMEOUT = 15.0
"""Seconds for a process that has been ended, and what it had started, to be gone."""


@final
class Thread:
    """A conversation with the agent. Obtained from `start_thread`, `resume_thread`, `fork_thread`.

    When the app-server dies, the next turn resumes the thread in the next one.
    """

    def __init__(
        self,
        link: Link,
        files: Leaser,
        options: ThreadOptions,
        *,
        thread_id: str,
        loaded_in: int,
        has_history: bool,
    ) -> None:
        self._link = link
        self._files = files
        self._options = options
        self._id = thread_id
        self._loaded_in = loaded_in
        self._has_history = has_history
        self._unsent: tuple[Attachment, ...] = options.attachments
        self._one_turn = trio.Lock()
        self._running: tuple[Connection, Turn] | None = None
        self._ledger = Ledger(
            link, lambda: self._id, ephemeral=options.ephemeral, open_=has_history
        )

    @property
    def id(self) -> str:
        """What codex calls it.

        Codex forgets a thread that never had a turn when it dies; such a thread is then started
        again by its first turn, under another id.
        """
        return self._id

    async def run_turn(
        self,
        prompt: str,
        attachments: Iterable[Attachment | UploadedFile] = (),
        *,
        timeout: float | None = None,
    ) -> TurnResult:
        """Have the agent answer a prompt, and wait for the end of its turn.

        Images are sent as images, those that were uploaded by their file id; other attachments are
        named in the prompt with a path that the agent can read while the turn runs. The
        attachments of the thread's options go with its first turn, before these. What was delivered
        is recorded with the thread (see `add_attachment`) unless it is ephemeral; a record that
        cannot be made fails no turn: it is an `AttachmentNotRecorded` after the other events, and
        tried again with the next turn. Turns of one thread wait for each other.

        Without a reachable model codex tries for ever: give a `timeout` (seconds, for everything).
        Cancelled, or out of time, it interrupts the turn and waits for its end; a codex that does
        not end it within seconds is ended itself, and started again.

        Raises:
            InvalidPrompt, InvalidTimeout, DeliveryError: Nothing was started.
            FilesError: A lease was refused; nothing was started.
            TurnInterrupted: `interrupt` was called.
            TurnTimeout: The turn took longer than `timeout`.
            CodexDied: The app-server ended during the turn.
            CodexError: The turn failed, or codex refused it.
        """
        seconds = check_timeout(timeout)
        check_prompt(prompt)
        if isinstance(attachments, str | Attachment | UploadedFile):
            raise TypeError("attachments takes several: write (attachment,)")
        given = tuple(attachments)
        with trio.move_on_after(seconds):
            async with self._one_turn:
                return await self._run(prompt, (*self._unsent, *given))
        raise TurnTimeout(
            f"the codex turn took longer than {seconds:g} s and was ended: is the model reachable?",
            stderr=self._link.stderr(),
        )

    async def interrupt(self) -> None:
        """End the running turn, whose `run_turn` raises `TurnInterrupted`; without one, nothing.

        Returns when codex has taken it in.

        Raises:
            CodexError: Codex refused, or did not answer.
        """
        if self._running is None:
            await trio.lowlevel.checkpoint()
            return
        connection, turn = self._running
        with trio.move_on_after(REQUEST_TIMEOUT) as scope:
            await _interrupt(connection, turn, self._id)
        if scope.cancelled_caught:
            raise connection.error("codex did not answer turn/interrupt in time")

    async def add_attachment(self, attachment: Attachment) -> None:
        """Record an attachment with the thread, where `list_attachments` and `threads_of` find it.

        The model does not see records. One content is recorded once in a thread: a second name of
        it replaces the first. Before the thread's first turn codex takes no records; until then
        they wait here, and are made as soon as that turn has begun.

        Raises:
            NotRecorded: Its descriptor is too large, the thread is ephemeral, or 100 wait already.
            RequestRefused: Codex refused it: a thread has at most 100 records.
            CodexError: Codex could not be asked. When a connection is lost, its list is asked
                whether the record was made.
        """
        await self._ledger.add(attachment)

    async def list_attachments(self) -> tuple[ThreadAttachment, ...]:
        """Return the attachments that are recorded, then those that wait for a turn.

        A fork has those that its origin had.

        Raises:
            CodexError: Codex could not be asked.
        """
        return await self._ledger.list()

    async def remove_attachment(self, attachment: Attachment) -> None:
        """Remove the record of an attachment's content; one that is not there is gone already.

        Raises:
            CodexError: Codex refused, or could not be asked.
        """
        await self._ledger.remove(attachment)

    async def _run(
        self, prompt: str, attachments: Sequence[Attachment | UploadedFile]
    ) -> TurnResult:
        local = _checked(attachments)
        async with open_delivery(local, self._files) as delivery:
            images = _images(attachments, delivery)
            connection = await self._load()
            turn = Turn(self._id)
            asked = turn_input(delivery.prompt(prompt), images, self._options.image_detail)
            async with self._listening(connection, turn) as starting:
                await self._start(connection, turn, starting, asked)
                unrecorded: Sequence[AttachmentNotRecorded] = ()
                await turn.settled.wait()
                if turn.arrived:
                    self._begin()
                    await delivery.release_images()
                    unrecorded = await self._ledger.bring(local, connection)
                await turn.over.wait()
                if unrecorded and turn.status == "completed":
                    # Sooner the thread itself may not have been on record.
                    turn.events += await self._ledger.bring((), connection)
        return _result(connection, turn)

    async def _load(self) -> Connection:
        """Return a conversation in which the thread is loaded."""
        connection = await self._link.connection()
        if self._loaded_in != connection.number:
            params = thread_params(self._options)
            if not self._has_history:
                params["ephemeral"] = self._options.ephemeral
                answer = await connection.request("thread/start", params)
            elif self._options.ephemeral:
                raise CodexError(
                    f"thread {self._id} is gone: an ephemeral thread ends with its app-server, "
                    "which has died; start another"
                )
            else:
                params |= {"threadId": self._id, "excludeTurns": True}
                answer = await connection.request("thread/resume", params)
            self._id = thread_id_of(answer)
            self._loaded_in = connection.number
        return connection

    @asynccontextmanager
    async def _listening(self, connection: Connection, turn: Turn) -> AsyncGenerator[Pending]:
        """Hear of a turn for a block, with a request that starts it; after it, the turn is over."""
        connection.listen(self._id, turn)
        starting = connection.begin("turn/start")
        self._running = connection, turn
        try:
            yield starting
        finally:
            with trio.CancelScope(shield=True):
                if starting.sent and not isinstance(starting.answer, Failure):
                    await self._end(connection, turn)
            turn.lose()
            if turn.arrived:
                # Also when its caller had gone before it could see that.
                self._begin()
            self._running = None
            connection.forget(starting)
            connection.ignore(self._id)

    def _begin(self) -> None:
        """Note that codex has the thread on record, and what was to go with its first turn."""
        self._unsent = ()
        self._has_history = self._ledger.open = True

    async def _start(
        self,
        connection: Connection,
        turn: Turn,
        starting: Pending,
        asked: Sequence[dict[str, Any]],
    ) -> None:
        with trio.move_on_after(REQUEST_TIMEOUT):
            await connection.send(starting, {"threadId": self._id, "input": list(asked)})
            await starting.settled.wait()
        match connection.result(starting):
            case {"turn": {"id": str(id_)}}:
                turn.id = turn.id or id_
            case _:
                raise CodexError("codex answered turn/start without a turn")

    async def _end(self, connection: Connection, turn: Turn) -> None:
        """See to it that the turn is over, in bounded time, and with it all use of its files."""
        with trio.move_on_after(INTERRUPT_TIMEOUT):
            if not turn.over.is_set():
                # Refused: it may be over in a moment.
                with suppress(CodexError):
                    await _interrupt(connection, turn, self._id)
                await turn.over.wait()
        if not turn.over.is_set():
            connection.close(
                "the codex app-server was ended because it did not end a turn that was cancelled"
            )
        if connection.ended.is_set():
            with trio.move_on_after(GONE_TIMEOUT):
                await connection.gone.wait()


async def _interrupt(connection: Connection, turn: Turn, thread_id: str) -> None:
    """Ask codex to end a turn; return when it has answered, or the turn is over."""
    # Codex refuses to interrupt a turn that it has not begun, and never answers for one that it has
    # just ended.
    await turn.started.wait()
    if turn.over.is_set():
        return
    request = connection.begin("turn/interrupt")
    try:
        await connection.send(request, {"threadId": thread_id, "turnId": turn.id})
        await wait_first(request.settled, turn.over)
        if not turn.over.is_set():
            connection.result(request)
    finally:
        connection.forget(request)


def thread_id_of(answer: object) -> str:
    """Return the id of the thread in an answer.

    Raises:
        CodexError: There is none.
    """
    match answer:
        case {"thread": {"id": str(id_)}}:
            return id_
        case _:
            raise CodexError("codex answered without a thread: is it codex?")


def _checked(attachments: Sequence[Attachment | UploadedFile]) -> tuple[Attachment, ...]:
    """Return those that are delivered from here.

    Raises:
        DeliveryError, TypeError: One is none, or would not arrive.
    """
    now = datetime.now(UTC)
    local: list[Attachment] = []
    for attachment in attachments:
        if isinstance(attachment, UploadedFile):
            check_goes_by_id(attachment, now)
        else:
            check_kind(attachment)
            local.append(attachment)
    return tuple(local)


def _images(
    attachments: Sequence[Attachment | UploadedFile], delivery: OpenDelivery
) -> Iterable[LocalImage | RemoteImage]:
    """Return what is sent as an image, in the order of attaching."""
    deliveries = iter(delivery.deliveries)
    for attachment in attachments:
        if isinstance(attachment, UploadedFile):
            yield RemoteImage(attachment.file_id)
        elif (planned := next(deliveries)).route is Route.IMAGE:
            yield LocalImage(delivery.path(planned))


def _result(connection: Connection, turn: Turn) -> TurnResult:
    if turn.status == "completed":
        return turn_result(turn.events)
    if turn.status == "interrupted":
        raise TurnInterrupted("the codex turn was interrupted")
    if turn.status is None:
        raise connection.lost("turn/start")
    raise connection.error(f"the codex turn failed: {connection.redact(turn.failure)}")
