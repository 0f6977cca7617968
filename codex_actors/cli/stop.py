"""The verb `stop`: stop a child of a supervisor."""

from codex_actors.cli.administration import TIMEOUT, Name, Timeout, administer
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.control.messages import StopChild


def stop(name: Name, /, *, timeout: Timeout = TIMEOUT, common: Common = NO_OPTIONS) -> int:
    """Stop an actor; the parameters as `stop --help` shows them."""
    return administer("stop", StopChild(path=name), timeout, common)
