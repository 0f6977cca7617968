"""How verbs ask one thing."""

from typing import Any

from codex_actors.cli.session import PATIENCE, with_session, with_supervisor
from codex_actors.cli.settings import Settings
from codex_actors.control.messages import Request
from codex_actors.control.session import Session


def ask(settings: Settings, request: Request) -> dict[str, Any]:
    """Ask the supervisor what is answered at once; blocks.

    Raises:
        NotRunning: there is nobody to ask.
        Unreachable: there is, but gives no answer.
        RequestFailed: the answer is an error.
    """

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(request, timeout=PATIENCE)

    return with_supervisor(settings, work)


def ask_files(
    settings: Settings, request: Request, *, empty: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Ask whoever has the files, a supervisor or this process; blocks until it is done.

    Args:
        settings: which files.
        request: what.
        empty: as of `with_session`.

    Raises:
        Unreachable: a supervisor has them, but gives no answer.
        RequestFailed, FilesError: the answer is an error.
    """

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(request)

    return with_session(settings, work, empty=empty)
