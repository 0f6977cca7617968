"""Supervised actors for Trio, with the semantics of OTP's supervision trees.

Actors are tasks with a mailbox, state and a life cycle.  They are arranged in trees of
supervisors that start them in order, restart them by restart type and strategy within a
restart intensity, and stop them in reverse order, with their cleanup guaranteed.

    from codex_actors import Actor, Call, ChildSpec, SupervisorSpec, handle_call, open_supervisor

`codex_actors.files` and `codex_actors.codex` are built on this public face.
"""

from types import FunctionType as _FunctionType

from ._core.actor import Actor as Actor
from ._core.calls import Reply as Reply
from ._core.errors import ActorDied as ActorDied
from ._core.errors import ActorError as ActorError
from ._core.errors import ActorStopped as ActorStopped
from ._core.errors import CallCycle as CallCycle
from ._core.errors import CallTimeout as CallTimeout
from ._core.errors import ChildAlreadyPresent as ChildAlreadyPresent
from ._core.errors import ChildAlreadyStarted as ChildAlreadyStarted
from ._core.errors import ChildIgnored as ChildIgnored
from ._core.errors import ChildNotFound as ChildNotFound
from ._core.errors import ChildRestarting as ChildRestarting
from ._core.errors import ChildRunning as ChildRunning
from ._core.errors import ChildStartError as ChildStartError
from ._core.errors import IgnoreChild as IgnoreChild
from ._core.errors import MailboxFull as MailboxFull
from ._core.errors import MaxChildrenReached as MaxChildrenReached
from ._core.errors import ReplyDropped as ReplyDropped
from ._core.errors import RestartIntensityExceeded as RestartIntensityExceeded
from ._core.errors import SpecError as SpecError
from ._core.errors import UnhandledMessage as UnhandledMessage
from ._core.events import CastUnhandled as CastUnhandled
from ._core.events import ChildCleanupFailed as ChildCleanupFailed
from ._core.events import ChildExited as ChildExited
from ._core.events import ChildRestartingEvent as ChildRestartingEvent
from ._core.events import ChildShutdownError as ChildShutdownError
from ._core.events import ChildStarted as ChildStarted
from ._core.events import ChildStartFailed as ChildStartFailed
from ._core.events import ChildStartIgnored as ChildStartIgnored
from ._core.events import ChildUnresponsive as ChildUnresponsive
from ._core.events import Event as Event
from ._core.events import EventHandler as EventHandler
from ._core.events import EventHub as EventHub
from ._core.events import HandlerDetached as HandlerDetached
from ._core.events import InfoDropped as InfoDropped
from ._core.events import RestartIntensityReached as RestartIntensityReached
from ._core.events import RestartIntensityUnreachable as RestartIntensityUnreachable
from ._core.events import SupervisorStopping as SupervisorStopping
from ._core.exits import ExitKind as ExitKind
from ._core.exits import ExitReason as ExitReason
from ._core.fault_points import FaultInjector as FaultInjector
from ._core.fault_points import fault_point as fault_point
from ._core.fault_points import inject_faults as inject_faults
from ._core.handlers import handle_call as handle_call
from ._core.handlers import handle_cast as handle_cast
from ._core.handlers import handle_info as handle_info
from ._core.handles import DynamicSupervisor as DynamicSupervisor
from ._core.handles import Supervisor as Supervisor
from ._core.lifecycle import ChildState as ChildState
from ._core.messages import Call as Call
from ._core.messages import Cast as Cast
from ._core.messages import Down as Down
from ._core.messages import Info as Info
from ._core.monitors import Monitor as Monitor
from ._core.opening import open_supervisor as open_supervisor
from ._core.opening import supervise as supervise
from ._core.program import run as run
from ._core.ref import ActorRef as ActorRef
from ._core.specs import Backoff as Backoff
from ._core.specs import ChildSpec as ChildSpec
from ._core.specs import DynamicSupervisorSpec as DynamicSupervisorSpec
from ._core.specs import Shutdown as Shutdown
from ._core.specs import SupervisorSpec as SupervisorSpec
from ._core.strategy import AutoShutdown as AutoShutdown
from ._core.strategy import Restart as Restart
from ._core.strategy import Strategy as Strategy
from ._core.timers import Timer as Timer
from ._core.views import ChildCounts as ChildCounts
from ._core.views import ChildInfo as ChildInfo
from ._core.views import ChildKind as ChildKind
from ._core.views import Snapshot as Snapshot

__all__ = [
    "Actor",
    "ActorDied",
    "ActorError",
    "ActorRef",
    "ActorStopped",
    "AutoShutdown",
    "Backoff",
    "Call",
    "CallCycle",
    "CallTimeout",
    "Cast",
    "CastUnhandled",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildCleanupFailed",
    "ChildCounts",
    "ChildExited",
    "ChildIgnored",
    "ChildInfo",
    "ChildKind",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRestartingEvent",
    "ChildRunning",
    "ChildShutdownError",
    "ChildSpec",
    "ChildStartError",
    "ChildStartFailed",
    "ChildStartIgnored",
    "ChildStarted",
    "ChildState",
    "ChildUnresponsive",
    "Down",
    "DynamicSupervisor",
    "DynamicSupervisorSpec",
    "Event",
    "EventHandler",
    "EventHub",
    "ExitKind",
    "ExitReason",
    "FaultInjector",
    "HandlerDetached",
    "IgnoreChild",
    "Info",
    "InfoDropped",
    "MailboxFull",
    "MaxChildrenReached",
    "Monitor",
    "Reply",
    "ReplyDropped",
    "Restart",
    "RestartIntensityExceeded",
    "RestartIntensityReached",
    "RestartIntensityUnreachable",
    "Shutdown",
    "Snapshot",
    "SpecError",
    "Strategy",
    "Supervisor",
    "SupervisorSpec",
    "SupervisorStopping",
    "Timer",
    "UnhandledMessage",
    "fault_point",
    "handle_call",
    "handle_cast",
    "handle_info",
    "inject_faults",
    "open_supervisor",
    "run",
    "supervise",
]


# Tracebacks, reprs and documentation name what people import, not where it is kept.
def _claim() -> None:
    for name in __all__:
        public = globals()[name]
        if isinstance(public, type | _FunctionType):
            public.__module__ = __name__


_claim()
del _claim
