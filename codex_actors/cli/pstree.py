"""The verb `pstree`: the actors, drawn as the tree that they are."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.asking import ask
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json, print_lines, stdout_encoding
from codex_actors.cli.views import picture
from codex_actors.control.messages import Tree


def pstree(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Draw the tree; the parameters as `pstree --help` shows them.

    Parameters
    ----------
    name
        Only this actor and what is below it.
    """
    answer = ask(common.load(), Tree(path=name))
    if common.as_json:
        print_json(answer)
    else:
        print_lines(picture(answer["tree"], answer["root"], stdout_encoding()))
    return 0
