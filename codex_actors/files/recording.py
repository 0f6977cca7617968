"""Owns what one upload tells the manifest, and asks of it.

Invariant: a record names its holder, so that two uploads never take each other's for their own.
Must not know the target's protocol.
"""

from typing import Protocol, TypeVar

from attrs import frozen

from codex_actors.files.blocking import Blocking
from codex_actors.files.index.transaction import Operation
from codex_actors.files.index.upload_records import (
    FindMD5,
    FinishUpload,
    ForgetFile,
    ForgetUpload,
    IsSealed,
    RecordMaking,
    RecordMD5,
    RecordPart,
    RecordRemote,
)
from codex_actors.files.index.uploads import Claimed, ClaimUpload
from codex_actors.files.model import UploadedFile
from codex_actors.files.store.reading import Blob
from codex_actors.files.store.seal import Seal
from codex_actors.files.targets.protocol import Finished, Outgoing, Receipt
from codex_actors.files.undertaking import Undertaking, UploadJob

__all__ = ["Perform", "Recorder"]

T = TypeVar("T")


class Perform(Protocol):
    """A way to the manifest."""

    async def __call__(self, operation: Operation[T], /) -> T:
        """Carry an operation out."""
        ...


@frozen(eq=False)
class Recorder:
    """The records of one upload.

    Attributes:
        job: What is uploaded.
        holder: Its name in the manifest.
        perform: The way there.
    """

    job: UploadJob
    holder: str
    perform: Perform

    async def claim(self, file: Outgoing) -> Claimed:
        """Become the one who uploads it, unless somebody else is or has."""
        claim = ClaimUpload(
            key=self.job.key,
            holder=self.holder,
            file=file,
            making=self.job.goes_whole,
            part_size=self.job.target.limits.part_size,
        )
        return await self.perform(claim)

    async def remote(self, undertaking: Undertaking) -> None:
        """Record that it has begun at the target, or that nothing has."""
        part_size = self.job.target.limits.part_size
        upload, remote = undertaking.pending.upload, undertaking.remote
        await self.perform(RecordRemote(upload, self.holder, remote, part_size))

    async def part(self, undertaking: Undertaking, receipt: Receipt, *, last: bool) -> None:
        """Record that a part was acknowledged, if anybody could go on from there."""
        if self.job.target.limits.resumable:
            upload = undertaking.pending.upload
            await self.perform(RecordPart(upload, self.holder, receipt, last=last))

    async def making(self, undertaking: Undertaking) -> None:
        """Record that the request that makes the file is about to be sent."""
        await self.perform(RecordMaking(undertaking.pending.upload, self.holder))

    async def finished(self, undertaking: Undertaking, finished: Finished) -> UploadedFile:
        """Record the file."""
        finish = FinishUpload(self.job.key, self.holder, undertaking.file, finished)
        return await self.perform(finish)

    async def gone(self, uploaded: UploadedFile) -> None:
        """Forget a file that is not at the target any more."""
        await self.perform(ForgetFile(self.job.key, uploaded.file_id))

    def last_word(
        self, undertaking: Undertaking, finished: Finished | None
    ) -> Operation[UploadedFile | None]:
        """Return what is to be recorded of an upload that was given up, or turned out complete."""
        if finished is None:
            return ForgetUpload(undertaking.pending.upload, self.holder)
        return FinishUpload(self.job.key, self.holder, undertaking.file, finished)

    async def is_sealed(self, seal: Seal) -> bool:
        """Tell whether a file of this content is as it was when its bytes were last known."""
        return await self.perform(IsSealed(self.job.attachment.checksum, seal))

    async def md5(self, blob: Blob, blocking: Blocking) -> str | None:
        """Return the MD5 of the content, computed once; None if the target does not want it."""
        if not self.job.target.limits.wants_md5:
            return None
        checksum = self.job.attachment.checksum
        known = await self.perform(FindMD5(checksum))
        if known is None:
            known = await blocking.drive(blob.md5())
            await self.perform(RecordMD5(checksum, known))
        return known
