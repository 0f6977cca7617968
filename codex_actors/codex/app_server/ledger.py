"""Owns the records of one thread: what codex has, and what still has to be brought to it.

Invariant: what was asked to be recorded is recorded, or waits for the thread's next turn, or its
caller has an error; nothing is forgotten because a request was lost: what became of it is read from
codex's own list. Must not know turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import trio

from codex_actors.codex.app_server.records import (
    MAX_RECORDS,
    Record,
    ThreadAttachment,
    identity_of,
    parse_attachments,
    record_of,
)
from codex_actors.codex.errors import CodexDied, CodexError, NotRecorded
from codex_actors.codex.events import AttachmentNotRecorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from codex_actors.codex.app_server.client import Link
    from codex_actors.codex.app_server.connection import Connection
    from codex_actors.files import Attachment

__all__ = ["Ledger", "list_all"]

TRIES = 3
"""How often something is asked for whose connection was lost."""


@final
class Ledger:
    """The records of one thread.

    Attributes:
        open: Whether codex takes records of it: from the thread's first turn on.
    """

    def __init__(
        self, link: Link, thread_id: Callable[[], str], *, ephemeral: bool, open_: bool
    ) -> None:
        self._link = link
        self._thread_id = thread_id
        self._ephemeral = ephemeral
        self._waiting: dict[str, Record] = {}
        self._lock = trio.Lock()
        self.open = open_

    async def add(self, attachment: Attachment) -> None:
        """Record an attachment, at once or with the thread's first turn; see `Thread`."""
        record = record_of(attachment)
        if self._ephemeral:
            raise NotRecorded(
                f"attachment {attachment.name!r} cannot be recorded: an ephemeral thread keeps no "
                "record of anything"
            )
        if self.open:
            await self._settled(lambda: self._put(record), lambda found: _holds(found, record))
            self._waiting.pop(record.key, None)
        elif record.key not in self._waiting and len(self._waiting) >= MAX_RECORDS:
            raise NotRecorded(
                f"attachment {attachment.name!r} cannot be recorded: {MAX_RECORDS} wait for the "
                "thread's first turn already, and codex takes no more"
            )
        else:
            self._waiting[record.key] = record
            await trio.lowlevel.checkpoint()

    async def remove(self, attachment: Attachment) -> None:
        """Remove the record of an attachment's content; see `Thread`."""
        identity = identity_of(attachment)
        self._waiting.pop(identity["identityKey"], None)
        if not self.open or self._ephemeral:
            await trio.lowlevel.checkpoint()
            return
        await self._settled(
            lambda: self._ask("remove", identity),
            lambda found: all(entry.key != identity["identityKey"] for entry in found),
        )

    async def list(self) -> tuple[ThreadAttachment, ...]:
        """Return what is recorded, then what waits to be; see `Thread`."""
        recorded = () if self._ephemeral else await self._recorded()
        known = {entry.key for entry in recorded}
        return (
            *recorded,
            *(
                ThreadAttachment(key=record.key, payload=record.payload)
                for record in self._waiting.values()
                if record.key not in known
            ),
        )

    async def bring(
        self, delivered: Sequence[Attachment], connection: Connection
    ) -> tuple[AttachmentNotRecorded, ...]:
        """Record what a turn has delivered, and what waits; return what could not be, and why.

        That does not fail: the turn is under way. What could not be recorded waits for the next.
        """
        failed: list[AttachmentNotRecorded] = []
        for attachment in () if self._ephemeral else delivered:
            try:
                record = record_of(attachment)
            except NotRecorded as error:
                failed.append(AttachmentNotRecorded(attachment.name, str(error)))
            else:
                self._waiting[record.key] = record
        async with self._lock:
            for record in tuple(self._waiting.values()):
                try:
                    await self._put(record, connection)
                except CodexError as error:
                    name = str(record.payload.get("name"))
                    failed.append(AttachmentNotRecorded(name, str(error)))
                else:
                    if self._waiting.get(record.key) is record:
                        del self._waiting[record.key]
        return tuple(failed)

    async def _settled(
        self,
        ask: Callable[[], Awaitable[object]],
        done: Callable[[tuple[ThreadAttachment, ...]], bool],
    ) -> None:
        """Ask until there is an answer; a lost connection's outcome is read from the list."""
        async with self._lock:
            for tries_left in reversed(range(TRIES)):
                try:
                    await ask()
                except CodexDied:
                    if not tries_left:
                        raise
                    if not done(await self._recorded()):
                        continue
                return

    async def _put(self, record: Record, connection: Connection | None = None) -> None:
        parameters = {**record.identity, "payload": record.payload}
        match await self._ask("add", parameters, connection):
            case {"outcome": "existing", "attachment": {"payload": payload}} if (
                payload != record.payload
            ):
                # Codex keeps the payload that it has: an update is a removal and an addition.
                self._waiting[record.key] = record
                await self._ask("remove", record.identity, connection)
                await self._ask("add", parameters, connection)
                del self._waiting[record.key]
            case _:
                pass

    async def _recorded(self) -> tuple[ThreadAttachment, ...]:
        entries = await list_all(
            self._link, "thread/attachment/list", {"threadId": self._thread_id()}
        )
        return tuple(parse_attachments(entries))

    async def _ask(
        self, verb: str, parameters: Mapping[str, Any], connection: Connection | None = None
    ) -> Any:
        connection = connection or await self._link.connection()
        return await connection.request(
            f"thread/attachment/{verb}", {"threadId": self._thread_id(), **parameters}
        )


def _holds(found: Sequence[ThreadAttachment], record: Record) -> bool:
    return any(entry.key == record.key and entry.payload == record.payload for entry in found)


async def list_all(link: Link, method: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Return the entries of every page of a list.

    Raises:
        CodexError: Codex could not be asked, or its pages have no end.
    """
    entries: list[Any] = []
    cursors: list[object] = [None]
    while True:
        connection = await link.connection()
        cursor = {} if cursors[-1] is None else {"cursor": cursors[-1]}
        match await connection.request(method, {**parameters, **cursor}):
            case {"data": [*page], **rest}:
                entries += page
            case _:
                raise CodexError(f"codex answered {method} with something else than a list")
        following: object = rest.get("nextCursor")
        if following is None:
            return entries
        if following in cursors:
            raise CodexError(f"codex answered {method} with pages that have no end")
        cursors.append(following)
