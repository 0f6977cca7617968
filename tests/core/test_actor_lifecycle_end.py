"""The end of an actor: its reason, and the cleanup that always runs."""

import pytest
from messaging import (
    Board,
    Boom,
    Desk,
    Do,
    DoCast,
    crash,
    stop_self,
)
from trio.testing import wait_all_tasks_blocked

from codex_actors import (
    ChildCleanupFailed,
    ChildExited,
    ChildState,
    ExitKind,
    ExitReason,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("crash", ExitKind.CRASH),
        ("self.stop", ExitKind.NORMAL),
        ("kill", ExitKind.KILLED),
        ("stop", ExitKind.NORMAL),
        ("drain", ExitKind.NORMAL),
        ("terminate_child", ExitKind.SHUTDOWN),
        ("close", ExitKind.SHUTDOWN),
    ],
)
async def test_terminate_always_runs_once_with_the_reason(end: str, kind: ExitKind) -> None:
    """Whatever ended the actor; also after a kill, unlike OTP."""
    # C17
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root:
        desk = root["desk"]
        if end in {"crash", "self.stop"}:
            desk.cast_nowait(DoCast(crash if end == "crash" else stop_self))
        elif end == "kill":
            desk.kill()
        elif end == "stop":
            await desk.stop()
        elif end == "drain":
            await desk.drain()
        elif end == "terminate_child":
            await root.terminate_child("desk")
        await wait_all_tasks_blocked()

    assert [reason.kind for reason in board.reasons] == [kind]


async def test_an_actor_may_choose_its_reason() -> None:
    """Whether it is restarted is its restart type's affair: an abnormal one counts as such."""
    board = Board()

    async def stop_abnormally(desk: Desk) -> None:
        desk.stop(ExitReason(ExitKind.CRASH, detail="out of paper"))

    async def stop_calmly(desk: Desk) -> None:
        desk.stop(ExitReason(ExitKind.SHUTDOWN, detail="closing time"))

    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root:
        await root["desk"].call(Do(stop_abnormally))
        await root["desk"].call(Do(stop_calmly))
        await wait_all_tasks_blocked()

        assert board.built == 2
        assert [str(reason) for reason in board.reasons] == [
            "crash: out of paper",
            "shutdown: closing time",
        ]
        assert root.which_children()[0].state is ChildState.TERMINATED


async def test_a_failing_terminate_is_reported_and_is_the_reason(event_log: EventLog) -> None:
    """Of an otherwise calm end; the tree goes on stopping."""
    # Q6
    board = Board()
    board.on_terminate = crash
    async with open_supervisor(
        SupervisorSpec([board.spec("desk", restart="temporary")]), on_event=[event_log]
    ) as root:
        await root["desk"].stop()

        assert isinstance(event_log.of(ChildCleanupFailed, "desk")[0].error, Boom)
        assert isinstance(event_log.of(ChildExited, "desk")[0].reason.error, Boom)


async def test_a_crash_s_reason_outweighs_its_cleanup_s(event_log: EventLog) -> None:
    """Both are told; the first is what it died of."""
    board = Board()
    board.on_terminate = crash

    async def tear(_desk: Desk) -> None:
        raise ValueError("torn")

    spec = SupervisorSpec([board.spec("desk", restart="temporary")])
    async with open_supervisor(spec, on_event=[event_log]) as root:
        root["desk"].cast_nowait(DoCast(tear))
        await wait_all_tasks_blocked()

        assert isinstance(event_log.of(ChildExited)[0].reason.error, ValueError)
        assert len(event_log.of(ChildCleanupFailed)) == 1
