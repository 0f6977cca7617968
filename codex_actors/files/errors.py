"""Owns the errors of the file layer.

Invariant: every failure that a caller can meet is a `FilesError`, and also the built-in that Python
programmers already catch for it (`FileNotFoundError`, `PermissionError`, `ValueError`, ...). A
message names the thing, what is wrong with it, and what to do. Must not know how any of them comes
about.
"""

__all__ = [
    "AttachmentLeased",
    "AttachmentNotFound",
    "ChecksumMismatch",
    "FilesError",
    "InvalidConfig",
    "InvalidContentType",
    "InvalidName",
    "InvalidTTL",
    "ManifestTooNew",
    "NotARegularFile",
    "QuotaExceeded",
    "SourceChanged",
    "SourceNotFound",
    "SourceNotReadable",
    "StagingDirRefused",
    "StagingFull",
    "StagingIOError",
    "SystemCallError",
    "TransfersBusy",
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


class InvalidName(FilesError, ValueError):
    """A name that could not be one file in one directory, or that would not survive a terminal."""


class InvalidTTL(FilesError, ValueError):
    """A time to live that is negative or not a number."""


class InvalidContentType(FilesError, ValueError):
    """A declared content type that is not `type/subtype`."""


class InvalidConfig(FilesError, ValueError):
    """A setting of `FilesConfig` that makes no sense."""


class StagingFull(SystemCallError):
    """The file system of the staging directory has no room left (`errno` says which kind)."""


class StagingIOError(SystemCallError):
    """Another error of reading or writing in the staging directory; keeps its `errno`."""


class StagingDirRefused(FilesError):
    """The staging directory is not one that only this user can write to."""


class QuotaExceeded(FilesError):
    """`max_bytes` or `max_count` leaves no room, and nothing may be evicted."""


class ChecksumMismatch(FilesError):
    """Bytes on disk are not those that were staged."""


class ManifestTooNew(FilesError):
    """The manifest was written by a newer version of this package."""


class AttachmentNotFound(FilesError, LookupError):
    """No such attachment: never staged, expired, or removed."""


class AttachmentLeased(FilesError):
    """The attachment is in use, and so cannot be removed now."""


class TransfersBusy(FilesError):
    """As many callers as `max_queued` allows are already waiting for a transfer."""
