"""How the verbs about a running supervisor ask it."""

from typing import Any

from codex_actors.cli.session import PATIENCE, with_supervisor
from codex_actors.cli.settings import Settings
from codex_actors.control.messages import Request
from codex_actors.control.session import Session


def ask(settings: Settings, request: Request) -> dict[str, Any]:
    """Ask what is answered at once; blocks.

    Raises:
        NotRunning: there is nobody to ask.
        Unreachable: there is, but gives no answer.
        RequestFailed: the answer is an error.
    """

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(request, timeout=PATIENCE)

    return with_supervisor(settings, work)
