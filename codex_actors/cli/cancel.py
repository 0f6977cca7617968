"""The verb `cancel`: give an operation up."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines
from codex_actors.control.messages import Cancel
from codex_actors.telemetry.text import one_line


def cancel(
    operation: Annotated[int, Parameter(name="OPERATION")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Give an operation up; the parameters as `cancel --help` shows them.

    Parameters
    ----------
    operation
        Its number, as `status` shows it.
    """
    answer = ask(common.load(), Cancel(operation=operation))
    if common.as_json:
        print_json(answer)
    else:
        given_up: dict[str, Any] = answer["operation"]
        what = one_line(f"{given_up['kind']} {given_up['what']}")
        print_lines([Text(f"operation {given_up['operation']} is given up: {what}")])
    return 0
