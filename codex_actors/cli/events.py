"""The verb `events`: what has happened, and what happens."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.errors import UsageError
from codex_actors.cli.following import follow, json_line, styled
from codex_actors.cli.output import notice, print_json, print_lines
from codex_actors.cli.session import with_supervisor
from codex_actors.cli.settings import Settings
from codex_actors.cli.views import event_lines
from codex_actors.control.errors import Unreachable
from codex_actors.control.messages import Events
from codex_actors.control.session import Session

_LAST = 50
_IN_ORDER = {"draining", "stopping"}


def events(
    *,
    last: Annotated[int, Parameter(name=("--last", "-n"), metavar="COUNT")] = _LAST,
    following: Annotated[bool, Parameter(name=("--follow", "-f"))] = False,
    kind: Annotated[list[str] | None, Parameter(metavar="KIND")] = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Show events; the parameters as `events --help` shows them.

    Parameters
    ----------
    last
        How many of those that have been. [default: 50]
    following
        Go on with those that come, until the supervisor ends or Ctrl-C.
    kind
        Only this kind, as child_exited, or this family, as child; may be repeated.
    """
    if last < 0:
        raise UsageError(f"--last: {last} is less than 0")
    request = Events(last=last, kinds=tuple(kind or ()), follow=following)
    settings = common.load()
    if following:
        return _follow(settings, request, as_json=common.as_json)
    answer = ask(settings, request)
    if common.as_json:
        print_json(answer)
    elif answer["events"]:
        print_lines(line for event in answer["events"] for line in event_lines(event))
    else:
        print_lines([Text("nothing of that kind" if kind else "nothing has happened")])
    return 0


def _follow(settings: Settings, request: Events, *, as_json: bool) -> int:
    def form(event: dict[str, Any]) -> str:
        return json_line(event) if as_json else "".join(map(styled, event_lines(event)))

    async def work(session: Session) -> dict[str, Any]:
        return await follow(session, request, form)

    answer = with_supervisor(settings, work)
    if answer["state"] not in _IN_ORDER:
        raise Unreachable("the supervisor has ended by itself: its log says why")
    notice("the supervisor has ended, as it was asked to")
    return 0
