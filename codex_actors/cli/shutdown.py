"""The verb `shutdown`: end the supervisor without waiting for operations."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, Yes, at_terminal, confirm
from codex_actors.cli.ending import end
from codex_actors.cli.output import notice
from codex_actors.control.messages import Shutdown

_QUESTION = "Cancel every operation and every actor of the supervisor, now?"


def shutdown(
    *,
    now: bool = False,
    no_wait: Annotated[bool, Parameter(name="--no-wait")] = False,
    yes: Yes = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Shut down; the parameters as `shutdown --help` shows them.

    Parameters
    ----------
    now
        Cancel the actors, too, instead of letting them finish the message in hand.
    no_wait
        Return when the supervisor has begun.
    """
    if now and at_terminal():
        common.load()
        if not confirm(_QUESTION, yes=yes):
            notice("nothing was done")
            return 1
    return end(Shutdown(now=now), common, wait=not no_wait)
