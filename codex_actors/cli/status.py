"""The verb `status`: how the supervisor is, or one of its actors."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines, stdout_encoding
from codex_actors.cli.session import PATIENCE, with_supervisor
from codex_actors.cli.views import (
    actors_of,
    event_line,
    operation_line,
    style_of,
)
from codex_actors.control.messages import Events, Status, Tree
from codex_actors.control.session import Session
from codex_actors.telemetry.text import duration, one_line
from codex_actors.telemetry.tree_text import can_draw

_LATELY = 10


def status(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Show how it is; the parameters as `status --help` shows them.

    Parameters
    ----------
    name
        An actor, as `ps` shows it; the process otherwise.
    """

    async def work(session: Session) -> dict[str, Any]:
        if name is None:
            return await session.request(Status(), timeout=PATIENCE)
        answer = await session.request(Tree(path=name), timeout=PATIENCE)
        path = answer["tree"]["path"]
        wanted = Events(last=_LATELY, path=path or None)
        events = await session.request(wanted, timeout=PATIENCE)
        return {"root": answer["root"], "actor": answer["tree"], **events}

    answer = with_supervisor(common.load(), work)
    if common.as_json:
        print_json(answer)
    else:
        print_lines(_process(answer) if name is None else _actor(answer))
    return 0


def _process(process: dict[str, Any]) -> Iterator[Text]:
    yield _head(process["state"], f"codex-actors {process['version']}", process["state"])
    began = datetime.now(UTC) - timedelta(seconds=process["uptime"])
    yield from _facts(
        {
            "Up": f"{duration(process['uptime'])}, since {began:%Y-%m-%d %H:%M:%S} UTC",
            "Pid": process["pid"],
            "Trees": ", ".join(process["trees"]),
            "Socket": process["socket"],
            "Staging": process["staging_dir"],
            "Actors": _counts(process["actors"]),
            "Events": f"{process['events']} seen",
            "Leaving": _leaving(process["leaving"]),
        }
    )
    yield from _listed("Operations under way", map(operation_line, process["operations"]))
    yield from _listed("Ended lately", map(operation_line, process["ended"][-_LATELY:]))


def _actor(answer: dict[str, Any]) -> Iterator[Text]:
    (actor, *below) = actors_of(answer["actor"], answer["root"])
    yield _head(actor["state"], one_line(actor["name"]), f"a {actor['kind']}, {actor['state']}")
    capacity = actor["mailbox_capacity"]
    uptime, in_hand = actor["uptime"], actor["in_hand"]
    takes = capacity is not None
    window = actor["restarts_in_window"]
    yield from _facts(
        {
            "Up": None if uptime is None else duration(uptime),
            "Restarts": f"{actor['restarts']}" + (f", {window} in the window" if window else ""),
            "Mailbox": f"{actor['mailbox']} of {capacity} waiting" if takes else None,
            "Handled": actor["handled"] if takes else None,
            "In hand": in_hand and f"{in_hand} for {duration(actor['in_hand_for'])}",
            "Last error": actor["last_error"],
            "Below it": f"{len(below)} actors" if actor["kind"] == "supervisor" else None,
        }
    )
    yield from _listed("Last events", map(event_line, answer["events"]))


def _head(state: str, name: str, what: str) -> Text:
    dot = "●" if can_draw(stdout_encoding()) else "*"
    line = Text(f"{dot} ", style=style_of(state)) + Text(name, style="bold") + Text(" is ")
    return line + Text(what, style=style_of(state))


def _facts(facts: dict[str, Any]) -> Iterator[Text]:
    for name, value in facts.items():
        if value is not None:
            yield Text(f"{name:>12}: {one_line(str(value))}")


def _listed(title: str, lines: Iterable[Text]) -> Iterator[Text]:
    for place, line in enumerate(lines):
        if place == 0:
            yield Text(f"\n{title}:", style="bold")
        yield line


def _counts(actors: dict[str, Any] | None) -> str | None:
    if actors is None:
        return None
    states = ", ".join(f"{count} {state}" for state, count in actors["states"].items())
    return (
        f"{actors['total']} ({states}), {actors['supervisors']} of them supervisors;"
        f" {actors['restarts']} restarts"
    )


def _leaving(leaving: dict[str, Any] | None) -> str | None:
    if leaving is None:
        return None
    left, waiting = leaving["seconds_left"], ", ".join(leaving["waiting_for"])
    limit = "" if left is None else f"at most {duration(left)} more"
    return ", ".join(filter(None, (limit, waiting and f"waiting for {waiting}"))) or "soon"
