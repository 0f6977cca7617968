"""The body of `open_supervisor`: when it ends, when the tree ends, and what is raised."""

import pytest
import trio
from actors import Boom, Crash, CrashCall, Finish, Journal, Ping, Work, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    ChildSpec,
    ExitKind,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)


def fragile(journal: Journal, names: str = "a b c") -> SupervisorSpec:
    """A tree that gives up at the first crash."""
    return SupervisorSpec(workers(journal, names), max_restarts=0)


async def test_tree_stops_with_the_body() -> None:
    """When the body ends, the tree stops."""
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a b"))) as supervisor:
        assert journal.take() == "+a +b"

    assert journal.take() == "-b -a"
    assert (await supervisor.wait_stopped()).kind is ExitKind.SHUTDOWN


@pytest.mark.parametrize(
    "error",
    [Boom(), ExceptionGroup("own", [Boom()]), ActorStopped.__new__(ActorStopped)],
    ids=["error", "group", "actor stopped"],
)
async def test_own_error_passes_bare(error: Exception) -> None:
    """A body's own error passes as it is, after the tree has stopped in order."""
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(SupervisorSpec(workers(journal, "a b"))):
            journal.take()
            raise error

    with pytest.raises(type(error)) as raised:
        await body()

    assert raised.value is error
    assert journal.take() == "-b -a"


async def test_giving_up_cancels_the_body(autojump_clock: MockClock) -> None:
    """After giving up the children stop first, then the body is cancelled; the error is bare."""
    # I5
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor:
            journal.take()
            await supervisor["b"].cast(Crash())
            try:
                await trio.sleep_forever()
            finally:
                journal.write("body")

    with pytest.raises(RestartIntensityExceeded) as raised:
        await body()

    assert journal.take() == "-b! -c -a body"
    assert [type(error) for error in raised.value.crashes] == [Boom]


async def test_giving_up_while_the_body_calls(autojump_clock: MockClock) -> None:
    """A body that ends by an ActorStopped of this tree: the bare reason is raised."""
    journal = Journal()

    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(fragile(journal)) as supervisor:
            await supervisor["b"].call(CrashCall())


async def test_giving_up_while_tasks_of_the_body_call(autojump_clock: MockClock) -> None:
    """The same when it was a task of the body's own nursery that was told so."""
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor, trio.open_nursery() as nursery:
            nursery.start_soon(supervisor["b"].call, CrashCall())
            nursery.start_soon(supervisor["a"].call, Work(seconds=60))

    with pytest.raises(RestartIntensityExceeded):
        await body()


async def test_giving_up_and_an_own_error(autojump_clock: MockClock) -> None:
    """A body that fails on its own when the tree gives up: a group of both."""
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor:
            await supervisor["b"].cast(Crash())
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("the body's own")

    with pytest.raises(BaseExceptionGroup) as raised:
        await body()

    kinds = {type(error) for error in raised.value.exceptions}
    assert kinds == {ValueError, RestartIntensityExceeded}


async def test_stopped_actor_of_another_tree_is_an_own_error(autojump_clock: MockClock) -> None:
    """An ActorStopped of another tree is no consequence of this one's end: a group."""
    journal = Journal()
    async with open_supervisor(SupervisorSpec(workers(journal, "x"))) as other:
        stranger = other["x"]

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor:
            await supervisor["b"].cast(Crash())
            with trio.CancelScope(shield=True):
                await supervisor.wait_stopped()
            await stranger.call(Ping())

    with pytest.raises(BaseExceptionGroup) as raised:
        await body()

    kinds = {type(error) for error in raised.value.exceptions}
    assert kinds == {ActorStopped, RestartIntensityExceeded}


async def test_giving_up_while_the_body_ends(autojump_clock: MockClock) -> None:
    """A body that ends without looking still gets to know that the tree gave up."""
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor:
            await supervisor["b"].cast(Crash())
            with trio.CancelScope(shield=True):
                await supervisor.wait_stopped()

    with pytest.raises(RestartIntensityExceeded):
        await body()


async def test_quiet_end_of_the_tree(autojump_clock: MockClock) -> None:
    """After auto_shutdown the children stop, the body is cancelled, the block left quietly."""
    # A2
    journal = Journal()
    significant = worker(journal, "b", restart="transient", significant=True)
    tree = SupervisorSpec(
        [*workers(journal, "a"), significant, *workers(journal, "c")],
        auto_shutdown="any_significant",
    )

    async with open_supervisor(tree) as supervisor:
        journal.take()
        await supervisor["b"].cast(Finish())
        try:
            await trio.sleep_forever()
        finally:
            journal.write("body")

    assert journal.take() == "-b -c -a body"
    assert (await supervisor.wait_stopped()).kind is ExitKind.SHUTDOWN


async def test_quiet_end_and_an_own_error(autojump_clock: MockClock) -> None:
    """After auto_shutdown a body's own error is all there is to raise."""
    journal = Journal()
    significant = worker(journal, "a", restart="transient", significant=True)

    async def body() -> None:
        async with open_supervisor(
            SupervisorSpec([significant], auto_shutdown="any_significant")
        ) as supervisor:
            await supervisor["a"].cast(Finish())
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        await body()


async def test_giving_up_while_the_body_waits_for_another(autojump_clock: MockClock) -> None:
    """The same when the call was to a sibling of the one that crashed."""
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(fragile(journal)) as supervisor:
            await supervisor["b"].cast(Crash())
            await supervisor["c"].call(Work(seconds=60, text="never"), timeout=100)

    with pytest.raises(RestartIntensityExceeded):
        await body()


@pytest.mark.parametrize("how", ["stop", "ref.stop", "kill"])
async def test_stop_does_not_cancel_the_body(autojump_clock: MockClock, how: str) -> None:
    """`supervisor.stop()` ends the tree; the body goes on."""
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a b"))) as supervisor:
        journal.take()
        if how == "stop":
            await supervisor.stop()
        elif how == "ref.stop":
            await supervisor.ref.stop()
        else:
            supervisor.ref.kill()
            await supervisor.wait_stopped()
        assert journal.take() == "-b -a"
        await trio.sleep(10)
        with pytest.raises(ActorStopped):
            await supervisor["a"].call(Ping())
        journal.write("body went on")

    assert journal.take() == "body went on"


async def test_outer_cancellation_is_not_swallowed(autojump_clock: MockClock) -> None:
    """A body cancelled from outside is caught outside, though the tree gave up as well."""
    journal = Journal()

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(workers(journal, "a"))):
            outer.cancel()
            await trio.lowlevel.checkpoint()
            pytest.fail("not reached")

    assert outer.cancelled_caught


async def test_nested_give_up_reaches_the_root(autojump_clock: MockClock) -> None:
    """A permanent child supervisor that keeps giving up takes the root down with it."""
    # I7
    journal = Journal()
    tree = SupervisorSpec([ChildSpec("sub", fragile(journal))], max_restarts=1)

    async def body() -> None:
        async with open_supervisor(tree) as supervisor:
            for _ in range(2):
                await supervisor.subtree("sub")["b"].cast(Crash())
                await wait_all_tasks_blocked()
            await trio.sleep_forever()

    with pytest.raises(RestartIntensityExceeded):
        await body()

    assert journal.take() == "+a +b +c -b! -c -a +a +b +c -b! -c -a"
