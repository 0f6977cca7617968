"""A deferred reply answered from a thread: the caller gets it, and its timeout still holds."""

import threading

import pytest
import trio
from attrs import frozen

from codex_actors import Actor, Call, ChildSpec, Reply, SupervisorSpec, handle_call
from codex_actors.testing import TreeOpener


@frozen
class Compute(Call[int]):
    """Answered by a thread that runs no Trio."""

    fails: bool = False


class Computer(Actor):
    """Has a thread answer."""

    @handle_call(Compute, deferred=True)
    async def compute(self, message: Compute, reply: Reply[int]) -> None:
        """Start the thread, and be free again."""

        def work() -> None:
            if message.fails:
                reply.error(LookupError("nothing there"))
            else:
                reply.send(7)
            reply.send(8)

        thread = threading.Thread(target=work)
        thread.start()
        await trio.to_thread.run_sync(thread.join)


async def test_a_thread_may_answer(open_tree: TreeOpener) -> None:
    """With a value; a second answer is ignored there too."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("computer", Computer)]))

    assert await supervisor["computer"].call(Compute()) == 7


async def test_a_thread_may_answer_with_an_error(open_tree: TreeOpener) -> None:
    """Raised in the caller, and the actor lives on."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("computer", Computer)]))

    with pytest.raises(LookupError, match="nothing there"):
        await supervisor["computer"].call(Compute(fails=True))

    assert await supervisor["computer"].call(Compute()) == 7
