"""The verb `cleanup`: remove what has expired, now."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.asking import ask_files
from codex_actors.cli.attachments import complain, print_removed
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.control.messages import Cleanup
from codex_actors.files import CleanupReport


def cleanup(
    *,
    dry_run: Annotated[bool, Parameter(name=("--dry-run", "-n"))] = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Remove what has expired; the parameters as `cleanup --help` shows them.

    Parameters
    ----------
    dry_run
        Only show what would go.
    """
    nothing = {"dry_run": dry_run, **CleanupReport().to_dict()}
    answer = ask_files(common.load(), Cleanup(dry_run=dry_run), empty=nothing)
    if common.as_json:
        print_json(answer)
    else:
        verb = "would free" if dry_run else "freed"
        print_removed(answer, verb, "nothing has expired")
    return complain(answer, "the next cleanup tries again")
