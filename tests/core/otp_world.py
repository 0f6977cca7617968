"""The parts of the OTP model: specs, the world that supervisors share, processes, children."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import define, field, frozen

if TYPE_CHECKING:
    from otp_model import Supervisor

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Started: TypeAlias = Literal["ok", "ignore", "error"]


@frozen
class Worker:
    """A worker; its name is unique in the whole tree."""

    name: str
    restart: Restart = "permanent"


@frozen
class Group:
    """A supervisor."""

    name: str
    children: "tuple[Worker | Group, ...]"
    strategy: Strategy = "one_for_one"
    max_restarts: int = 3
    max_seconds: float = 5.0
    restart: Restart = "permanent"


@define
class World:
    """What all supervisors share: the log, the clock, the faults to come, the one queue."""

    # What happens to the start of a child whose death was noticed together with another's:
    # OTP is serial; who restarts each child on its own may charge both deaths first.
    late_starts: bool = False
    last_first: bool = False
    log: list[str] = field(factory=list[str])
    now: float = 0.0
    failing: dict[str, int] = field(factory=dict[str, int])
    ignoring: set[str] = field(factory=set[str])
    queue: deque[Callable[[], None]] = field(factory=deque[Callable[[], None]])
    late: list[Callable[[], None]] = field(factory=list[Callable[[], None]])

    def settle(self) -> None:
        """Let every message be handled, and all that follows from it."""
        while self.queue or self.late:
            if self.queue:
                self.queue.popleft()()
            else:
                self.late.pop(-1 if self.last_first else 0)()


@define(eq=False)
class Process:
    """One incarnation of a worker or of a supervisor; compared by identity, as pids are."""

    world: World
    name: str
    alive: bool = True
    supervisor: "Supervisor | None" = None

    def stop(self) -> None:
        """Its supervisor asks it to end; one that has died already says nothing more."""
        if not self.alive:
            return
        if self.supervisor is not None:
            self.supervisor.stop_all()
        else:
            self.world.log.append(f"-{self.name}")
        self.alive = False


@define(eq=False)
class Child:
    """One entry of a supervisor's list: OTP's `#child{}` with its pid."""

    spec: Worker | Group
    process: Process | None = None
    restarting: bool = False

    @property
    def temporary(self) -> bool:
        """Whether it is forgotten when it has ended."""
        return self.spec.restart == "temporary"

    @property
    def state(self) -> str:
        """What `which_children` shows."""
        if self.restarting:
            return "restarting"
        return "terminated" if self.process is None else "running"
