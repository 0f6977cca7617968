"""Owns the public face of the app-server: opening it, and what is not of one thread.

Invariant: when the block has been left, however it is left, the process and all that it had started
have ended; an error of the block leaves it bare. Must not know messages.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, final

import trio

from codex_actors import (
    ChildStartError,
    Event,
    RestartIntensityExceeded,
    RestartIntensityReached,
    open_supervisor,
)
from codex_actors.codex.app_server.client import Link, Settings, app_server_spec
from codex_actors.codex.app_server.ledger import list_all
from codex_actors.codex.app_server.params import check_options, thread_params
from codex_actors.codex.app_server.records import identity_of
from codex_actors.codex.app_server.thread import Thread, thread_id_of
from codex_actors.codex.binary import find_codex
from codex_actors.codex.errors import CodexDied, CodexError
from codex_actors.codex.options import ThreadOptions
from codex_actors.codex.redact import redactor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from codex_actors import Supervisor
    from codex_actors.codex.delivery import Leaser
    from codex_actors.files import Attachment

__all__ = ["AppServer", "open_app_server"]

_DEFAULTS = ThreadOptions()


@final
class AppServer:
    """A running `codex app-server`. Obtained from `open_app_server`; for any number of tasks."""

    def __init__(self, link: Link, files: Leaser, supervisor: Supervisor) -> None:
        self._link = link
        self._files = files
        self._supervisor = supervisor

    @property
    def supervisor(self) -> Supervisor:
        """The handle of the tree that keeps the process running: its events, its snapshot."""
        return self._supervisor

    async def start_thread(self, options: ThreadOptions = _DEFAULTS) -> Thread:
        """Start a thread.

        Its attachments go with its first turn. Nobody can be asked for approval: the policy is
        `never` unless the config has an `approval_policy`, and what codex then asks is declined.

        Raises:
            ValueError: The options have `env` or `codex_path`: these are the app-server's.
            CodexError: Codex refused it, or could not be asked.
        """
        params = thread_params(options)
        return await self._thread(
            "thread/start", {**params, "ephemeral": options.ephemeral}, options, has_history=False
        )

    async def resume_thread(self, thread_id: str, options: ThreadOptions = _DEFAULTS) -> Thread:
        """Load a thread that has had a turn; options that are given replace those it had.

        Raises:
            ValueError: As for `start_thread`, or the options say `ephemeral`.
            CodexError: There is none, or codex could not be asked.
        """
        if options.ephemeral:
            raise ValueError("a thread that is resumed has a history: it cannot be ephemeral")
        return await self._thread(
            "thread/resume", _existing(thread_id, options), options, has_history=True
        )

    async def fork_thread(self, thread_id: str, options: ThreadOptions = _DEFAULTS) -> Thread:
        """Start a thread with the history and the records of another, which stays as it is.

        Raises:
            ValueError: As for `start_thread`.
            CodexError: There is none, or codex could not be asked.
        """
        params = {**_existing(thread_id, options), "ephemeral": options.ephemeral}
        return await self._thread("thread/fork", params, options, has_history=True)

    async def threads_of(self, attachment: Attachment) -> tuple[str, ...]:
        """Return the ids of the threads with which an attachment's content is recorded.

        Raises:
            CodexError: Codex could not be asked.
        """
        owners = await list_all(self._link, "thread/attachmentOwner/list", identity_of(attachment))
        return tuple(str(owner["threadId"]) for owner in owners if "threadId" in owner)

    async def _thread(
        self, method: str, params: dict[str, Any], options: ThreadOptions, *, has_history: bool
    ) -> Thread:
        check_options(options)
        connection = await self._link.connection()
        return Thread(
            self._link,
            self._files,
            options,
            thread_id=thread_id_of(await connection.request(method, params)),
            loaded_in=connection.number,
            has_history=has_history,
        )


@asynccontextmanager
async def open_app_server(
    *,
    files: Leaser,
    codex_path: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    config: Mapping[str, Any] = _DEFAULTS.config,
) -> AsyncGenerator[AppServer]:
    """Run `codex app-server` for the duration of a block.

    A process that dies is started again, up to 3 times in 30 seconds; requests that it had not
    answered fail at once, and threads are resumed by their next turn. Leaving the block ends the
    process and all that it had started (SIGTERM, SIGKILL after a few seconds).

    Args:
        files: Where attachments are staged: they are leased while codex needs them.
        codex_path: The codex executable; see `find_codex`.
        env: Environment variables, merged over the inherited ones.
        config: Settings of codex, as in its `config.toml`; arguments of the process and so visible
            to other users: put secrets into `env`.

    Raises:
        ValueError, TypeError: An argument makes no sense.
        CodexNotFound: There is no codex executable.
        CodexError: It could not be started; or, when leaving, it died again and again.
    """
    # Checked, and unchangeable from here on.
    options = ThreadOptions(codex_path=codex_path, env=env, config=config)
    given = options.env or {}
    environ = {**os.environ, **given}
    binary = await trio.to_thread.run_sync(lambda: find_codex(options.codex_path, environ=environ))
    settings = Settings(binary, environ, options.config, redactor(given, os.environ))
    link = Link()
    opened = False
    body_error: BaseException | None = None
    given_up = trio.Event()

    def watch(event: Event) -> None:
        if isinstance(event, RestartIntensityReached):
            given_up.set()

    try:
        async with open_supervisor(
            app_server_spec(settings, link), name="app-server", on_event=[watch]
        ) as tree:
            opened = True
            yield AppServer(link, files, tree)
    except ChildStartError as error:
        if not opened and isinstance(error.__cause__, CodexError):
            raise error.__cause__ from None
        raise
    except RestartIntensityExceeded as error:
        if not given_up.is_set():
            raise
        raise _gave_up(error) from error
    except BaseExceptionGroup as group:
        if not given_up.is_set() or not isinstance(group.exceptions[-1], RestartIntensityExceeded):
            raise
        body_error, end = group.exceptions[0], _gave_up(group.exceptions[-1])
        if not isinstance(body_error, CodexError):
            raise group.derive([body_error, end]) from end  # neither hides the other
    finally:
        link.close()
    if body_error is not None:
        # The block failed by what ended the tree: its own error says it, bare.
        raise body_error


def _existing(thread_id: str, options: ThreadOptions) -> dict[str, Any]:
    # Without its turns: the whole history could be longer than any line may be.
    return {**thread_params(options), "threadId": thread_id, "excludeTurns": True}


def _gave_up(error: RestartIntensityExceeded) -> CodexError:
    last = error.crashes[-1] if error.crashes else None
    shown = last.args[0] if isinstance(last, CodexError) else last
    return CodexDied(
        f"the codex app-server died {len(error.crashes)} times in a short time, and is not started "
        f"again; at last: {shown}",
        exit_code=last.exit_code if isinstance(last, CodexError) else None,
        stderr=last.stderr if isinstance(last, CodexError) else "",
    )
