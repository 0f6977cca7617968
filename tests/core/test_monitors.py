"""Monitors: one `Down` for the end of one incarnation, without tying lives together."""

import pytest
import trio
from attrs import frozen
from messaging import Board, Desk, Do, DoCast, Say, ask, begin, crash, hang, occupy, stop_self
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    Call,
    ChildSpec,
    ExitKind,
    Monitor,
    SupervisorSpec,
    UnhandledMessage,
    handle_call,
    open_supervisor,
)


def _watching(name: str, kept: list[Monitor] | None = None) -> Do:
    async def work(desk: Desk) -> None:
        monitor = desk.monitor(desk.supervisor[name])
        if kept is not None:
            kept.append(monitor)

    return Do(work)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("crash", ExitKind.CRASH),
        ("self.stop", ExitKind.NORMAL),
        ("kill", ExitKind.KILLED),
        ("stop", ExitKind.NORMAL),
        ("terminate_child", ExitKind.SHUTDOWN),
    ],
)
async def test_a_monitor_tells_the_reason_of_the_end(end: str, kind: ExitKind) -> None:
    """To one that is neither parent nor child; the watcher lives on."""
    # L5
    watcher, target = Board(), Board()
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root:
        await root["watcher"].call(_watching("target"))
        ref = root["target"]

        if end in {"crash", "self.stop"}:
            ref.cast_nowait(DoCast(crash if end == "crash" else stop_self))
        elif end == "kill":
            ref.kill()
        elif end == "stop":
            await ref.stop()
        else:
            await root.terminate_child("target")
        await wait_all_tasks_blocked()

        assert [(down.ref, down.reason.kind) for down in watcher.downs] == [(ref, kind)]
        assert watcher.built == 1


async def test_a_monitor_watches_one_incarnation() -> None:
    """The next one's end is not told; whoever wants it monitors again."""
    # L5
    watcher, target = Board(), Board()
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root:
        await root["watcher"].call(_watching("target"))

        for _ in range(3):
            await root["target"].stop()
            await wait_all_tasks_blocked()

        assert len(watcher.downs) == 1


async def test_a_monitor_of_one_that_does_not_run_tells_at_once() -> None:
    """With the last reason, as in OTP."""
    watcher, target = Board(), Board()
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target", restart="transient")])
    async with open_supervisor(spec) as root:
        await root.terminate_child("target")

        await root["watcher"].call(_watching("target"))
        await root["watcher"].call(Say("after"))

        assert [down.reason.kind for down in watcher.downs] == [ExitKind.SHUTDOWN]
        assert watcher.log == ["1:down", "1:after"]


async def test_the_down_comes_after_the_cleanup() -> None:
    """Gone means gone: also the target's `terminate` has ended."""
    watcher, target = Board(), Board()
    gate = trio.Event()

    async def clean_up(_desk: Desk) -> None:
        await gate.wait()

    target.on_terminate = clean_up
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root:
        await root["watcher"].call(_watching("target"))
        root["target"].kill()
        await wait_all_tasks_blocked()
        assert watcher.downs == []

        gate.set()
        await wait_all_tasks_blocked()

        assert len(watcher.downs) == 1


async def test_a_cancelled_monitor_tells_nothing() -> None:
    """Cancelled before the end, and twice."""
    # L2
    watcher, target = Board(), Board()
    kept: list[Monitor] = []
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root:
        await root["watcher"].call(_watching("target", kept))

        kept[0].cancel()
        kept[0].cancel()
        await root["target"].stop()
        await root["watcher"].call(Say("after"))

        assert watcher.downs == []


async def test_a_cancelled_monitor_takes_a_queued_down_back() -> None:
    """The end has been told, but not handled yet: it is as if it never had been."""
    # L2
    watcher, target = Board(), Board()
    kept: list[Monitor] = []
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        await root["watcher"].call(_watching("target", kept))
        await root["watcher"].call(_watching("target", kept))
        occupied = await occupy(nursery, root["watcher"])
        await root["target"].stop()

        kept[0].cancel()
        occupied.release()
        await root["watcher"].call(Say("after"))

        assert len(watcher.downs) == 1
        assert watcher.log == ["1:held", "1:down", "1:after"]


async def test_a_monitor_ends_with_the_incarnation_that_watches() -> None:
    """The next one is told nothing that it did not ask for."""
    watcher, target = Board(), Board()
    spec = SupervisorSpec([watcher.spec("watcher"), target.spec("target")])
    async with open_supervisor(spec) as root:
        await root["watcher"].call(_watching("target"))
        await root["watcher"].stop()

        await root["target"].stop()
        await root["watcher"].call(Say("after"))

        assert watcher.log == ["2:after"]


async def test_supervisors_and_tasks_are_monitored_as_actors_are() -> None:
    """Everything with a ref has an end."""
    watcher = Board()

    async def task() -> None:
        await trio.sleep_forever()

    children = [
        watcher.spec("watcher"),
        ChildSpec("branch", SupervisorSpec([ChildSpec("leaf", hang, args=(None,))])),
        ChildSpec("task", task),
    ]
    async with open_supervisor(SupervisorSpec(children)) as root:
        await root["watcher"].call(_watching("branch"))
        await root["watcher"].call(_watching("task"))

        root["task"].kill()
        await root["branch"].stop()
        await wait_all_tasks_blocked()

        seen = {down.ref.path: down.reason.kind for down in watcher.downs}
        assert seen == {"task": ExitKind.KILLED, "branch": ExitKind.NORMAL}


async def test_a_monitor_of_a_starting_child_tells_a_failed_start(
    autojump_clock: MockClock,
) -> None:
    """A start is an incarnation too: its failure is an end."""
    watcher, target = Board(), Board()
    gate = trio.Event()

    async def fail(_desk: Desk) -> None:
        await gate.wait()
        await crash(_desk)

    target.on_init = fail
    async with (
        open_supervisor(SupervisorSpec([watcher.spec("watcher")])) as root,
        trio.open_nursery() as nursery,
    ):
        start = await begin(nursery, lambda: root.start_child(target.spec("target")))
        await root["watcher"].call(_watching("target"))

        gate.set()
        await start.error()
        await wait_all_tasks_blocked()

        assert [down.reason.kind for down in watcher.downs] == [ExitKind.CRASH]


@frozen
class Watch(Call[None]):
    """Monitor the sibling `target`."""


class Deaf(Actor):
    """Has no handler for `Down`."""

    @handle_call(Watch, raises=(UnhandledMessage,))
    async def watch(self, message: Watch) -> None:
        """Try to."""
        self.monitor(self.supervisor["target"])


async def test_an_actor_without_a_handler_for_down_cannot_monitor() -> None:
    """It is told where it asks, not when the other dies."""
    target = Board()
    spec = SupervisorSpec([ChildSpec("deaf", Deaf), target.spec("target")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        refused = await ask(nursery, root["deaf"], Watch())

        assert isinstance(await refused.error(), UnhandledMessage)
        assert "Down" in str(refused.result)
