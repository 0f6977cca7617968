"""The verb `cancel`: give an operation up."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines
from codex_actors.cli.views import operation_line
from codex_actors.control.messages import Cancel


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
        print_lines([operation_line(answer["operation"])])
    return 0
