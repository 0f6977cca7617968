"""Owns the errors of the file layer.

Invariant: every failure that a caller can meet is a `FilesError`, and also the built-in that Python
programmers already catch for it (`FileNotFoundError`, `PermissionError`, `ValueError`, ...). A
message names the thing, what is wrong with it, and what to do. Must not know how any of them comes
about.
"""

from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "AttachmentLeased",
    "AttachmentNotFound",
    "ChecksumMismatch",
    "FilesError",
    "InvalidConfig",
    "InvalidContentType",
    "InvalidFileObject",
    "InvalidName",
    "InvalidTTL",
    "ManifestTooNew",
    "MissingCredentials",
    "NotARegularFile",
    "QuotaExceeded",
    "SourceChanged",
    "SourceNotFound",
    "SourceNotReadable",
    "StagingDirRefused",
    "StagingFull",
    "StagingIOError",
    "SystemCallError",
    "TargetLimitExceeded",
    "TransfersBusy",
    "UploadCancelled",
    "UploadCorrupted",
    "UploadError",
    "UploadOutcomeUnknown",
    "UploadRejected",
    "UploadTimeout",
]


class FilesError(Exception):
    """Base of everything that goes wrong with files and attachments."""


class SystemCallError(FilesError, OSError):
    """Base of those that the operating system answered: a sentence, with `errno` and `filename`."""

    def __str__(self) -> str:
        """Return the sentence, which names the file, without the number before it."""
        return self.strerror or super().__str__()


class SourceNotFound(SystemCallError, FileNotFoundError):
    """The path to stage does not exist."""


class SourceNotReadable(SystemCallError, PermissionError):
    """The path to stage exists, but this process may not read it."""


class NotARegularFile(FilesError, ValueError):
    """The path to stage is a directory, FIFO, socket or device."""


class SourceChanged(FilesError):
    """The source was written to while it was being copied; nothing was staged."""


class InvalidFileObject(FilesError, ValueError):
    """A FileObject does not tell enough to be an attachment or an uploaded file, or contradicts."""


class InvalidName(FilesError, ValueError):
    """A name that could not be one file in one directory, or that would not survive a terminal."""


class InvalidTTL(FilesError, ValueError):
    """A time to live that is negative or not a number."""


class InvalidContentType(FilesError, ValueError):
    """A declared content type that is not `type/subtype`."""


class InvalidConfig(FilesError, ValueError):
    """A setting of `FilesConfig` or `Retry` that makes no sense, or a config file of no use."""


class StagingFull(SystemCallError):
    """The file system of the staging directory has no room left (`errno` says which kind)."""


class StagingIOError(SystemCallError):
    """Another error of reading or writing in the staging directory; keeps its `errno`."""


class StagingDirRefused(FilesError):
    """The staging directory is not one that only this user can write to."""


class QuotaExceeded(FilesError):
    """`max_bytes` or `max_count` leaves no room, and nothing may be evicted."""


class ChecksumMismatch(FilesError):
    """Bytes on disk are not those that were staged.

    Attributes:
        quarantined: Where they lie now, None when they were not moved.
    """

    def __init__(self, message: str, *, quarantined: Path | None = None) -> None:
        super().__init__(message)
        self.quarantined = quarantined


class ManifestTooNew(FilesError):
    """The manifest was written by a newer version of this package."""


class AttachmentNotFound(FilesError, LookupError):
    """No such attachment: never staged, expired, or removed."""


class AttachmentLeased(FilesError):
    """The attachment is in use, and so cannot be removed now."""


class TransfersBusy(FilesError):
    """As many callers as `max_queued` allows are already waiting for a transfer."""


class UploadError(FilesError):
    """An upload that failed; nothing of it is left at the target unless the message says so.

    Args:
        message: A sentence: what was tried, how often, what the server said, what to do.
        step: What failed: "check" (before anything was sent), "begin", "part 3 of 8", "complete",
            "send" (of a file in one request), "settle" or "record".
        attempts: How often it was tried.
        status: The last HTTP status, if there was one.
        can_retry: Uploading again later may succeed without any change.
        server_message: What the server said last, empty if nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        step: str = "check",
        attempts: int = 0,
        status: int | None = None,
        can_retry: bool = False,
        server_message: str = "",
    ) -> None:
        super().__init__(message)
        self.step = step
        self.attempts = attempts
        self.status = status
        self.can_retry = can_retry
        self.server_message = server_message


class UploadRejected(UploadError):
    """The target refused a request for good."""


class UploadCorrupted(UploadRejected, ChecksumMismatch):
    """The target says that what arrived there is not what was sent."""


class UploadTimeout(UploadError, TimeoutError):
    """The target did not answer in time, or the deadline of the upload has passed."""


class UploadCancelled(UploadError):
    """The upload was cancelled by its handle."""


class UploadOutcomeUnknown(UploadError):
    """The answer to the request that makes the file was lost, and the target cannot tell.

    There may be a file at the target. Uploading again makes another one: look there first.

    Args:
        message: See `UploadError`.
        ids: What the upload is called at the target: `upload_id`, `checksum`, `name`.
        step: See `UploadError`.
        attempts: See `UploadError`.
        status: See `UploadError`.
        server_message: See `UploadError`.
    """

    def __init__(
        self,
        message: str,
        *,
        ids: Mapping[str, str] | None = None,
        step: str = "complete",
        attempts: int = 0,
        status: int | None = None,
        server_message: str = "",
    ) -> None:
        super().__init__(
            message, step=step, attempts=attempts, status=status, server_message=server_message
        )
        self.ids = dict(ids or {})


class TargetLimitExceeded(UploadError, ValueError):
    """The file, or a setting of the target, is outside of what the target takes."""


class MissingCredentials(UploadError):
    """The target needs a credential that was neither given nor found in the environment."""
