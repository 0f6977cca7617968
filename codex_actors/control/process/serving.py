"""Owns the supervision of the control server, in a tree of its own.

Invariant: whatever becomes of the server, the user's tree goes on; a server that crashes is started
again, one that keeps crashing is given up, and both are told. Must not know what is answered.
"""

import trio
from attrs import evolve

from codex_actors import (
    AutoShutdown,
    ChildSpec,
    Event,
    Restart,
    RestartIntensityExceeded,
    SupervisorSpec,
    SupervisorStopping,
    supervise,
)
from codex_actors.control.server import serve
from codex_actors.control.session import Answer
from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log

__all__ = ["serve_supervised"]


async def serve_supervised(listener: trio.SocketListener, answer: Answer, log: Log) -> None:
    """Answer clients until cancelled, or until the server has been given up.

    When the listener is closed it returns as soon as all that was asked is answered.
    """

    def tell(defect: str) -> None:
        log.say(Level.ERROR, "control_defect", "a request failed by a defect", defect=defect)

    async def server() -> None:
        # It leaves the listener open, for the next life; returning means that there is none.
        await serve(listener, answer, on_error=tell)

    def tell_event(event: Event) -> None:
        if not isinstance(event, SupervisorStopping):
            log.tree_event(evolve(event, path=f"(control)/{event.path}"))

    spec = SupervisorSpec(
        [ChildSpec("server", server, restart=Restart.TRANSIENT, significant=True)],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    try:
        await supervise(spec, name="control", on_event=[tell_event])
    except RestartIntensityExceeded as error:
        log.say(
            Level.ERROR,
            "control_lost",
            f"the control server is given up, the trees go on without it: {error}",
        )
