"""A child's place in the tree: what stays when incarnations come and go.

It owns the mailbox, the state that views show and the decision whether messages are
admitted.  Invariant: a place that admits messages either runs or will run again;
when it will not, everybody who waits is told at once.
"""

import contextvars
from typing import TYPE_CHECKING

import trio

from .calls import PendingCall
from .errors import ActorStopped, UnhandledMessage
from .exits import NORMAL, ExitReason
from .handlers import NO_HANDLERS, Handlers
from .leave import Leave
from .lifecycle import ChildState, is_legal
from .mailbox import Mailbox
from .specs import ChildSpec, StartKind
from .strategy import Restart
from .waits import responsible_life

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .deadlines import Deadline
    from .handles import DynamicSupervisor, Supervisor
    from .incarnation import Incarnation
    from .ref import ActorRef
    from .supervisor_core import SupervisorCore
    from .tree import Tree


class Place:
    """One place: the root's (`parent` is None), a supervisor's or a worker's."""

    __slots__ = (
        "__weakref__",
        "_changed",
        "_handle",
        "_ref",
        "context",
        "core",
        "crashed_in_a_row",
        "draining",
        "handled",
        "handlers",
        "incarnations",
        "kept_places",
        "last_crash",
        "last_reason",
        "life",
        "mailbox",
        "name",
        "open",
        "parent",
        "path",
        "queued_behind",
        "retry",
        "returning",
        "spec",
        "state",
        "tree",
    )

    def __init__(
        self,
        tree: "Tree",
        parent: "Place | None",
        spec: ChildSpec,
        name: str,
        context: contextvars.Context,
    ) -> None:
        self.tree = tree
        self.parent = parent
        self.spec = spec
        self.name = name
        self.context = context
        self.path: str = "" if parent is None else f"{parent.path}/{name}" if parent.path else name
        self.state = ChildState.STARTING
        self.life: Incarnation | None = None
        self.mailbox = Mailbox(spec.mailbox_capacity if self.takes_messages else 0)
        actor_class = spec.actor_class
        # None as long as only a factory is known; then unknown messages are found out later.
        self.handlers: Handlers | None = None
        if actor_class is not None:
            self.handlers = actor_class.__handlers__
        elif not self.takes_messages:
            self.handlers = NO_HANDLERS
        self.open = True
        self.draining = False
        # Will run again although `state` says terminated: a group restart is waiting for a
        # sibling before it, or the supervisor itself is being restarted.
        self.returning = False
        self.queued_behind: Place | None = None
        self.last_reason: ExitReason = NORMAL
        self.incarnations = 0
        self.handled = 0
        self.crashed_in_a_row = 0
        self.last_crash = 0.0
        self.retry: Deadline | None = None
        self.core: SupervisorCore | None = None
        # The places of a supervisor's static children, which outlive its incarnations too.
        self.kept_places: dict[str, Place] = {}
        self._changed: trio.Event | None = None
        self._ref: ActorRef | None = None
        self._handle: Supervisor | DynamicSupervisor | None = None

    @property
    def takes_messages(self) -> bool:
        """Whether this is an actor's place."""
        return self.spec.start_kind is StartKind.ACTOR

    @property
    def is_supervisor(self) -> bool:
        """Whether this is a supervisor's place."""
        return self.spec.start_kind is StartKind.SUPERVISOR

    @property
    def is_starting(self) -> bool:
        """Whether an incarnation runs that has not acknowledged its start."""
        return self.life is not None and self.life.is_starting

    @property
    def is_temporary(self) -> bool:
        """Whether nothing is kept of the child once it has ended."""
        return self.spec.restart is Restart.TEMPORARY

    @property
    def ref(self) -> "ActorRef":
        """The one ref of this place."""
        if self._ref is None:
            self._ref = self.tree.make_ref(self)
        return self._ref

    @property
    def handle(self) -> "Supervisor | DynamicSupervisor":
        """The one handle of this supervisor's place."""
        if self._handle is None:
            self._handle = self.tree.make_handle(self)
        return self._handle

    def enter(self, state: ChildState) -> None:
        """Go to another state, and let those look who wait for a change."""
        if not is_legal(self.state, state):
            raise RuntimeError(f"{self.path}: {self.state} cannot become {state}")
        self.state = state
        self.notify()

    def notify(self) -> None:
        """Let those look who wait for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def wait_changed(self) -> None:
        """Wait for the next change of the state, or of whether it will run again."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    @property
    def comes_back(self) -> bool:
        """Whether an incarnation runs now or will."""
        return self.life is not None or self.returning or self.state is not ChildState.TERMINATED

    def waits_for(self) -> "Place | None":
        """The place without whose progress this one makes none, if there is such a one."""
        if self.life is not None:
            return self.life.waiting_for
        return self.queued_behind

    # Admission

    def _check_open(self) -> None:
        """Raise `ActorStopped` unless a message to this place will meet an incarnation.

        A sender that is being stopped is not made to wait for one that does not run:
        its stop may be what that one's restart is waiting for.
        """
        if not self.open:
            raise self.stopped()
        if self.life is None or self.life.is_starting:
            sender = responsible_life()
            if sender is not None and sender.dying and sender is not self.life:
                raise self.stopped()

    def stopped(self) -> ActorStopped:
        """The error for those who address this place in vain."""
        return ActorStopped(self.ref, self.last_reason)

    def check_call(self, message: object) -> None:
        """Raise `UnhandledMessage` or `ActorStopped` when this call is known to be in vain."""
        if self.handlers is not None and type(message) not in self.handlers.calls:
            raise self.unhandled(message)
        if not self.open or self.tree.dying:
            self._check_open()

    def check_cast(self, message: object) -> None:
        """Raise `UnhandledMessage` or `ActorStopped` when this cast is known to be in vain."""
        if self.handlers is not None and type(message) not in self.handlers.casts:
            raise self.unhandled(message)
        if not self.open or self.tree.dying:
            self._check_open()

    def unhandled(self, message: object) -> UnhandledMessage:
        """The error for a message that its receiver does not know."""
        name = type(message).__name__
        if not self.takes_messages:
            return UnhandledMessage(f"{self.path} takes no messages, so not {name} either")
        return UnhandledMessage(f"{self.path} has no handler for {name}; it needs one by @handle_*")

    def admit(self) -> None:
        """Admit messages (again)."""
        if not self.open:
            self.open = True
            self.draining = False
            self.notify()

    def refuse(self, reason: ExitReason) -> None:
        """Refuse messages from now on, and fail those that wait."""
        self.open = False
        self.fail_queue(reason)

    def fail_queue(self, reason: ExitReason) -> None:
        """Fail all that waits; where admission is open it stays so.  Ends a drain."""
        self.draining = False
        for item in self.mailbox.empty():
            if isinstance(item, PendingCall):
                item.died(reason)

    def close_admission(self) -> None:
        """Begin to drain: nothing more comes in, what waits is still handled."""
        self.open = False
        self.draining = True
        self.mailbox.close()

    # Whether it will run again

    def keeps_queue(self, life: "Incarnation") -> bool:
        """Whether what waits is for the incarnation after `life`, which is asked to end.

        A restart keeps it, the child's own or that of a supervisor above; a stop does not.
        """
        if life.leave is Leave.RESTART:
            return True
        kept = self.parent is not None and self.parent.kept_places.get(self.name) is self
        return kept and life.leave is Leave.SHUTDOWN and self.parent_comes_back()

    def parent_comes_back(self) -> bool:
        """Whether the supervisor, which is ending, will be started again as far as it is known."""
        parent = self.parent
        if parent is None or parent.parent is None or parent.life is None:
            return False
        life, core = parent.life, parent.parent.core
        match life.leave:
            case Leave.RESTART:
                return True
            case Leave.SHUTDOWN:
                return parent.parent_comes_back()
            case Leave.TERMINATE:
                return False
            case Leave.REF:  # only a kill is followed by a restart that keeps the queues
                again = life.asked is None and not parent.is_temporary
            case _:  # it ends by itself, with reason shutdown
                again = parent.spec.restart is Restart.PERMANENT
        return again and core is not None and core.ending is None

    def expect_return(self) -> None:
        """This place has no incarnation but will have one: messages wait for it.

        The same holds for all that a supervisor here will start again.
        """
        self.returning = True
        if not self.draining:
            self.admit()
        for place in self.kept_places.values():
            place.expect_return()
        self.notify()

    def give_up(self, reason: ExitReason | None = None) -> None:
        """This place will not run again (unless somebody starts it by hand).

        Those who wait are told the reason: the live one of the end that has just come, so
        that a crash is their `__cause__`, else the last one as text.
        """
        self.returning = False
        self.queued_behind = None
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
        self.refuse(self.last_reason if reason is None else reason)
        for place in self.kept_places.values():
            place.give_up()
        self.notify()

    def walk(self) -> "Iterator[Place]":
        """This place and all below it, in start order."""
        yield self
        if self.core is not None:
            for place in tuple(self.core.children.values()):
                yield from place.walk()
