"""The table of operations under way."""

import json
from contextlib import suppress

import pytest
import trio
import trio.testing

from codex_actors.control.errors import Leaving, NotFound, OperationCancelled
from codex_actors.control.operations import REMEMBERED, Operations


async def test_it_is_listed_while_it_runs_and_remembered_after(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """With its progress, how long it took, and what came of it."""
    operations = Operations()

    with operations.admit("upload", "a.txt") as operation:
        operation.progress = {"acknowledged": 3}
        await trio.sleep(2)
        (listed,) = [each.to_dict() for each in operations.running()]
        operation.outcome = {"file_id": "f"}

    assert (listed["operation"], listed["state"], listed["seconds"]) == (1, "running", 2.0)
    assert listed["progress"] == {"acknowledged": 3}
    await trio.sleep(5)
    (ended,) = [each.to_dict() for each in operations.ended()]
    assert (ended["state"], ended["seconds"], ended["outcome"]) == ("done", 2.0, {"file_id": "f"})
    assert len(operations) == 0


async def test_a_failure_is_remembered_with_its_reason() -> None:
    """And passes on as it is."""
    operations = Operations()

    with pytest.raises(ValueError, match="broken"), operations.admit("stage", "a.txt"):
        raise ValueError("broken")

    (ended,) = operations.ended()
    assert (ended.state, ended.error) == ("failed", "broken")


async def test_cancel_ends_it_with_an_error_of_its_own() -> None:
    """Whoever asked is told that it was given up; others go on."""
    operations = Operations()
    cancelled = trio.Event()

    async def work() -> None:
        with pytest.raises(OperationCancelled), operations.admit("upload", "a.txt"):
            await trio.sleep_forever()
        cancelled.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        with operations.admit("upload", "b.txt") as other:
            operations.cancel(1)
            await cancelled.wait()
            assert operations.running() == (other,)
    assert [each.state for each in operations.ended()] == ["cancelled", "done"]


async def test_a_client_that_goes_cancels_its_operation() -> None:
    """A cancellation from outside passes, and the operation is out of the table."""
    operations = Operations()

    with trio.CancelScope() as client, operations.admit("exec", "turn"):
        client.cancel()
        await trio.sleep_forever()

    assert client.cancelled_caught
    assert [each.state for each in operations.ended()] == ["cancelled"]
    assert len(operations) == 0


async def test_what_is_not_under_way_cannot_be_cancelled() -> None:
    """Neither an unknown one nor one that has ended."""
    operations = Operations()
    with operations.admit("stage", "a.txt"):
        pass

    for number in (1, 2):
        with pytest.raises(NotFound, match=str(number)):
            operations.cancel(number)


async def test_a_closed_table_empties() -> None:
    """No more is admitted, and whoever waits is woken by the end of the last."""
    operations = Operations()
    with trio.fail_after(1):
        await operations.wait_empty()
    empty = trio.Event()

    async def wait() -> None:
        await operations.wait_empty()
        empty.set()

    async with trio.open_nursery() as nursery:
        with operations.admit("stage", "a"):
            with operations.admit("stage", "b"):
                operations.close()
                with pytest.raises(Leaving), operations.admit("stage", "c"):
                    pytest.fail("it is closed")
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked()
            assert not empty.is_set()
        with trio.fail_after(1):
            await empty.wait()


async def test_memory_is_bounded() -> None:
    """Of what has ended the last are kept."""
    operations = Operations()
    for number in range(REMEMBERED + 5):
        with operations.admit("stage", str(number)):
            pass

    assert len(operations.ended()) == REMEMBERED
    assert operations.ended()[-1].what == str(REMEMBERED + 4)


async def test_names_of_any_length_are_kept_in_short() -> None:
    """What ended lately is remembered, not what it was called letter by letter."""
    operations = Operations()

    with suppress(ValueError), operations.admit("stage", "n" * 1_000_000):
        raise ValueError("m" * 1_000_000)

    (ended,) = operations.ended()
    assert len(json.dumps(ended.to_dict())) < 10_000
