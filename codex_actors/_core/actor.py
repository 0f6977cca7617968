"""The base class of actors: a life cycle, handlers, and what an actor may ask of its life.

What runs an actor is its incarnation (`actor_life`); this module knows only the part
of it that actors see.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import trio

from .errors import ActorError
from .exits import NORMAL, ExitReason
from .handlers import NO_HANDLERS, Handlers, collect
from .messages import Info

if TYPE_CHECKING:
    from .actor_life import ActorLife
    from .handles import DynamicSupervisor, Supervisor
    from .monitors import Monitor
    from .ref import ActorRef
    from .timers import Timer


class Actor:
    """A task with a mailbox, state of its own and a life cycle (OTP's `gen_server`).

    Subclasses declare handlers with `handle_call`, `handle_cast` and `handle_info`, and
    override what they need of `init`, `handle_continue` and `terminate`.  One message is
    handled at a time.  `__init__` is called for every incarnation, so state that must
    not outlive a crash belongs there; `self.ref` and the rest exist from `init` on.
    """

    __handlers__: ClassVar[Handlers] = NO_HANDLERS
    _life: "ActorLife | None" = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__handlers__ = collect(cls)

    async def init(self) -> None:
        """Prepare; the start is acknowledged when this returns.

        An exception fails the start; `IgnoreChild` means: do not run me.  `terminate` is
        not called then, so clean up here, in a `finally`.
        """

    async def handle_continue(self) -> None:
        """Go on after the start was acknowledged, before the first message.

        As OTP's `handle_continue/2`; also before a message that `init` sent.
        """

    async def terminate(self, reason: ExitReason) -> None:
        """Clean up: always called once after a successful `init`, whatever ended the actor.

        Runs shielded from cancellation for at most the spec's `cleanup_timeout` seconds.
        OTP calls it only for processes that trap exits; here a kill calls it too.
        """

    @property
    def ref(self) -> "ActorRef":
        """This actor's place in the tree."""
        return self._alive().place.ref

    @property
    def supervisor(self) -> "Supervisor | DynamicSupervisor":
        """The handle of the supervisor above; `self.supervisor["id"]` is a sibling."""
        return self._alive().supervisor

    @trio.lowlevel.enable_ki_protection
    def stop(self, reason: ExitReason = NORMAL) -> None:
        """End after the message in hand; the mailbox is kept for a next incarnation."""
        self._alive().stop_self(reason)

    @trio.lowlevel.enable_ki_protection
    def monitor(self, ref: "ActorRef") -> "Monitor":
        """Be told by one `Down` when the current incarnation of `ref` ends.

        When none runs, at once and with the last reason (as OTP's `erlang:monitor/2`).

        Raises:
            UnhandledMessage: this actor has no handler for `Down`.
        """
        return self._alive().monitor(ref)

    @trio.lowlevel.enable_ki_protection
    def send_after(self, seconds: float, info: Info) -> "Timer":
        """Have `info` handled after `seconds`, unless this incarnation ends before.

        Raises:
            UnhandledMessage: this actor has no handler for it.
            ValueError: `seconds` is negative or not a number.
        """
        return self._alive().send_after(seconds, info)

    @trio.lowlevel.enable_ki_protection
    def send_interval(self, seconds: float, info: Info) -> "Timer":
        """Have `info` handled every `seconds`, until cancelled or this incarnation ends.

        A tick that comes while the one before still waits is dropped, and `InfoDropped`
        tells so: a slow actor is not buried under its own clock.

        Raises:
            UnhandledMessage: this actor has no handler for it.
            ValueError: `seconds` is not more than 0.
        """
        return self._alive().send_interval(seconds, info)

    def _alive(self) -> "ActorLife":
        if self._life is None:
            raise ActorError(
                f"{type(self).__name__} is not supervised (yet): this works from init() on"
            )
        return self._life
