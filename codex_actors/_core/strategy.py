"""Who stops and who starts when a child has ended.  Pure tables, no time and no tasks.

The semantics of record are those of OTP's `supervisor`.
"""

import enum
from collections.abc import Sequence

from .exits import ExitKind


class Restart(enum.Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(enum.Enum):
    """Which siblings share the fate of a child that is restarted."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class AutoShutdown(enum.Enum):
    """When the end of significant children ends their supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class AfterExit(enum.Enum):
    """What becomes of a child that ended by itself."""

    RESTART = "restart"
    KEEP_SPEC = "keep spec"
    FORGET = "forget"


_AFTER_EXIT: dict[Restart, tuple[AfterExit, AfterExit]] = {
    # (after a normal exit or shutdown, after a crash or kill)
    Restart.PERMANENT: (AfterExit.RESTART, AfterExit.RESTART),
    Restart.TRANSIENT: (AfterExit.KEEP_SPEC, AfterExit.RESTART),
    Restart.TEMPORARY: (AfterExit.FORGET, AfterExit.FORGET),
}


def after_exit(restart: Restart, kind: ExitKind) -> AfterExit:
    """What the restart type says about an exit of this kind."""
    calm, abnormal = _AFTER_EXIT[restart]
    return abnormal if kind in {ExitKind.KILLED, ExitKind.CRASH} else calm


def restart_group(strategy: Strategy, order: Sequence[str], failed: str) -> tuple[str, ...]:
    """The ids, in start order, that are stopped and started again when `failed` is restarted.

    They are stopped in reverse; those that live on were not in the group.  Temporary
    members are stopped like the others, then forgotten instead of started.
    """
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return (failed,)
        case Strategy.REST_FOR_ONE:
            return tuple(order[order.index(failed) :])
        case Strategy.ONE_FOR_ALL:
            return tuple(order)


def ends_supervisor(auto: AutoShutdown, *, significant: bool, others_alive: bool) -> bool:
    """Whether the end of a child that is not restarted ends its supervisor.

    Args:
        auto: the supervisor's setting.
        significant: whether the child that ended is significant.
        others_alive: whether another significant child has not ended yet.
    """
    if not significant or auto is AutoShutdown.NEVER:
        return False
    return auto is AutoShutdown.ANY_SIGNIFICANT or not others_alive
