"""Owns the cutting of a file into parts, and the sending of those that are missing.

Invariant: at most as many parts are in flight as the target takes; when one has failed for good,
the others have ended before anybody is told. Must not know what an acknowledgement is good for.
"""

from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from codex_actors.files.body import BlobBody, Watch
from codex_actors.files.errors import FilesError
from codex_actors.files.requests import Patience, Requests
from codex_actors.files.targets.protocol import Outgoing, Part, Receipt, Remote, Session

__all__ = ["Parts", "parts_of", "send_parts"]


@frozen
class Parts:
    """Parts to send.

    Attributes:
        file: Of what.
        remote: Where to.
        watch: Of the bytes.
        missing: Which.
        count: How many the file has in all.
    """

    file: Outgoing
    remote: Remote
    watch: Watch
    missing: tuple[Part, ...]
    count: int


async def send_parts(
    requests: Requests,
    session: Session,
    parts: Parts,
    acknowledge: Callable[[Part, Receipt], Awaitable[None]],
    *,
    parallel: int,
) -> None:
    """Send parts, several at a time, and have each acknowledged before the next is sent.

    Raises:
        FilesError: What the first one failed with.
    """
    rest = iter(parts.missing)
    failures: list[FilesError] = []

    async def send_rest() -> None:
        for part in rest:

            def request(patience: Patience, part: Part = part) -> Awaitable[Receipt]:
                body = BlobBody(parts.watch, part.offset, part.size, patience.touch)
                return session.send_part(parts.file, parts.remote, part, body)

            receipt = await requests.ask(f"part {part.number + 1} of {parts.count}", request)
            await acknowledge(part, receipt)

    async with trio.open_nursery() as nursery:

        async def work() -> None:
            try:
                await send_rest()
            except FilesError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        for _ in range(min(parallel, len(parts.missing))):
            nursery.start_soon(work)
    if failures:
        raise failures[0]


def parts_of(size: int, part_size: int | None) -> tuple[Part, ...]:
    """Return the parts of a file: all of `part_size` but the last, or one; none of an empty one."""
    step = part_size or max(size, 1)
    return tuple(
        Part(number, offset, min(step, size - offset))
        for number, offset in enumerate(range(0, size, step))
    )
