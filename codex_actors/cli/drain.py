"""The verb `drain`: have the supervisor finish what is under way, and end."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, Seconds
from codex_actors.cli.ending import end
from codex_actors.cli.errors import UsageError
from codex_actors.control.messages import Drain


def drain(
    *,
    timeout: Seconds | None = None,
    no_wait: Annotated[bool, Parameter(name="--no-wait")] = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Drain; the parameters as `drain --help` shows them.

    Parameters
    ----------
    timeout
        How long that may take before it is cancelled. [default: as the supervisor was told]
    no_wait
        Return when the supervisor has begun.
    """
    if timeout is not None and timeout < 0:
        raise UsageError(f"--timeout: {timeout:g} s is less than none")
    return end(Drain(timeout=timeout), common, wait=not no_wait)
