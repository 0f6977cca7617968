"""Requests about the process: status, events, dump, the end."""

import resource
from importlib.metadata import version
from typing import Any

import pytest
import trio
from steering_support import Work, open_desk
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import ChildStarted
from codex_actors.control.errors import NotFound, NotRunning
from codex_actors.control.local import LocalSession
from codex_actors.control.messages import (
    Drain,
    Dump,
    Events,
    Hello,
    RestartChild,
    Shutdown,
    Status,
    StopChild,
    methods,
)
from codex_actors.control.service import Service


class _Departure:
    """Writes down how the end was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def drain(self, timeout: float | None = None) -> None:
        self.asked.append(("drain", timeout))

    def shutdown(self) -> None:
        self.asked.append("shutdown")

    def cancel(self) -> None:
        self.asked.append("cancel")

    def report(self) -> dict[str, Any] | None:
        return {"seconds_left": 3.0, "waiting_for": ["a"]} if self.asked else None


async def test_who_is_there_is_told_in_any_state() -> None:
    """Before, while and after there is a tree; counts only while there is one."""
    service = Service(root="top", trees=("top",))
    session = LocalSession(service)
    before = await session.request(Status())
    service.close()
    after = await session.request(Hello())

    assert (before["state"], before["actors"], before["operations"]) == ("starting", None, [])
    assert (after["state"], after["root"], after["methods"]) == ("stopping", "top", list(methods()))


async def test_looking_opens_no_file() -> None:
    """Nothing blocks the event loop, and it works while the process has no descriptor left."""
    session = LocalSession(Service())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))

    try:
        hello = await session.request(Hello())
        status = await session.request(Status())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert hello["version"] == status["version"] == version("codex-actors")


async def test_status_counts(autojump_clock: MockClock) -> None:
    """Actors by state, restarts, events, operations under way and ended, the time."""
    async with open_desk() as desk:
        await desk.ask(StopChild(path="idle"))
        await desk.ask(RestartChild(path="inner"))
        desk.plan.start_delay = 10.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.ask, RestartChild(path="inner/planned"))
            await trio.sleep(2.5)
            status = await desk.ask(Status())
            nursery.cancel_scope.cancel()

        assert status["actors"] == {
            "total": 6,
            "supervisors": 3,
            "restarts": 2,  # a stop and a start by hand are one, too
            "states": {"running": 4, "terminated": 1, "starting": 1},
        }
        assert status["events"] == desk.service.history.seen > 8
        assert status["uptime"] == 2.5
        (operation,) = status["operations"]
        assert (operation["kind"], operation["seconds"]) == ("restart", 2.5)
        assert [each["kind"] for each in status["ended"]] == ["stop", "restart"]
        assert status["leaving"] is None


async def test_events_of_one_actor_and_of_one_kind() -> None:
    """The last of those that are wanted."""
    async with open_desk() as desk:
        await desk.ask(RestartChild(path="inner"))

        told = await desk.ask(Events(path="inner", kinds=("child",)))
        last = await desk.ask(Events(last=1, kinds=("child_exited",)))

        assert [(each["kind"], each["path"]) for each in told["events"]] == [
            *[("child_started", "inner/planned"), ("child_started", "inner")],
            *[("child_exited", "inner/planned"), ("child_exited", "inner")],
            *[("child_started", "inner/planned"), ("child_started", "inner")],
        ]
        assert [each["path"] for each in last["events"]] == ["inner"]


async def test_followers_are_told_until_the_tree_has_ended() -> None:
    """What was, what comes, and in which state it ended; then nobody follows any more."""
    service = Service()
    notes: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    service.history.add_tree_event(ChildStarted(path="a", incarnation=1))

    async def follow() -> None:
        request = Events(last=1, path="a", follow=True)
        answers.append(await LocalSession(service).request(request, on_note=notes.append))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        service.history.add_tree_event(ChildStarted(path="b", incarnation=1))
        service.history.add_tree_event(ChildStarted(path="a/c", incarnation=1))
        service.state = "draining"
        service.close()

    assert [note["path"] for note in notes] == ["a", "a/c"]
    assert answers == [{"events": [], "state": "draining"}]
    service.history.add_tree_event(ChildStarted(path="a", incarnation=2))
    assert len(notes) == 2


async def test_dump_shows_functions_and_no_values() -> None:
    """Each task after the one whose nursery it is in; actors by their paths."""
    async with open_desk() as desk:
        await desk.supervisor.subtree("inner")["planned"].cast(Work(1234.5))
        await wait_all_tasks_blocked()

        tasks = (await desk.ask(Dump()))["tasks"]
        below = await desk.ask(Dump(path="inner"))
        desk.supervisor.subtree("inner")["planned"].kill()

        assert tasks[0]["parent"] is None
        assert all(task["parent"] < task["task"] for task in tasks[1:])
        assert all(task["depth"] == tasks[task["parent"]]["depth"] + 1 for task in tasks[1:])
        actors = [task["actor"] for task in tasks if task["actor"]]
        assert actors == ["idle", "inner", "inner/planned", "pool", "brief"]
        assert below["path"] == "inner"
        assert [task["actor"] for task in below["tasks"]] == ["inner", "inner/planned"]
        frames = below["tasks"][1]["frames"]
        working = next(frame for frame in frames if frame["function"] == "Planned.work")
        assert working["source"] == "await trio.sleep(message.seconds)"
        assert working["file"].endswith("steering_support.py")
        assert "1234.5" not in str(tasks)


async def test_dump_of_who_has_no_task() -> None:
    """One that is stopped stands nowhere; one that is not there is an error."""
    async with open_desk() as desk:
        await desk.ask(StopChild(path="idle"))

        assert await desk.ask(Dump(path="idle")) == {"path": "idle", "tasks": []}
        with pytest.raises(NotFound):
            await desk.ask(Dump(path="idel"))
    assert (await desk.ask(Dump()))["tasks"]  # there is no tree any more


async def test_a_task_that_only_bears_a_path_is_no_actor() -> None:
    """Whoever names a task after an actor is not taken for it."""
    async with open_desk() as desk, trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever, name="inner/planned")
        await wait_all_tasks_blocked()

        (task,) = [
            task for task in (await desk.ask(Dump()))["tasks"] if task["actor"] == "inner/planned"
        ]

        assert any("ActorLife" in frame["function"] for frame in task["frames"])
        nursery.cancel_scope.cancel()


async def test_the_end_is_the_process_s_affair() -> None:
    """It is asked, and the answer does not wait; where there is no process there is no end."""
    departure = _Departure()
    service = Service(departure=departure)
    session = LocalSession(service)

    await session.request(Drain(timeout=4.0))
    await session.request(Shutdown())
    await session.request(Shutdown(now=True))

    assert departure.asked == [("drain", 4.0), "shutdown", "cancel"]
    assert (await session.request(Status()))["leaving"]["waiting_for"] == ["a"]
    with pytest.raises(NotRunning, match="this one ends with its work"):
        await LocalSession(Service()).request(Drain())
