"""The real framework under the commands that the OTP model gets, with the same log.

Commands are given when all tasks are blocked, so that each has had its full effect
before the next; what happened is read from the outside only.
"""

import trio
from attrs import define, field, frozen
from otp_world import Group, Worker

from codex_actors import (
    Actor,
    ActorError,
    ActorStopped,
    Cast,
    ChildSpec,
    ExitKind,
    ExitReason,
    IgnoreChild,
    Snapshot,
    Supervisor,
    SupervisorSpec,
    handle_cast,
)


class PlannedCrash(Exception):
    """What a child crashes with, or fails to start with."""


@frozen
class End(Cast):
    """End by itself, crashing or not."""

    abnormal: bool


@define
class Stage:
    """The log of the run and the faults to come; `checkpoints` slow down starts and ends."""

    checkpoints: int = 0
    log: list[str] = field(factory=list[str])
    failing: dict[str, int] = field(factory=dict[str, int])
    ignoring: set[str] = field(factory=set[str])

    async def pause(self) -> None:
        """Let other tasks run for a while."""
        for _ in range(self.checkpoints):
            await trio.lowlevel.checkpoint()


class Player(Actor):
    """A worker that follows the stage's directions."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name

    async def init(self) -> None:
        """Start, fail or ignore."""
        stage, name = self.stage, self.name
        await stage.pause()
        if stage.failing.get(name, 0) > 0:
            stage.failing[name] -= 1
            stage.log.append(f"+{name}✗")
            raise PlannedCrash(name)
        if name in stage.ignoring:
            stage.ignoring.discard(name)
            stage.log.append(f"~{name}")
            raise IgnoreChild
        stage.log.append(f"+{name}")

    @handle_cast(End)
    async def end(self, message: End) -> None:
        """End by itself."""
        if message.abnormal:
            raise PlannedCrash(self.name)
        self.stop()

    async def terminate(self, reason: ExitReason) -> None:
        """Write down how it ended; one stopped while it was starting has been cancelled."""
        await self.stage.pause()
        mark = {ExitKind.NORMAL: ".", ExitKind.CRASH: "!"}.get(reason.kind, "")
        self.stage.log.append(f"-{self.name}{mark}")


def spec_of(stage: Stage, group: Group) -> SupervisorSpec:
    """The framework's spec for the model's."""
    return SupervisorSpec(
        [child_spec_of(stage, child) for child in group.children],
        strategy=group.strategy,
        max_restarts=group.max_restarts,
        max_seconds=group.max_seconds,
    )


def child_spec_of(stage: Stage, child: Worker | Group) -> ChildSpec:
    """The framework's spec for one child of the model's."""
    if isinstance(child, Group):
        return ChildSpec(child.name, spec_of(stage, child), restart=child.restart)
    return ChildSpec(child.name, Player, args=(stage, child.name), restart=child.restart)


class Driver:
    """Gives commands to a running tree and looks at it."""

    def __init__(self, root: Supervisor, stage: Stage) -> None:
        self.root = root
        self.stage = stage

    def die(self, *deaths: tuple[str, bool]) -> None:
        """Have workers end by themselves, all in the same step of the scheduler."""
        for name, abnormal in deaths:
            ref = self.root.whereis(self._path(name) or name)
            if ref is not None:
                try:
                    ref.cast_nowait(End(abnormal))
                except ActorStopped:
                    continue  # it is terminated: nobody is there to die

    def _path(self, name: str) -> str | None:
        return next((path for path, *_ in self.picture() if path.split("/")[-1] == name), None)

    def supervisor(self, name: str) -> Supervisor | None:
        """The running supervisor of this name."""
        if name == "root":
            return self.root
        path = self._path(name)
        if path is None:
            return None
        handle = self.root
        for part in path.split("/"):
            below = handle.subtree(part)
            assert isinstance(below, Supervisor)
            handle = below
        return handle if handle.snapshot().state == "running" else None

    async def administer(self, supervisor: str, verb: str, child: Worker | Group) -> str:
        """One administrative call; returns "ok" or the class of the error."""
        handle = self.supervisor(supervisor)
        if handle is None:
            return "no supervisor"
        try:
            if verb == "start_child":
                await handle.start_child(child_spec_of(self.stage, child))
            else:
                await getattr(handle, verb)(child.name)
        except ActorError as error:
            return type(error).__name__
        return "ok"

    def picture(self) -> list[tuple[str, str, int]]:
        """Every child below the root: path, state, restarts in the window."""
        return list(_flatten(self.root.snapshot()))


def _flatten(snapshot: Snapshot) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    for child in snapshot.children:
        found.append((child.path, child.state, child.restarts_in_window))
        found += _flatten(child)
    return found
