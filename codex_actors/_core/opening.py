"""Opening a tree: as a context manager or as a task.

The wiring is done here: what a place makes lives, refs and handles of.  The opener
hosts three things in one nursery of its own: the root's life, which is shielded; the
tree's deadlines, which outlive it; and a sentinel, which turns a cancellation from
outside into an orderly one.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import copy_context
from typing import overload

import trio

from .actor_life import ActorLife
from .endings import members
from .errors import ActorStopped, SpecError
from .events import EventHandler
from .exits import SHUTDOWN
from .fields import check_number
from .handles import DynamicSupervisor, Supervisor, make_handle
from .incarnation import Incarnation
from .leave import Leave, Manner
from .place import Place
from .ref import ActorRef
from .specs import ChildSpec, DynamicSupervisorSpec, StartKind, SupervisorSpec, is_segment
from .strategy import Restart
from .supervisor_life import SupervisorLife
from .task_life import TaskLife
from .tree import Tree

_LIVES: dict[StartKind, type[Incarnation]] = {
    StartKind.ACTOR: ActorLife,
    StartKind.TASK: TaskLife,
    StartKind.SUPERVISOR: SupervisorLife,
}


def _make_life(place: Place, on_settled: Callable[[Incarnation], None]) -> Incarnation:
    return _LIVES[place.spec.start_kind](place, on_settled)


@overload
def open_supervisor(
    spec: SupervisorSpec,
    *,
    name: str = "root",
    on_event: Iterable[EventHandler] = (),
    cancel_grace: float = 10.0,
) -> AbstractAsyncContextManager[Supervisor]: ...
@overload
def open_supervisor(
    spec: DynamicSupervisorSpec,
    *,
    name: str = "root",
    on_event: Iterable[EventHandler] = (),
    cancel_grace: float = 10.0,
) -> AbstractAsyncContextManager[DynamicSupervisor]: ...
def open_supervisor(
    spec: SupervisorSpec | DynamicSupervisorSpec,
    *,
    name: str = "root",
    on_event: Iterable[EventHandler] = (),
    cancel_grace: float = 10.0,
) -> AbstractAsyncContextManager[Supervisor | DynamicSupervisor]:
    """Start a supervision tree, and stop it when the block is left.

    Entering returns when all children have acknowledged their start.  Leaving stops them
    in reverse order, cleanup awaited.  When the scope around the block is cancelled they
    are cancelled one after the other in that same order, and all at once after
    `cancel_grace` seconds.  When the tree ends by itself, its children stop first, then
    the block is cancelled.

    Args:
        spec: the tree.
        name: what the root is called; not part of any path.
        on_event: callables that get every event from the first on.
        cancel_grace: seconds for an orderly end after a cancellation.

    Raises:
        ChildStartError: a child could not be started; nothing is left running.
        RestartIntensityExceeded: the root gave up.  In a group with the block's own error
            when it had one of its own.
        SpecError: `name` cannot be one, or `cancel_grace` is no number of seconds from 0.
    """
    return host_tree(spec, name, tuple(on_event), cancel_grace)


async def supervise(
    spec: SupervisorSpec | DynamicSupervisorSpec,
    *,
    name: str = "root",
    on_event: Iterable[EventHandler] = (),
    cancel_grace: float = 10.0,
    task_status: "trio.TaskStatus[Supervisor | DynamicSupervisor]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a supervision tree as a task: `supervisor = await nursery.start(supervise, spec)`.

    Returns when the tree has ended; see `open_supervisor` for arguments, errors and
    cancellation.
    """
    async with host_tree(spec, name, tuple(on_event), cancel_grace) as supervisor:
        task_status.started(supervisor)
        await supervisor.wait_stopped()


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def host_tree(
    spec: SupervisorSpec | DynamicSupervisorSpec,
    name: str,
    on_event: tuple[EventHandler, ...],
    cancel_grace: float,
    on_root: Callable[[Incarnation], object] = lambda _life: None,
) -> AsyncGenerator[Supervisor | DynamicSupervisor, None]:
    """See `open_supervisor`; `on_root` gets the root's life before anything starts."""
    check_number("cancel_grace", cancel_grace, least=0)
    if not is_segment(name):
        raise SpecError(f"name: {name!r} must be printable text, not empty, without '/'")
    tree = Tree(_make_life, ActorRef, make_handle, on_event)
    root_spec = ChildSpec(name, spec, restart=Restart.TEMPORARY)
    root = Place(tree, None, root_spec, name, copy_context())
    settled = trio.Event()
    life = SupervisorLife(root, lambda _life: settled.set())
    root.life = life
    on_root(life)
    error: BaseException | None = None
    try:
        async with trio.open_nursery() as host:
            block = trio.CancelScope()
            host.start_soon(_run_root, life, block, name=name)
            host.start_soon(_watch_cancellation, life, cancel_grace, name=f"{name}: sentinel")
            try:
                await settled.wait()
                if life.is_starting and life.reason is not None and life.reason.error is None:
                    raise ActorStopped(root.ref, life.reason)  # noqa: TRY301 - as if the start raised
                if not life.is_starting:
                    with block:
                        yield root.handle
            except BaseException as raised:  # noqa: BLE001 - raised again below, when all is stopped
                error = raised
            hurried = error is not None and not isinstance(error, Exception)
            interrupt = await _end(life, Manner.CANCEL if hurried else Manner.STOP)
            error = error if interrupt is None else interrupt
            host.cancel_scope.cancel()
    except* KeyboardInterrupt as pressed:
        # Pressed while the nursery, which wraps what it raises, ended after the tree.
        error = _first(pressed)
    outcome = _outcome(life, error)
    if outcome is not None:
        raise outcome
    await trio.lowlevel.checkpoint_if_cancelled()


@trio.lowlevel.enable_ki_protection
async def _end(life: SupervisorLife, manner: Manner) -> KeyboardInterrupt | None:
    """Stop the tree and wait for its end; Ctrl-C meanwhile hurries it, and is returned."""
    interrupt = None
    if life.reason is None:
        life.ask(Leave.SHUTDOWN, SHUTDOWN, manner)
    while life.reason is None:
        try:
            with trio.CancelScope(shield=True):
                await life.wait_gone()
        except KeyboardInterrupt as pressed:
            interrupt = pressed
            life.kill()
    return interrupt


@trio.lowlevel.enable_ki_protection
async def _run_root(life: SupervisorLife, block: trio.CancelScope) -> None:
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.place.tree.deadlines.run)
            await life.run()
            nursery.cancel_scope.cancel()
    if life.leave is Leave.NO or (life.ending is not None and life.ending.fatal):
        block.cancel()


@trio.lowlevel.enable_ki_protection
async def _watch_cancellation(life: SupervisorLife, cancel_grace: float) -> None:
    """The sentinel.  It keeps its Cancelled to itself: the opener has, and raises, its own."""
    with suppress(trio.Cancelled):
        await trio.sleep_forever()
    if life.reason is None:
        life.ask(Leave.SHUTDOWN, SHUTDOWN, Manner.CANCEL)
        deadline = trio.current_time() + cancel_grace
        life.place.tree.deadlines.add(deadline, life.cut)


def _first(error: BaseException) -> BaseException:
    """The first exception in a group of groups."""
    while inner := members(error):
        error = inner[0]
    return error


def _outcome(life: SupervisorLife, error: BaseException | None) -> BaseException | None:
    """What the opener raises: the block's error, the tree's, or both."""
    if life.is_starting and life.reason is not None and life.reason.error is not None:
        return life.reason.error
    ending = life.ending
    if ending is None or (ending.error is None and life.leave is not Leave.NO):
        return error
    if error is None or _is_consequence(error, life.place.tree):
        return ending.error
    if ending.error is None or isinstance(error, KeyboardInterrupt | SystemExit):
        return error
    if isinstance(error, trio.Cancelled):
        return ending.error
    return BaseExceptionGroup(
        "the block failed, and its supervision tree too", (error, ending.error)
    )


def _is_consequence(error: BaseException, tree: Tree) -> bool:
    """Whether the block failed only because the tree had ended."""
    inner = members(error)
    if inner:
        return all(_is_consequence(one, tree) for one in inner)
    return isinstance(error, ActorStopped) and error.ref.place.tree is tree
