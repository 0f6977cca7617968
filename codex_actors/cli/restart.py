"""The verb `restart`: stop a child of a supervisor and start it again."""

from codex_actors.cli.administration import TIMEOUT, Name, Timeout, administer
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.control.messages import RestartChild


def restart(name: Name, /, *, timeout: Timeout = TIMEOUT, common: Common = NO_OPTIONS) -> int:
    """Restart an actor; the parameters as `restart --help` shows them."""
    return administer("restart", RestartChild(path=name), timeout, common)
