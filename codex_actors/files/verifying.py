"""Owns the walk through everything: what is listed is read again, what is unknown is looked for.

Invariant: it reads outside of transactions, and settles what it has read in small ones, so that
stagings go on meanwhile. Runs in the task of who asks, whose cancellation is seen between chunks.
"""

import math
from pathlib import Path
from typing import TypeVar

from codex_actors import ActorRef
from codex_actors.files import telemetry
from codex_actors.files.actors.registry import Perform
from codex_actors.files.environment import Environment
from codex_actors.files.index.recovery import Settled, advance, settling
from codex_actors.files.index.transaction import Operation
from codex_actors.files.index.verifying import FIRST, ListSuspects, SettleVerdicts
from codex_actors.files.model import Attachment, VerifyReport
from codex_actors.files.store.seal import examine

__all__ = ["settle_strays", "verify_all"]

T = TypeVar("T")


async def verify_all(environment: Environment, registry: ActorRef) -> VerifyReport:
    """Read all attachments, settle all strays, and report; see `Files.verify`."""

    async def perform(operation: Operation[T]) -> T:
        return await registry.call(Perform(operation), timeout=math.inf)

    checked = 0
    wrong = list[Attachment]()
    quarantined = list[Path]()
    after = FIRST
    while suspects := await perform(ListSuspects(after)):
        after = (suspects[-1].checksum, suspects[-1].name)
        while suspects:
            reading = examine(environment.layout, environment.disk, suspects)
            verdicts = await environment.blocking.drive(reading)
            settlement = await perform(SettleVerdicts(verdicts))
            checked += settlement.checked
            wrong += settlement.wrong
            quarantined += settlement.quarantined
            suspects = settlement.doubts.suspects
    settled = await settle_strays(environment, registry)
    return VerifyReport(
        checked=checked,
        wrong=tuple(wrong),
        quarantined=(*quarantined, *settled.quarantined),
        unknown=settled.unknown,
    )


async def settle_strays(environment: Environment, registry: ActorRef) -> Settled:
    """Adopt or quarantine files that the manifest does not know; tell what became of them."""
    blocking = environment.blocking
    steps = settling(environment.layout, environment.disk, environment.config)
    step = await blocking.run(advance, steps, None)
    while not isinstance(step, Settled):
        answer: object = None
        if step is not None:
            answer = await registry.call(Perform(step), timeout=math.inf)
        if isinstance(answer, Settled) and answer.unknown:
            environment.events.emit(telemetry.rebuilt(None, answer))
        step = await blocking.run(advance, steps, answer)
    return step
