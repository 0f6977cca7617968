"""A child brought into every state that it can be in, for real."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from actors import Crash, Journal, Plan, worker, workers
from attrs import define
from trio.testing import wait_all_tasks_blocked

from codex_actors import (
    ActorError,
    Backoff,
    ChildSpec,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)

# Its jitter can be short, but never nothing; and no test lets time pass in it.
ENDLESS = Backoff(base=1e9, max=1e9)


@define
class Scene:
    """A child "c" between two quiet siblings, and what tests do with it.

    Args:
        supervisor: the handle.
        journal: where all three write.
        plan: what the child does.
        restart: its restart type.
        nursery: for what is asked in the background.
        answers: how what was asked in the background ended.
    """

    supervisor: Supervisor
    journal: Journal
    plan: Plan
    restart: str
    nursery: trio.Nursery
    answers: list[object]

    def state(self) -> str:
        """The state that views show of the child; "unknown" when there is none."""
        states = {child.id: child.state.value for child in self.supervisor.which_children()}
        return states.get("c", "unknown")

    def spec(self) -> ChildSpec:
        """The child's spec."""
        return worker(self.journal, "c", self.plan, restart=self.restart)

    def in_background(self, operation: Awaitable[object]) -> None:
        """Ask for something in another task."""

        async def ask() -> None:
            self.answers.append(await answer_of(operation))

        self.nursery.start_soon(ask)

    def let_go(self) -> None:
        """Let the child go on with its start or its stop."""
        for gate in (self.plan.start_gate, self.plan.stop_gate):
            if gate is not None:
                gate.set()


async def answer_of(operation: Awaitable[object]) -> object:
    """What an operation answers: its result, or the class of its error."""
    try:
        return await operation
    except ActorError as error:
        return type(error)


async def _running(scene: Scene) -> None:
    pass


async def _terminated(scene: Scene) -> None:
    await scene.supervisor.terminate_child("c")


async def _unknown(scene: Scene) -> None:
    await scene.supervisor.terminate_child("c")
    if scene.restart != "temporary":
        await scene.supervisor.delete_child("c")


async def _starting(scene: Scene) -> None:
    await _unknown(scene)
    scene.plan.start_gate = trio.Event()
    scene.in_background(scene.supervisor.start_child(scene.spec()))


async def _stopping(scene: Scene) -> None:
    scene.plan.stop_gate = trio.Event()
    scene.in_background(scene.supervisor.terminate_child("c"))


async def _restarting(scene: Scene) -> None:
    scene.plan.start_gate = trio.Event()
    await scene.supervisor["c"].cast(Crash())


async def _backoff(scene: Scene) -> None:
    await scene.supervisor["c"].cast(Crash())


WAYS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "running": _running,
    "terminated": _terminated,
    "unknown": _unknown,
    "starting": _starting,
    "stopping": _stopping,
    "restarting": _restarting,
    "backoff": _backoff,
}


@asynccontextmanager
async def scene_in(state: str, *, restart: str = "permanent") -> AsyncGenerator[Scene, None]:
    """A scene whose child is in `state`; at the end everything is let go and stopped."""
    journal, plan = Journal(), Plan()
    backoff = ENDLESS if state == "backoff" else None
    children = [
        *workers(journal, "a"),
        worker(journal, "c", plan, restart=restart, backoff=backoff),
        *workers(journal, "z"),
    ]
    async with (
        open_supervisor(SupervisorSpec(children)) as supervisor,
        trio.open_nursery() as nursery,
    ):
        scene = Scene(supervisor, journal, plan, restart, nursery, [])
        await WAYS[state](scene)
        await wait_all_tasks_blocked()
        assert scene.state() == state
        journal.take()
        yield scene
        scene.let_go()
