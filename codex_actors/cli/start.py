"""The verb `start`: start a child that was stopped."""

from codex_actors.cli.administration import TIMEOUT, Name, Timeout, administer
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.control.messages import StartChild


def start(name: Name, /, *, timeout: Timeout = TIMEOUT, common: Common = NO_OPTIONS) -> int:
    """Start an actor; the parameters as `start --help` shows them."""
    return administer("start", StartChild(path=name), timeout, common)
