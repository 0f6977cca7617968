"""A small serial model of OTP's supervisor: what should happen, worked out without any tasks.

Written after `supervisor.erl`: one queue, one message at a time; a child that cannot be
started again is marked `restarting` and a `try_again` goes to the end of the queue.  It
knows nothing of the framework, so that a property test may hold the framework against it.

The log is in the notation of the semantics: `+a` started, `-a` stopped on request,
`-a.` ended normally by itself, `-a!` crashed, `+a✗` start failed, `~a` start ignored.
"""

from collections.abc import Callable, Iterator

from otp_world import Child, Group, Process, Started, Worker, World


class Supervisor:
    """One incarnation of a supervisor (`#state{}`), with its children in start order."""

    def __init__(self, world: World, spec: Group, parent: "Supervisor | None" = None) -> None:
        self.world = world
        self.spec = spec
        self.parent = parent
        self.children: dict[str, Child] = {}
        self.restarts: list[float] = []
        self.gave_up = False
        self.process = Process(world, spec.name, supervisor=self)

    # Starting and stopping

    def start_all(self) -> bool:
        """OTP's `init_children`: all or nothing."""
        self.children = {spec.name: Child(spec) for spec in self.spec.children}
        if self._start_in_order(list(self.children)) is None:
            return True
        self.process.stop()
        return False

    def stop_all(self) -> None:
        """OTP's `terminate_children`, for good."""
        for child in reversed(self.children.values()):
            self._stop(child)

    def _start(self, spec: Worker | Group) -> tuple[Started, Process | None]:
        world = self.world
        if isinstance(spec, Group):
            below = Supervisor(world, spec, self)
            return ("ok", below.process) if below.start_all() else ("error", None)
        if world.failing.get(spec.name, 0) > 0:
            world.failing[spec.name] -= 1
            world.log.append(f"+{spec.name}✗")
            return "error", None
        if spec.name in world.ignoring:
            world.ignoring.discard(spec.name)
            world.log.append(f"~{spec.name}")
            return "ignore", None
        world.log.append(f"+{spec.name}")
        return "ok", Process(world, spec.name)

    def _start_in_order(self, names: list[str]) -> str | None:
        """OTP's `start_children`; returns the name of the one that failed."""
        for name in names:
            child = self.children[name]
            started, child.process = self._start(child.spec)
            child.restarting = False
            if started == "error":
                return name
            if started == "ignore" and child.temporary:
                del self.children[name]
        return None

    def _stop(self, child: Child) -> None:
        if child.process is not None:
            child.process.stop()
        child.process, child.restarting = None, False

    def _delete(self, child: Child) -> None:
        """OTP's `del_child`: forgets only temporary children."""
        child.process, child.restarting = None, False
        if child.temporary:
            del self.children[child.spec.name]

    # Children that end by themselves

    def handle_exit(self, process: Process, *, abnormal: bool) -> None:
        """OTP's `handle_info({'EXIT', ...})`; an unknown pid is ignored."""
        if not self.process.alive:
            return
        for child in self.children.values():
            if child.process is process:
                break
        else:
            return
        restart = child.spec.restart
        if restart == "permanent" or (restart == "transient" and abnormal):
            child.process = None
            self._restart(child)
        else:
            self._delete(child)

    def _restart(self, child: Child) -> None:
        """OTP's `restart/2`: every attempt is charged first."""
        oldest = self.world.now - self.spec.max_seconds
        self.restarts = [when for when in self.restarts if when >= oldest] + [self.world.now]
        if len(self.restarts) > self.spec.max_restarts:
            self._delete(child)
            self._give_up()
            return
        child.restarting = True
        if self.spec.strategy != "one_for_one":
            self._restart_group(child)
        elif self.world.late_starts:
            self.world.late.append(lambda: self._start_again(child))
        else:
            self._start_again(child)

    def _start_again(self, child: Child) -> None:
        if not self.process.alive:
            return
        started, child.process = self._start(child.spec)
        child.restarting = started == "error"
        if child.restarting:
            self._try_again(child)

    def _restart_group(self, child: Child) -> None:
        names = list(self.children)
        if self.spec.strategy == "rest_for_one":
            names = names[names.index(child.spec.name) :]
        for name in reversed(names):
            sibling = self.children[name]
            self._stop(sibling)
            if sibling.temporary:
                del self.children[name]
        failed = self._start_in_order([name for name in names if name in self.children])
        if failed is not None:
            self.children[failed].restarting = True
            self._try_again(self.children[failed])

    def _try_again(self, child: Child) -> None:
        """OTP's `gen_server:cast(self(), {try_again_restart, Id})`."""

        def handle() -> None:
            if self.process.alive and child.restarting:
                self._restart(child)

        self.world.queue.append(handle)

    def _give_up(self) -> None:
        """Stop all, exit with `shutdown`, and let the parent draw its conclusions."""
        self.process.stop()
        self.gave_up = True
        parent = self.parent
        if parent is not None:
            self.world.queue.append(lambda: parent.handle_exit(self.process, abnormal=False))

    # Administration: what each call answers

    def start_child(self, spec: Worker | Group) -> str:
        """OTP's `supervisor:start_child/2`."""
        present = self.children.get(spec.name)
        if present is not None:
            return "ChildAlreadyStarted" if present.process is not None else "ChildAlreadyPresent"
        started, process = self._start(spec)
        if started == "error":
            return "ChildStartError"
        if process is not None or spec.restart != "temporary":
            self.children[spec.name] = Child(spec, process)
        return "ok"

    def terminate_child(self, name: str) -> str:
        """OTP's `supervisor:terminate_child/2`."""
        child = self.children.get(name)
        if child is None:
            return "ChildNotFound"
        self._stop(child)
        self._delete(child)
        return "ok"

    def restart_child(self, name: str) -> str:
        """OTP's `supervisor:restart_child/2`."""
        child = self.children.get(name)
        if child is None or child.state != "terminated":
            return self._refusal(child)
        started, child.process = self._start(child.spec)
        return "ChildStartError" if started == "error" else "ok"

    def delete_child(self, name: str) -> str:
        """OTP's `supervisor:delete_child/2`."""
        child = self.children.get(name)
        if child is None or child.state != "terminated":
            return self._refusal(child)
        del self.children[name]
        return "ok"

    def _refusal(self, child: Child | None) -> str:
        if child is None:
            return "ChildNotFound"
        return "ChildRestarting" if child.restarting else "ChildRunning"

    # Views

    def in_window(self) -> int:
        """How many restarts count now."""
        return sum(when >= self.world.now - self.spec.max_seconds for when in self.restarts)

    def picture(self, path: str = "") -> Iterator[tuple[str, str, int]]:
        """Every child below: its path, its state, and for supervisors the charged restarts."""
        for name, child in self.children.items():
            below = child.process.supervisor if child.process is not None else None
            yield f"{path}{name}", child.state, below.in_window() if below is not None else 0
            if below is not None:
                yield from below.picture(f"{path}{name}/")

    def find(self, name: str) -> "tuple[Supervisor, Child] | None":
        """The supervisor that has a child of this name now, and the child."""
        for child in self.children.values():
            if child.spec.name == name:
                return self, child
            below = child.process.supervisor if child.process is not None else None
            found = below.find(name) if below is not None else None
            if found is not None:
                return found
        return None


class Model:
    """A tree under the model's rules, and the commands that a test gives it."""

    def __init__(self, spec: Group) -> None:
        self.world = World()
        self.root = Supervisor(self.world, spec)

    def die(self, *deaths: tuple[str, bool]) -> None:
        """Workers end by themselves, crashing or not, before any supervisor reacts."""
        for name, abnormal in deaths:
            found = self.root.find(name)
            if found is None or found[1].process is None:
                continue
            supervisor, process = found[0], found[1].process
            process.alive = False
            self.world.log.append(f"-{name}{'!' if abnormal else '.'}")
            self.world.queue.append(self._notice(supervisor, process, abnormal=abnormal))
        self.world.settle()

    @staticmethod
    def _notice(supervisor: Supervisor, process: Process, *, abnormal: bool) -> Callable[[], None]:
        return lambda: supervisor.handle_exit(process, abnormal=abnormal)

    def supervisor(self, name: str) -> Supervisor | None:
        """The running supervisor of this name."""
        if name == self.root.spec.name:
            return self.root if self.root.process.alive else None
        found = self.root.find(name)
        process = found[1].process if found is not None else None
        return process.supervisor if process is not None else None

    def stop(self) -> None:
        """The whole tree is told to stop."""
        self.root.process.stop()
