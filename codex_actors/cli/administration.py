"""What `stop`, `start` and `restart` share: one child, one request, one answer."""

from typing import Annotated, Any

import trio
from cyclopts import Parameter
from rich.text import Text

from codex_actors.cli.common import Common, Seconds
from codex_actors.cli.errors import UsageError, print_error
from codex_actors.cli.output import print_json, print_lines, status
from codex_actors.cli.session import with_supervisor
from codex_actors.cli.views import style_of
from codex_actors.control.messages.tree import ChildRequest
from codex_actors.control.session import Session
from codex_actors.telemetry.text import duration, one_line

Name = Annotated[str, Parameter(name="NAME", help="The actor, as `ps` shows it.")]
Timeout = Annotated[
    Seconds, Parameter(help="How long to wait for it; it goes on after that. [default: 60s]")
]
TIMEOUT = 60.0


def administer(verb: str, request: ChildRequest, timeout: float, common: Common) -> int:
    """Have something done to a child, and tell what has come of it; blocks.

    Args:
        verb: what, as it is typed.
        request: what, as it is asked.
        timeout: seconds to wait for it.
        common: how to tell.
    """
    if timeout < 0:
        raise UsageError(f"--timeout: {timeout:g} s is less than none")

    async def work(session: Session) -> dict[str, Any] | None:
        with trio.move_on_after(timeout):
            return await session.request(request)
        return None

    settings = common.load()
    name = one_line(request.path)
    with status(f"{verb} {name}"):
        answer = with_supervisor(settings, work)
    if answer is None:
        print_error(
            f"{verb} {name} takes longer than {duration(timeout)}; it goes on, and `ps` shows when"
            " it is done"
        )
        return 1
    if common.as_json:
        print_json(answer)
    else:
        print_lines([_told(answer)])
    return 0


def _told(answer: dict[str, Any]) -> Text:
    """Say how it was and how it is."""
    actor = answer["actor"]
    state = "forgotten" if actor is None else actor["state"]
    line = Text(f"{one_line(answer['path'])}: ")
    line += Text(state, style=style_of(state))
    if actor is not None and actor["last_error"] is not None and state != "running":
        line += Text(f" ({one_line(actor['last_error'])})")
    return line + Text(f", was {answer['was']}")
