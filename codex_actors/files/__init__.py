"""Attachment and file management for OpenAI Codex, supervised.

Stage a file (content-addressed, deduplicated, checksummed, with a time to live) and attach it to a
codex turn, without leaking or losing a byte on disk whatever crashes. Start reading at `tree`.
"""

from codex_actors.files.environment import Seams as Seams
from codex_actors.files.errors import AttachmentLeased as AttachmentLeased
from codex_actors.files.errors import AttachmentNotFound as AttachmentNotFound
from codex_actors.files.errors import ChecksumMismatch as ChecksumMismatch
from codex_actors.files.errors import FilesError as FilesError
from codex_actors.files.errors import InvalidConfig as InvalidConfig
from codex_actors.files.errors import InvalidContentType as InvalidContentType
from codex_actors.files.errors import InvalidFileObject as InvalidFileObject
from codex_actors.files.errors import InvalidName as InvalidName
from codex_actors.files.errors import InvalidTTL as InvalidTTL
from codex_actors.files.errors import ManifestTooNew as ManifestTooNew
from codex_actors.files.errors import MissingCredentials as MissingCredentials
from codex_actors.files.errors import NotARegularFile as NotARegularFile
from codex_actors.files.errors import QuotaExceeded as QuotaExceeded
from codex_actors.files.errors import SourceChanged as SourceChanged
from codex_actors.files.errors import SourceNotFound as SourceNotFound
from codex_actors.files.errors import SourceNotReadable as SourceNotReadable
from codex_actors.files.errors import StagingDirRefused as StagingDirRefused
from codex_actors.files.errors import StagingFull as StagingFull
from codex_actors.files.errors import StagingIOError as StagingIOError
from codex_actors.files.errors import TargetLimitExceeded as TargetLimitExceeded
from codex_actors.files.errors import TransfersBusy as TransfersBusy
from codex_actors.files.errors import UploadCancelled as UploadCancelled
from codex_actors.files.errors import UploadCorrupted as UploadCorrupted
from codex_actors.files.errors import UploadError as UploadError
from codex_actors.files.errors import UploadOutcomeUnknown as UploadOutcomeUnknown
from codex_actors.files.errors import UploadRejected as UploadRejected
from codex_actors.files.errors import UploadTimeout as UploadTimeout
from codex_actors.files.facade import Files as Files
from codex_actors.files.file_objects import (
    attachment_from_file_object as attachment_from_file_object,
)
from codex_actors.files.file_objects import file_object as file_object
from codex_actors.files.file_objects import uploaded_from_file_object as uploaded_from_file_object
from codex_actors.files.handles import UploadHandle as UploadHandle
from codex_actors.files.model import Attachment as Attachment
from codex_actors.files.model import CleanupReport as CleanupReport
from codex_actors.files.model import FilesConfig as FilesConfig
from codex_actors.files.model import Metrics as Metrics
from codex_actors.files.model import UploadedFile as UploadedFile
from codex_actors.files.model import VerifyReport as VerifyReport
from codex_actors.files.opening import files_from as files_from
from codex_actors.files.opening import open_files as open_files
from codex_actors.files.progress import Progress as Progress
from codex_actors.files.retry import Retry as Retry
from codex_actors.files.targets.codex import CodexTarget as CodexTarget
from codex_actors.files.targets.directory import DirectoryTarget as DirectoryTarget
from codex_actors.files.targets.openai import OpenAITarget as OpenAITarget
from codex_actors.files.telemetry import Event as Event
from codex_actors.files.telemetry import Events as Events
from codex_actors.files.tree import files_spec as files_spec
