"""Owns what an upload and the place that it goes to say to each other.

An upload to a target is, in order:

    limits, account()                     asked before anything is sent; no request
    open_session()                        a client that lives as long as the upload
      begin(file)                         -> Remote
      send_part(file, remote, part, body) -> Receipt, in any order, `limits.parallel` at a time
      complete(file, remote, receipts)    -> Finished; receipts in file order
      abort(file, remote)                 when it is not to be completed
      settle(file, remote, receipts)      what became of a `complete` whose answer was lost

or, for a file of at most `limits.whole_bytes`, the one request `send_whole(file, body)`, whose lost
answer is settled with no remote.

Invariant: a target speaks its protocol once per call and tells by a `TargetFailure` what a failure
means; when to try again, for how long, and what to clean up is the upload's. Bytes pass in chunks
of at most `CHUNK_BYTES`. Nothing here, nor in what targets return or raise, holds a credential or
a signed URL, but for `Remote.secret`. Must not know any actor.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import Enum
from typing import Protocol

from attrs import field, frozen

from codex_actors.files.model import Algorithm

__all__ = [
    "CHUNK_BYTES",
    "Body",
    "Corrupted",
    "Fate",
    "Finished",
    "Limits",
    "OutcomeUnknown",
    "Outgoing",
    "Part",
    "Receipt",
    "Refused",
    "Remote",
    "Retryable",
    "Session",
    "Target",
    "TargetFailure",
]

CHUNK_BYTES = 256 * 1024


@frozen(kw_only=True)
class Limits:
    """What a target takes. Sizes are bytes.

    Attributes:
        max_bytes: The largest file.
        min_bytes: The smallest file: 1 where an empty one is refused.
        part_size: Size of every part but the last; None for one part, however large.
        parallel: Parts in flight at a time.
        whole_bytes: Files of at most this size go by `send_whole`; 0 for none.
        resumable: A later process may go on with what an earlier one sent. Only then is the remote
            upload recorded.
        wants_md5: `Outgoing.md5` is needed.
    """

    max_bytes: int
    min_bytes: int = 1
    part_size: int | None = None
    parallel: int = 1
    whole_bytes: int = 0
    resumable: bool = False
    wants_md5: bool = False


@frozen(kw_only=True)
class Outgoing:
    """The file that is uploaded.

    Attributes:
        name: As validated by `names`; any unicode, so quote it where the protocol needs that.
        size: Bytes.
        content_type: Media type.
        checksum: Hex digest.
        algorithm: What `checksum` was computed with.
        md5: Hex digest, if `Limits.wants_md5`.
        started_at: When the first request of this upload was about to be sent (aware UTC), in this
            or an earlier process: nothing that is older at the server comes from it.
    """

    name: str
    size: int
    content_type: str
    checksum: str
    algorithm: Algorithm
    started_at: datetime
    md5: str | None = None


@frozen
class Part:
    """A stretch of the file.

    Attributes:
        number: From 0, in file order.
        offset: Where it starts.
        size: Bytes.
    """

    number: int
    offset: int
    size: int


@frozen
class Receipt:
    """The target's acknowledgement of one part.

    Attributes:
        number: Of the part.
        token: What `complete` needs of it, for example the part's id; may be empty.
    """

    number: int
    token: str = ""


@frozen
class Remote:
    """An upload that has begun at the target.

    Attributes:
        id: What the server calls it; shown in errors and events.
        expires_at: When the server forgets it (aware UTC), None if it does not say.
        data: What else a later process needs to go on with it; recorded, so no credential.
        secret: What this process needs and nobody may see, for example a signed URL; not recorded,
            so gone in a later process.
    """

    id: str
    expires_at: datetime | None = None
    data: Mapping[str, str] = field(factory=dict[str, str])
    secret: str = field(default="", repr=False)


@frozen
class Finished:
    """A file that is complete at the target.

    Attributes:
        file_id: What it is called there.
        expires_at: When the server removes it (aware UTC), None for never or unknown.
    """

    file_id: str
    expires_at: datetime | None = None


class Fate(Enum):
    """What became of a request whose answer was lost, if not a `Finished` file."""

    NOT_DONE = "not done"
    UNKNOWN = "unknown"


class TargetFailure(Exception):
    """A request that failed, with what that means.

    Args:
        message: What happened, or what the server said about it; no credential, no signed URL.
        status: The HTTP status, if there was one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Retryable(TargetFailure):
    """The same request may succeed later, and repeating it does no harm.

    Args:
        message: See `TargetFailure`.
        status: See `TargetFailure`.
        retry_after: Seconds that the server asked to wait for.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Refused(TargetFailure):
    """The request will never succeed."""


class Corrupted(Refused):
    """What arrived is not the file, by the checksum that was sent with it."""


class OutcomeUnknown(TargetFailure):
    """The request may have taken effect, and repeating it could do it twice: settle it first.

    Args:
        message: See `TargetFailure`.
        status: See `TargetFailure`.
        retry_after: Seconds that the server asked to wait for.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Body(Protocol):
    """Bytes on their way out, read from disk as they are asked for.

    Iterate it once. What its iteration raises (the file has changed) is not the target's: let it
    pass unchanged.
    """

    @property
    def size(self) -> int:
        """How many bytes there are in all."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the chunks, none empty, none above `CHUNK_BYTES`."""
        ...


class Session(Protocol):
    """A connection to a target, for one upload; used by several tasks at a time.

    Every method makes one attempt. It may be cancelled at any checkpoint: when its attempt takes
    too long, the upload is given up, or another part has failed. It must not retry nor sleep by
    itself, except to poll a server that answered to ask again.

    All of them raise `Retryable`, `Refused` or `OutcomeUnknown`. Only `complete` and `send_whole`
    need the last one; a lost answer to `begin` is `Retryable`, since an upload that nobody
    completes makes no file.
    """

    async def begin(self, file: Outgoing) -> Remote:
        """Start an upload."""
        ...

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        """Send one part. Sending it again replaces it, or leaves what is not in `complete`."""
        ...

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        """Make the parts, in file order, one file."""
        ...

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        """Give up an upload, so that nothing of it is left; no error if there is nothing left.

        Raises:
            Refused: It cannot be given up, for example since it is complete.
        """
        ...

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        """Send a file of at most `Limits.whole_bytes` in one request."""
        ...

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """Tell what became of `complete`, or without a remote of `send_whole`.

        Only asks. `NOT_DONE` allows the request to be repeated, so it must be certain.
        """
        ...

    async def confirm(self, file_id: str) -> bool:
        """Tell whether a file of an earlier upload may be given out again without sending it.

        True where the server cannot cheaply be asked; expiry has been checked already.
        """
        ...


class Target(Protocol):
    """Where uploads go: a frozen value that holds settings, and no connection."""

    @property
    def name(self) -> str:
        """Its kind, for example "openai"; `UploadedFile.target`, and in errors and events."""
        ...

    @property
    def limits(self) -> Limits:
        """What it takes."""
        ...

    def account(self) -> str:
        """Return what a file id is valid for, the same for as long as it is.

        Everything that two uploads must agree on to share one file: for HTTP the base URL,
        organization, project, purpose and a hash of the credential. It is recorded, and holds no
        secret. Makes no request.

        Raises:
            MissingCredentials: There is no credential.
        """
        ...

    def open_session(self) -> AbstractAsyncContextManager[Session]:
        """Return what connects; leaving it closes every connection.

        Raises:
            MissingCredentials: There is no credential.
        """
        ...
