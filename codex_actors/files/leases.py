"""Owns the taking of leases: of a file that holds what was staged, whatever reading that takes.

Invariant: nobody gets a lease of wrong bytes. Must not know what the lease is for.
"""

import secrets

from attrs import evolve

from codex_actors.files.access import Access
from codex_actors.files.index.leasing import TakeLease, key_of
from codex_actors.files.index.trust import Doubts
from codex_actors.files.model import Attachment
from codex_actors.files.store.seal import examine

__all__ = ["new_lease", "take_lease"]


def new_lease() -> str:
    """Return a name that no other lease has."""
    return secrets.token_hex(16)


async def take_lease(
    access: Access, lease: str, attachment: Attachment, *, distrust: bool = False
) -> Attachment:
    """Keep an attachment from being removed, and return it as it is listed now.

    Args:
        access: The tree.
        lease: From `new_lease`.
        attachment: Which one.
        distrust: Read its file even if nobody has touched it since it was staged.

    Raises:
        AttachmentNotFound: It is not there (any more).
        ChecksumMismatch: Its file holds other bytes, and is in quarantine now.
    """
    environment = await access.environment()
    take = TakeLease(lease, *key_of(attachment), distrust=distrust)
    while isinstance(answer := await access.perform(take), Doubts):
        reading = examine(environment.layout, environment.disk, answer.suspects)
        verdicts = await environment.blocking.drive(reading)
        take = evolve(take, verdicts=take.verdicts + verdicts)
    return answer
