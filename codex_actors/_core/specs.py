"""What to supervise, as data: specs remember no live state and can be used many times.

A spec that was built is a spec that can be supervised: every fault of one spec raises
`SpecError` naming the field when it is built, and faults between children when the
`SupervisorSpec` around them is.
"""

import enum
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from attrs import Factory, field, frozen
from attrs.validators import optional

from .actor import Actor
from .errors import SpecError
from .fields import check_number, choice, count, elements, instance, keywords, seconds
from .strategy import AutoShutdown, Restart, Strategy


class Shutdown(enum.Enum):
    """A `shutdown` that is not a number of seconds."""

    BRUTAL_KILL = "brutal_kill"


class StartKind(enum.Enum):
    """What a `ChildSpec.start` turns into."""

    ACTOR = "actor"
    TASK = "task"
    SUPERVISOR = "supervisor"


def _restart(value: Restart | str) -> Restart:
    return choice(Restart, "restart", value)


def _strategy(value: Strategy | str) -> Strategy:
    return choice(Strategy, "strategy", value)


def _auto_shutdown(value: AutoShutdown | str) -> AutoShutdown:
    return choice(AutoShutdown, "auto_shutdown", value)


def _shutdown(value: float | Shutdown | str) -> float | Shutdown:
    if isinstance(value, Shutdown | str):
        return choice(Shutdown, "shutdown", value)
    check_number("shutdown", value, least=0)
    return value


@frozen
class Backoff:
    """A growing pause before each restart of one child (not in OTP; off by default).

    The pause before the n-th restart in a row is random between 0 and
    `min(max, base * factor**n)` ("full jitter").  Under a group strategy the pause comes
    first: the siblings run on until the group is stopped and started together.

    Args:
        base: the first bound, in seconds.
        factor: what each bound is multiplied by for the next.
        max: the largest bound, in seconds.
        reset_after: seconds without a failure after which n starts again at 0.
    """

    base: float = field(default=0.1, validator=seconds(exclusive=True))
    factor: float = field(default=2.0, validator=seconds(exclusive=True))
    max: float = field(default=30.0, validator=seconds(exclusive=True))
    reset_after: float = field(default=60.0, validator=seconds(exclusive=True))

    def ceiling(self, failures: int) -> float:
        """The longest pause after `failures` earlier failures in a row, in seconds."""
        try:
            return min(self.max, self.base * self.factor**failures)
        except OverflowError:
            return self.max

    def longest(self, failures: int) -> float:
        """The sum of the longest pauses of the first `failures` failures in a row, in seconds."""
        total = 0.0
        for n in range(failures):
            ceiling = self.ceiling(n)
            if ceiling == self.max or self.factor == 1:
                return total + ceiling * (failures - n)
            if ceiling == 0:
                break  # a shrinking one has come to nothing
            total += ceiling
        return total


Start: TypeAlias = "Callable[..., Any] | SupervisorSpec | DynamicSupervisorSpec"


def _default_shutdown(spec: "ChildSpec") -> float:
    return math.inf if spec.start_kind is StartKind.SUPERVISOR else 5.0


def _start(value: Start) -> Start:
    if isinstance(value, SupervisorSpec | DynamicSupervisorSpec) or callable(value):
        return value
    raise SpecError(
        f"start: {value!r} is neither an Actor class, a callable, an async function nor a spec"
    )


def _child_id(value: str | None) -> str | None:
    if value is None:
        return None
    if is_segment(value):
        return value
    raise SpecError(f"id: {value!r} must be printable text, not empty, without '/'")


def is_segment(value: object) -> bool:
    """Whether a value can be a part of a path; not every caller has a type checker."""
    return isinstance(value, str) and value != "" and "/" not in value and value.isprintable()


def _args(value: Iterable[Any]) -> tuple[Any, ...]:
    return elements("args", value)


def _kwargs(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return keywords("kwargs", value)


def _start_kind(spec: "ChildSpec") -> StartKind:
    start: object = spec.start
    if isinstance(start, SupervisorSpec | DynamicSupervisorSpec):
        return StartKind.SUPERVISOR
    while isinstance(start, partial):
        start = cast("partial[object]", start).func
    if isinstance(start, type):
        return StartKind.ACTOR
    call = getattr(start, "__call__", None)  # noqa: B004 - asks what it is, not whether it is
    if inspect.iscoroutinefunction(start) or inspect.iscoroutinefunction(call):
        return StartKind.TASK
    return StartKind.ACTOR


def _takes_task_status(spec: "ChildSpec") -> bool:
    if spec.start_kind is not StartKind.TASK or not callable(spec.start):
        return False
    try:
        return "task_status" in inspect.signature(spec.start).parameters
    except (TypeError, ValueError):
        return False


@frozen
class ChildSpec:
    """How one child is started, restarted and stopped (OTP's child specification).

    Args:
        id: its name among its siblings; None only under a dynamic supervisor, which
            then makes one of the factory's name and a number.
        start: called afresh for every incarnation: an Actor class, a callable that
            returns an Actor, an async function (with `task_status` if it takes one),
            or the spec of a child supervisor.
        args: positional arguments for `start`.
        kwargs: keyword arguments for `start`.
        restart: when a child that ended is started again.
        shutdown: seconds to finish the message in hand when asked to stop, before it is
            cancelled; `math.inf`, or `Shutdown.BRUTAL_KILL` to cancel at once.  The
            default is 5 s for workers and no limit for supervisors.
        cleanup_timeout: seconds that `terminate` may take after that.
        significant: whether its end can end the supervisor (see `AutoShutdown`).
        mailbox_capacity: messages that wait, not counting the one in hand.
        start_timeout: seconds until it must have acknowledged its start.
        backoff: a growing pause before restarts.

    Raises:
        SpecError: a field has a value that cannot be supervised.
    """

    id: str | None = field(converter=_child_id)
    start: Start = field(converter=_start)
    args: tuple[Any, ...] = field(default=(), kw_only=True, converter=_args)
    kwargs: Mapping[str, Any] = field(factory=dict[str, Any], kw_only=True, converter=_kwargs)
    restart: Restart = field(default=Restart.PERMANENT, kw_only=True, converter=_restart)
    start_kind: StartKind = field(
        init=False, repr=False, default=Factory(_start_kind, takes_self=True)
    )
    takes_task_status: bool = field(
        init=False, repr=False, default=Factory(_takes_task_status, takes_self=True)
    )
    shutdown: float | Shutdown = field(
        default=Factory(_default_shutdown, takes_self=True), kw_only=True, converter=_shutdown
    )
    cleanup_timeout: float = field(default=5.0, kw_only=True, validator=seconds())
    significant: bool = field(default=False, kw_only=True, validator=instance(bool))
    mailbox_capacity: float = field(default=1024, kw_only=True, validator=count(infinite=True))
    start_timeout: float = field(default=math.inf, kw_only=True, validator=seconds(exclusive=True))
    backoff: Backoff | None = field(
        default=None, kw_only=True, validator=optional(instance(Backoff))
    )

    def __attrs_post_init__(self) -> None:
        if self.significant and self.restart is Restart.PERMANENT:
            raise SpecError(
                "significant: a permanent child never ends for good, so it cannot be significant"
            )

    @property
    def actor_class(self) -> type[Actor] | None:
        """The class whose handlers the child will have, when it is known beforehand."""
        start = self.start
        return start if isinstance(start, type) and issubclass(start, Actor) else None

    @property
    def factory_name(self) -> str:
        """What a dynamic supervisor makes an id of."""
        name = getattr(self.start, "__name__", None) or type(self.start).__name__
        return str(name).strip("<>").replace("/", "_")


def _children(value: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    children: tuple[ChildSpec, ...] = elements("children", value)
    strangers: list[object] = [child for child in children if type(child) is not ChildSpec]
    if strangers:
        raise SpecError(f"children: {strangers[0]!r} is not a ChildSpec")
    seen: set[str] = set()
    for child in children:
        if child.id is None:
            raise SpecError("children: every child of a static supervisor needs an id")
        if child.id in seen:
            raise SpecError(f"children: two children have the id {child.id!r}")
        seen.add(child.id)
    return children


@frozen
class SupervisorSpec:
    """A supervisor with a fixed list of children, in start order (OTP's `supervisor`).

    Args:
        children: the child specs; they start left to right and stop right to left.
        strategy: which siblings are restarted together with a child.
        max_restarts: how many restarts are tolerated within `max_seconds`.
        max_seconds: the length of the restart window, in seconds.
        auto_shutdown: when the end of significant children ends the supervisor.

    Raises:
        SpecError: a field is out of range, ids are not unique, or children contradict
            the supervisor's settings.
    """

    children: tuple[ChildSpec, ...] = field(converter=_children)
    strategy: Strategy = field(default=Strategy.ONE_FOR_ONE, kw_only=True, converter=_strategy)
    max_restarts: int = field(default=3, kw_only=True, validator=count())
    max_seconds: float = field(default=5.0, kw_only=True, validator=seconds(exclusive=True))
    auto_shutdown: AutoShutdown = field(
        default=AutoShutdown.NEVER, kw_only=True, converter=_auto_shutdown
    )

    def __attrs_post_init__(self) -> None:
        for child in self.children:
            check_significance(child, self.auto_shutdown)


@frozen(kw_only=True)
class DynamicSupervisorSpec:
    """A supervisor whose children come and go (Elixir's `DynamicSupervisor`), one_for_one.

    Args:
        max_children: how many it admits at a time, restarting ones included.
        max_restarts: how many restarts are tolerated within `max_seconds`.
        max_seconds: the length of the restart window, in seconds.

    Raises:
        SpecError: a field is out of range.
    """

    max_children: float = field(default=math.inf, validator=count(infinite=True))
    max_restarts: int = field(default=3, validator=count())
    max_seconds: float = field(default=5.0, validator=seconds(exclusive=True))


def check_significance(child: ChildSpec, auto_shutdown: AutoShutdown) -> None:
    """Refuse a significant child under a supervisor that would never look at it."""
    if child.significant and auto_shutdown is AutoShutdown.NEVER:
        raise SpecError(
            f"significant: child {child.id!r} is significant, but its supervisor's auto_shutdown "
            "is 'never'"
        )
