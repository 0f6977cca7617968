"""What all places of one tree share: the events, the deadlines, who is dying."""

from typing import TYPE_CHECKING

import trio

from .deadlines import Deadlines
from .events import EventHandler, EventHub

if TYPE_CHECKING:
    from collections.abc import Callable

    from .handles import DynamicSupervisor, Supervisor
    from .incarnation import Incarnation
    from .place import Place
    from .ref import ActorRef


class Tree:
    """The shared parts of one tree, made by whoever opens it.

    The three factories are what places and supervisors make of each other; wiring them
    here keeps the modules below from knowing those above.

    Args:
        make_life: makes an incarnation for a place.
        make_ref: makes the ref of a place; places keep theirs.
        make_handle: makes the handle of a supervisor's place.
        handlers: the first event handlers.
    """

    __slots__ = (
        "deadlines",
        "dying",
        "hub",
        "make_handle",
        "make_life",
        "make_ref",
        "now",
        "waiting",
    )

    def __init__(
        self,
        make_life: "Callable[[Place, Callable[[Incarnation], None]], Incarnation]",
        make_ref: "Callable[[Place], ActorRef]",
        make_handle: "Callable[[Place], Supervisor | DynamicSupervisor]",
        handlers: tuple[EventHandler, ...] = (),
    ) -> None:
        self.make_life = make_life
        self.make_ref = make_ref
        self.make_handle = make_handle
        self.hub = EventHub(handlers)
        # As `trio.current_time`, which looks the clock up every time.
        self.now = trio.lowlevel.current_clock().current_time
        self.deadlines = Deadlines()
        # Who has been told to end, and who waits for another place: both are mostly empty.
        self.dying: set[Incarnation] = set()
        self.waiting: set[Incarnation] = set()

    def release_the_dying(self) -> None:
        """A place stopped running: whoever is dying must not go on waiting for it."""
        if self.dying:
            for life in tuple(self.waiting):
                if life.dying:
                    life.fail_hopeless_wait()
