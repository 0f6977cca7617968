"""The verb `dump`: where the tasks of the supervisor stand."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines, stdout_encoding
from codex_actors.control.messages import Dump
from codex_actors.telemetry.text import one_line
from codex_actors.telemetry.tree_text import can_draw


def dump(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Show stacks; the parameters as `dump --help` shows them.

    Parameters
    ----------
    name
        Only the task of this actor and those below it.
    """
    answer = ask(common.load(), Dump(path=name))
    if common.as_json:
        print_json(answer)
    elif answer["tasks"]:
        print_lines(_lines(answer["tasks"]))
    else:
        print_lines([Text(f"{one_line(answer['path'])} has no task: it does not run")])
    return 0


def _lines(tasks: list[dict[str, Any]]) -> Iterator[Text]:
    """The tasks as a tree, below each the functions that it is in, the innermost last."""
    bar = "│  " if can_draw(stdout_encoding()) else "|  "
    top = tasks[0]["depth"]
    for place, task in enumerate(tasks):
        margin = bar * (task["depth"] - top)
        is_actor = task["actor"] is not None
        if place:
            yield Text(margin.rstrip(), style="dim")
        name = Text(one_line(task["name"]), style="bold green" if is_actor else "bold")
        is_inner = place > 0 and task["nursery"] > 0
        number = f"  (nursery {task['nursery'] + 1})" if is_inner else ""
        yield Text(margin, style="dim") + name + Text(number, style="dim")
        for frame in task["frames"]:
            where = f"{frame['file']}:{frame['line']} in {frame['function']}"
            yield Text(margin, style="dim") + Text(f"  {one_line(where)}", style="dim")
            if frame["source"]:
                yield Text(margin, style="dim") + Text(f"    {one_line(frame['source'])}")
