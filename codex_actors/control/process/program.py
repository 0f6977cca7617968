"""Owns the life of the supervisor process: what is opened in which order, and what ends it.

Invariant: the address and the staging directory are held from before the tree starts until after
it has ended; every way out gives an exit code and says why. Must not know command lines.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import final

import trio
from attrs import frozen

from codex_actors import (
    ChildStartError,
    DynamicSupervisor,
    RestartIntensityExceeded,
    Supervisor,
    open_supervisor,
)
from codex_actors.control.answering import answering
from codex_actors.control.claim import claim_address
from codex_actors.control.errors import AddressHeld, ControlError, RequestFailed
from codex_actors.control.locks import hold_lock
from codex_actors.control.process.countdown import Countdown
from codex_actors.control.process.departure import ProcessDeparture
from codex_actors.control.process.leaving import EX_HELD, EX_INTENSITY, Manner
from codex_actors.control.process.ready import Ready
from codex_actors.control.process.root import Root, root_of
from codex_actors.control.process.service_manager import ServiceManager
from codex_actors.control.process.serving import serve_supervised
from codex_actors.control.process.trees import NamedTree
from codex_actors.control.service import Service
from codex_actors.files import FilesConfig, FilesError
from codex_actors.files.opening import PreparedFiles, files_error_of
from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log
from codex_actors.telemetry.tree_text import draw_tree

__all__ = ["Plan", "run_program"]

_FAILED = 1
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds for the last answers to clients, when the trees are gone.
_LAST_ANSWERS = 1.0


@frozen(kw_only=True)
class Plan:
    """What to run, and how.

    Attributes:
        trees: What, at least one.
        files: Settings of the tree of the files; None when it is not among them.
        address: Where clients reach the process.
        drain_timeout: Seconds for the end, before it is cancelled.
        cancel_grace: Seconds for cleanup then: of operations, then of the trees.
        once: End as soon as the trees are up.
        environ: Where a service manager says that it is there.
    """

    trees: tuple[NamedTree, ...]
    files: FilesConfig | None
    address: Path
    drain_timeout: float = 30.0
    cancel_grace: float = 10.0
    once: bool = False
    environ: Mapping[str, str]


def run_program(
    plan: Plan,
    log: Log,
    *,
    on_ready: Callable[[Ready], object],
    show: Callable[[str], object] | None = None,
) -> int:
    """Run trees until they end, or are ended; blocks.

    SIGINT, SIGTERM and SIGHUP drain, a second one cancels; SIGUSR1 logs the tree. One that is
    ignored when the program starts (`nohup`) stays so.

    Args:
        plan: What to run.
        log: Where everything is told, also why it failed.
        on_ready: Called when all is up.
        show: Sets the last line of a terminal; None without one.

    Returns:
        0 when the trees ended by themselves or a client had them end, 128 plus the signal's number
        after one, 1 when they could not be started, 70 when they gave up restarting, 75 when
        another supervisor holds the address or the staging directory.
    """
    try:
        return trio.run(_Program(plan, log, on_ready, show).main)
    except AddressHeld as error:
        log.say(Level.ERROR, "held", str(error), pid=error.pid)
        return EX_HELD
    except RestartIntensityExceeded as error:
        log.say(Level.ERROR, "gave_up", f"the trees gave up: {error}")
        return EX_INTENSITY
    except ChildStartError as error:
        cause = files_error_of(error)
        log.say(Level.ERROR, "start_failed", str(cause or error))
        return _FAILED
    except (FilesError, ControlError, OSError) as error:
        log.say(Level.ERROR, "start_failed", str(error))
        return _FAILED
    except Exception as error:  # noqa: BLE001 - a defect; stderr itself may be what nobody reads
        log.say(Level.ERROR, "failed", f"{type(error).__name__}: {error}", error=error)
        return _FAILED


@final
class _Program:
    """One run."""

    def __init__(
        self,
        plan: Plan,
        log: Log,
        on_ready: Callable[[Ready], object],
        show: Callable[[str], object] | None,
    ) -> None:
        self._plan = plan
        self._log = log
        self._on_ready = on_ready
        self._countdown = Countdown(log, show)
        self._manager = ServiceManager.of(plan.environ, self._manager_failed)
        self._served = trio.Event()

    async def main(self) -> int:
        """Run to the end; the exit code."""
        plan = self._plan
        files = None
        if plan.files is not None:
            files = PreparedFiles.of(plan.files, on_event=[self._log.file_event])
        self._root = root_of(plan.trees, files)
        self._service = Service(
            socket=plan.address,
            staging_dir=None if files is None else files.root,
            trees=tuple(tree.id for tree in plan.trees),
            root=self._root.name,
        )
        departure = self._departure = ProcessDeparture(
            self._service.operations,
            plan.drain_timeout,
            self._countdown,
            grace=plan.cancel_grace,
            on_change=self._leaves,
        )
        self._service.departure = departure
        failure: BaseException | None = None
        signals = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]
        with trio.open_signal_receiver(*signals, signal.SIGUSR1) as received:
            async with trio.open_nursery() as self._background:
                self._background.start_soon(self._listen, received)
                self._background.start_soon(departure.run)
                try:
                    await self._hold(files)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again, unwrapped
                    failure = error
                self._background.cancel_scope.cancel()
        self._countdown.end()
        if failure is not None:
            raise failure
        code = departure.leaving.exit_code
        self._log.say(Level.INFO, "ended", f"ended, exit code {code}", exit_code=code)
        return code

    async def _hold(self, files: PreparedFiles | None) -> None:
        """Hold what nobody else may have meanwhile."""
        with claim_address(self._plan.address) as listener:
            async with AsyncExitStack() as stack:
                if files is not None:
                    lock = await files.make_directory()
                    what = f"a supervisor runs the files in {files.root}"
                    stack.enter_context(hold_lock(lock, what))
                    await stack.enter_async_context(files.settled())
                    history = self._service.history
                    stack.callback(files.environment.events.attach(history.add_file_event))
                self._background.start_soon(self._serve, listener)
                self._background.start_soon(self._manager.keep_alive)
                try:
                    await self._run(self._root)
                finally:
                    # Whoever still waits is answered, those who follow events among them.
                    with trio.move_on_after(_LAST_ANSWERS, shield=True):
                        await listener.aclose()
                        await self._served.wait()

    async def _serve(self, listener: trio.SocketListener) -> None:
        try:
            await serve_supervised(listener, answering(self._service), self._log)
        finally:
            self._served.set()

    async def _run(self, root: Root) -> None:
        """Run the tree to its end."""
        service = self._service
        handlers = (service.history.add_tree_event, self._log.tree_event)
        grace = self._plan.cancel_grace
        try:
            with self._departure.cancelling:
                async with (
                    open_supervisor(
                        root.spec, name=root.name, on_event=handlers, cancel_grace=grace
                    ) as supervisor,
                    trio.open_nursery() as service.nursery,
                ):
                    try:
                        await self._attend(root, supervisor)
                    finally:
                        service.operations.close()  # their nursery ends, maybe before the tree
                    service.nursery.cancel_scope.cancel()
        finally:
            service.nursery = None
            service.close()

    async def _attend(self, root: Root, supervisor: Supervisor | DynamicSupervisor) -> None:
        """Be there for the running tree."""
        self._service.open(supervisor, root.files_of(supervisor))
        self._departure.up(supervisor, root.name)
        ready = Ready(
            pid=os.getpid(),
            version=self._service.version,
            trees=self._service.trees,
            staging_dir=self._service.staging_dir,
            socket=self._plan.address,
        )
        self._on_ready(ready)
        await self._manager.ready(ready.status)
        if self._plan.once:
            self._departure.shutdown()
        await supervisor.wait_stopped()

    async def _listen(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            if number == signal.SIGUSR1:
                self._show_tree()
            else:
                name = signal.Signals(number).name
                self._log.say(Level.INFO, "signal", f"{name} received", signal=name)
                self._departure.signal(number)

    def _show_tree(self) -> None:
        try:
            snapshot = self._service.supervisor.snapshot().to_dict()
        except RequestFailed as error:
            self._log.say(Level.WARNING, "tree", f"there is no tree to show: {error}")
            return
        self._log.draw(draw_tree(snapshot, self._root.name), "tree", tree=snapshot)

    def _leaves(self, manner: Manner) -> None:
        """The end has begun, or is hurried."""
        if manner is Manner.DRAIN:
            self._service.state = "draining"
        elif self._service.state != "draining":
            self._service.state = "stopping"
        self._background.start_soon(self._manager.stopping, self._service.state)

    def _manager_failed(self, error: Exception) -> None:
        self._log.say(
            Level.WARNING, "notify_failed", f"the service manager cannot be reached: {error}"
        )
