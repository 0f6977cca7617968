"""How a verb reaches whom it asks: the supervisor that runs, or a tree of files in this process.

A verb is written once, against a `Session`; it does not learn which of the two answers.
"""

import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from pathlib import Path
from typing import TypeVar

import outcome
import trio

from codex_actors.cli.common import nothing_staged
from codex_actors.cli.errors import SettingsError, Terminated
from codex_actors.cli.settings import Settings
from codex_actors.control.address import find_address
from codex_actors.control.client import open_client
from codex_actors.control.errors import NotRunning
from codex_actors.control.messages import Hello
from codex_actors.control.session import Session

T = TypeVar("T")
S = TypeVar("S")

Work = Callable[[S], Awaitable[T]]
Connect = Callable[[], AbstractAsyncContextManager[Session]]

# Seconds in which a supervisor answers what takes no time, or counts as unreachable.
PATIENCE = 10.0


def with_supervisor(settings: Settings, work: Work[Session, T]) -> T:
    """Ask the supervisor that runs; blocks.

    Raises:
        NotRunning: there is none.
        Unreachable: it does not answer.
        Terminated: a signal ended the work.
        RequestFailed: what was asked for failed.
    """
    opener: AbstractAsyncContextManager[Session] = open_client(address(settings), timeout=PATIENCE)
    return trio.run(_until_terminated, opener, work)


def with_connections(settings: Settings, work: Work[Connect, T]) -> T:
    """Do work that connects to the supervisor by itself, as often as it wants to; blocks.

    What it connects with raises `NotRunning` and `Unreachable` when it is entered.

    Raises:
        Terminated: a signal ended the work; else what the work raised.
    """
    path = address(settings)

    def connect() -> AbstractAsyncContextManager[Session]:
        return open_client(path, timeout=PATIENCE)

    return trio.run(_until_terminated, nullcontext(connect), work)


def with_session(settings: Settings, work: Work[Session, T], *, empty: T | None = None) -> T:
    """Ask the supervisor that runs, else a tree of files opened for this; blocks.

    Args:
        settings: which staging directory, which socket.
        work: what to ask.
        empty: the result when no supervisor runs and there is no staging directory, for verbs that
            only look: looking creates none.

    Raises:
        NotRunning: none runs at the socket that a flag names.
        Unreachable: one runs, but does not answer.
        Terminated: a signal ended the work; the tree was closed all the same.
        RequestFailed, FilesError, CodexError: what was asked for failed.
    """

    async def ask(session: Session | None) -> T:
        if session is None:
            assert empty is not None  # noqa: S101 - tells the type checkers
            return empty
        return await work(session)

    opener = _open_session(settings, looks=empty is not None)
    return trio.run(_until_terminated, opener, ask)


def address(settings: Settings) -> Path:
    """Return where the supervisor of these settings listens, if it runs.

    Raises:
        AddressRefused: the path cannot be a socket's.
    """
    return find_address(settings.staging_dir, settings.socket)


@asynccontextmanager
async def _open_session(settings: Settings, *, looks: bool) -> AsyncGenerator[Session | None]:
    """Open a session with whoever has the files; None when there are no files to look at."""
    async with AsyncExitStack() as stack:
        session: Session | None = None
        try:
            session = await stack.enter_async_context(
                open_client(address(settings), timeout=PATIENCE)
            )
        except NotRunning:
            if settings.sources["socket"].startswith("flag"):
                raise
        if session is not None and not await _has_files(session, settings):
            await stack.aclose()
            session = None
        if session is None and not (looks and nothing_staged(settings)):
            session = await stack.enter_async_context(_open_local(settings))
        yield session


@asynccontextmanager
async def _open_local(settings: Settings) -> AsyncGenerator[Session]:
    """Open the files in this process."""
    # Who asks a supervisor has no use for what it takes, which is half of the start of a verb.
    from codex_actors.control.local import LocalSession  # noqa: PLC0415
    from codex_actors.control.service import Service  # noqa: PLC0415
    from codex_actors.files import open_files  # noqa: PLC0415

    async with open_files(settings.files_config()) as files:
        service = Service(staging_dir=settings.staging_dir)
        service.open(files.supervisor, files)
        yield LocalSession(service)


async def _has_files(session: Session, settings: Settings) -> bool:
    """Whether a supervisor runs the files of these settings, and not only trees of a user's.

    Raises:
        SettingsError: it runs others, and somebody said which are meant.
    """
    hello = await session.request(Hello(), timeout=PATIENCE)
    theirs = hello["staging_dir"]
    if theirs is None:
        return False
    if settings.sources["staging_dir"] != "default" and not _is_same(theirs, settings.staging_dir):
        raise SettingsError(
            f"the supervisor at {hello['socket']} keeps its files in {theirs}, not in"
            f" {settings.staging_dir}: leave out one of --socket and --staging-dir"
        )
    return True


def _is_same(one: str, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


async def _until_terminated(
    opener: AbstractAsyncContextManager[S], work: Callable[[S], Awaitable[T]]
) -> T:
    """Work to the end, or until a SIGTERM, SIGHUP or Ctrl-C cancels it.

    What is cancelled is the work, inside of what was opened for it: a tree of our own still has
    its registry then, which gets its leases back, and stops in order afterwards. A second signal
    cancels that, too.
    """
    received: list[int] = []
    closed: list[outcome.Maybe[None]] = []
    results: list[outcome.Maybe[T]] = []
    working = trio.CancelScope()

    async def main() -> None:
        async with opener as opened:
            with working:
                results.append(await _capture(work(opened)))

    # Ctrl-C as well: raised anywhere it would come out of some nursery, in a group.
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for number in signals:
                    (working if not received else nursery.cancel_scope).cancel()
                    received.append(number)

            nursery.start_soon(listen)
            closed.append(await _capture(main()))
            nursery.cancel_scope.cancel()
    for each in closed:
        each.unwrap()
    if results:
        return results[0].unwrap()
    if received[0] == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(received[0])


async def _capture(work: Awaitable[T]) -> outcome.Maybe[T]:
    """The result as a value, so that no nursery wraps its error; cancellations pass."""
    try:
        return outcome.Value(await work)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again by who unwraps
        return outcome.Error(error)
