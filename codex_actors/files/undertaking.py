"""Owns what one upload is about: what was asked, and how far it has come.

Invariant: what an `Undertaking` names is what would have to be given up if the upload ended now.
Must not know how anything is sent.
"""

from datetime import datetime

from attrs import define, evolve, field, frozen

from codex_actors.files.index.uploads import Pending, UploadKey
from codex_actors.files.model import Attachment
from codex_actors.files.progress import Broadcast
from codex_actors.files.retry import Retry
from codex_actors.files.targets.protocol import Finished, Outgoing, Receipt, Remote, Target

__all__ = ["Undertaking", "UploadJob"]


@frozen
class UploadJob:
    """What to upload.

    Attributes:
        key: For whom else it is the same.
        attachment: The file; whoever waits holds a lease of it.
        target: Where it goes; it is within its limits.
        retry: How often, how long.
        news: Where its progress is told.
    """

    key: UploadKey
    attachment: Attachment
    target: Target
    retry: Retry
    news: Broadcast

    @property
    def goes_whole(self) -> bool:
        """Tell whether one request is enough."""
        whole_bytes = self.target.limits.whole_bytes
        return whole_bytes > 0 and self.attachment.size <= whole_bytes

    def outgoing(self, md5: str | None, now: datetime) -> Outgoing:
        """Return the file as it would be announced now."""
        attachment = self.attachment
        return Outgoing(
            name=attachment.name,
            size=attachment.size,
            content_type=attachment.content_type,
            checksum=attachment.checksum,
            algorithm=attachment.algorithm,
            started_at=now,
            md5=md5,
        )


@define(eq=False)
class Undertaking:
    """An upload that has a record.

    Attributes:
        pending: The record, as it was when this upload became its holder.
        file: As it was announced by whoever began.
        remote: What it is called at the target, None before it has begun there.
        receipts: Of the parts that were acknowledged, by number.
        making: The request that makes the file may have been sent, and no answer has come, whether
            here or in the process that began.
        finished: The file, once it is known to be there.
    """

    pending: Pending
    file: Outgoing
    remote: Remote | None = None
    receipts: dict[int, Receipt] = field(factory=dict[int, Receipt])
    making: bool = False
    finished: Finished | None = None

    @classmethod
    def of(cls, pending: Pending, file: Outgoing) -> "Undertaking":
        """Return the undertaking of a record, which may be an earlier upload's."""
        announced = evolve(
            file,
            name=pending.name,
            content_type=pending.content_type,
            started_at=pending.started_at,
        )
        return cls(
            pending,
            announced,
            pending.remote,
            {receipt.number: receipt for receipt in pending.receipts},
            making=pending.taken_over and pending.making,
        )

    @property
    def in_order(self) -> tuple[Receipt, ...]:
        """The receipts in file order."""
        return tuple(self.receipts[number] for number in sorted(self.receipts))
