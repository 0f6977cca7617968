"""The verb `ps`: the actors, one a line."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines, stdout_width
from codex_actors.cli.views import actor_table, actors_of
from codex_actors.control.messages import Tree


def ps(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Show actors; the parameters as `ps --help` shows them.

    Parameters
    ----------
    name
        Only this actor and what is below it.
    """
    answer = ask(common.load(), Tree(path=name))
    actors = list(actors_of(answer["tree"], answer["root"]))
    if common.as_json:
        print_json({"actors": actors})
    else:
        print_lines(actor_table(actors, width=stdout_width()))
    return 0
