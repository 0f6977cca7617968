"""Contextvars: a child sees those of whoever opened the tree, or asked for the child."""

from contextvars import ContextVar

from messaging import Board, Desk, Do, DoCast, crash, stop_self

from codex_actors import (
    ActorRef,
    ChildSpec,
    DynamicSupervisorSpec,
    SupervisorSpec,
    open_supervisor,
)

_WHO: ContextVar[str] = ContextVar("who", default="nobody")


async def _look(_desk: Desk) -> str:
    return _WHO.get()


async def _change(_desk: Desk) -> None:
    _WHO.set("the child itself")


async def _seen(ref: ActorRef) -> object:
    return await ref.call(Do(_look))


async def test_a_static_child_sees_the_opener_s_context() -> None:
    """Also after a restart, and also when the caller's is another."""
    board = Board()
    token = _WHO.set("opener")
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        _WHO.reset(token)
        assert await _seen(root["desk"]) == "opener"

        await root["desk"].call(Do(_change))
        root["desk"].cast_nowait(DoCast(crash))

        assert await _seen(root["desk"]) == "opener"
        assert board.built == 2


async def test_a_child_keeps_the_context_in_which_it_was_asked_for() -> None:
    """As `start_soon`; nothing of the opener's, nothing of later callers'."""
    board = Board()
    async with open_supervisor(DynamicSupervisorSpec()) as pool:
        refs: list[ActorRef] = []
        for name in ("first", "second"):
            token = _WHO.set(name)
            refs.append(await pool.start_child(board.spec(None)))
            _WHO.reset(token)

        for ref in refs:
            await ref.call(Do(stop_self))

        assert [await _seen(ref) for ref in refs] == ["first", "second"]


async def test_a_child_started_by_a_child_sees_the_child_s_context() -> None:
    """Asked for from a handler, in the handler's context."""
    board, other = Board(), Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:

        async def start(desk: Desk) -> None:
            _WHO.set("handler")
            await desk.supervisor.start_child(other.spec("other"))

        await root["desk"].call(Do(start))

        assert await _seen(root["other"]) == "handler"
        assert _WHO.get() == "nobody"


async def test_the_children_of_a_restarted_branch_see_the_opener_s_context() -> None:
    """However deep."""
    board = Board()
    branch = ChildSpec("branch", SupervisorSpec([board.spec("desk")], max_restarts=0))
    token = _WHO.set("opener")
    async with open_supervisor(SupervisorSpec([branch])) as root:
        _WHO.reset(token)
        desk = root.subtree("branch")["desk"]

        desk.cast_nowait(DoCast(crash))

        assert await _seen(desk) == "opener"
        assert board.built == 2


async def test_a_manual_restart_keeps_the_context() -> None:
    """It is the same child, whoever restarts it."""
    board = Board()
    token = _WHO.set("opener")
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        _WHO.reset(token)
        await root.terminate_child("desk")
        _WHO.set("administrator")

        await root.restart_child("desk")

        assert await _seen(root["desk"]) == "opener"
