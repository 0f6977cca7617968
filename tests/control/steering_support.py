"""What the tests of requests about a tree share: children that do as they are told, and a desk."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field, frozen

from codex_actors import (
    Actor,
    Cast,
    ChildSpec,
    DynamicSupervisorSpec,
    ExitReason,
    Restart,
    Supervisor,
    SupervisorSpec,
    handle_cast,
    open_supervisor,
)
from codex_actors.control.local import LocalSession
from codex_actors.control.messages import Request
from codex_actors.control.service import Service


@frozen
class Work(Cast):
    """Something that takes a while.

    Attributes:
        seconds: How long.
    """

    seconds: float


@define
class Plan:
    """What children do from now on, and what they did.

    Attributes:
        start_error: What a start raises.
        start_delay: How long one takes.
        lives: How many have begun.
        ended: How lives ended.
    """

    start_error: Exception | None = None
    start_delay: float = 0.0
    lives: int = 0
    ended: list[str] = field(factory=list[str])


class Planned(Actor):
    """Does what a plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def init(self) -> None:
        """Start, as planned."""
        self._plan.lives += 1
        await trio.sleep(self._plan.start_delay)
        if self._plan.start_error is not None:
            raise self._plan.start_error

    @handle_cast(Work)
    async def work(self, message: Work) -> None:
        """Be busy."""
        await trio.sleep(message.seconds)

    async def terminate(self, reason: ExitReason) -> None:
        """Write down why."""
        self._plan.ended.append(reason.kind.value)


async def idle() -> None:
    """Do nothing, for ever."""
    await trio.sleep_forever()


class Desk:
    """Somebody to ask, and the tree that he works on.

    Attributes:
        plan: What the child `planned` does.
        notes: What was told of all requests, in order.
    """

    def __init__(self, service: Service, supervisor: Supervisor, plan: Plan) -> None:
        self.service = service
        self.supervisor = supervisor
        self.plan = plan
        self.notes: list[dict[str, Any]] = []

    async def ask(self, request: Request) -> dict[str, Any]:
        """Have a request handled."""
        return await LocalSession(self.service).request(request, on_note=self.notes.append)

    def state(self, path: str) -> str | None:
        """How a child is; None when there is none."""
        picture = self.supervisor.snapshot()
        for name in path.split("/"):
            below = {child.path.rpartition("/")[2]: child for child in picture.children}
            if name not in below:
                return None
            picture = below[name]
        return picture.state


@asynccontextmanager
async def open_desk(*, background: bool = True) -> AsyncGenerator[Desk]:
    """Open a tree and a service over it, as a supervisor process has.

    Args:
        background: Whether there is a nursery for what nobody waits for.
    """
    plan = Plan()
    inner = SupervisorSpec([ChildSpec("planned", Planned, args=(plan,), shutdown=30.0)])
    spec = SupervisorSpec(
        [
            ChildSpec("idle", idle),
            ChildSpec("inner", inner),
            ChildSpec("pool", DynamicSupervisorSpec()),
            ChildSpec("brief", idle, restart=Restart.TEMPORARY),
        ]
    )
    service = Service(root="top", trees=("top",))
    async with open_supervisor(spec, name="top", on_event=[service.history.add_tree_event]) as root:
        async with trio.open_nursery() as nursery:
            service.nursery = nursery if background else None
            service.open(root, None)
            yield Desk(service, root, plan)
            nursery.cancel_scope.cancel()
        service.close()
