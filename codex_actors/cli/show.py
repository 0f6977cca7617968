"""The verb `show`: one attachment."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.asking import ask_files
from codex_actors.cli.attachments import print_attachment
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.control.choosing import not_found
from codex_actors.control.messages import Show


def show(what: Annotated[str, Parameter(name="WHAT")], /, *, common: Common = NO_OPTIONS) -> int:
    """Show one; the parameters as `show --help` shows them.

    Parameters
    ----------
    what
        Its name, its checksum or at least 4 digits of it, or CHECKSUM/NAME.
    """
    answer = ask_files(common.load(), Show(what=what), empty={})
    if not answer:
        raise not_found(what)
    if common.as_json:
        print_json(answer)
    else:
        print_attachment(answer["attachment"])
    return 0
