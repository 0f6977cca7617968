"""Owns what may be asked about files; errors are those of `codex_actors.files` and `.codex`."""

from pathlib import Path
from typing import Any

from attrs import field, frozen

from codex_actors.control.errors import InvalidParams
from codex_actors.control.messages.base import Request

__all__ = [
    "Cleanup",
    "Exec",
    "ListStaged",
    "Metrics",
    "Remove",
    "Reset",
    "Show",
    "Stage",
    "TargetChoice",
    "Upload",
    "Verify",
]


# What names something on disk: a relative one would be relative to nobody knows what.
_PATHS = ("path", "cwd", "codex")


@frozen(kw_only=True)
class FileRequest(Request):
    """The base of these requests."""

    def check(self) -> None:
        """See `Request.check`."""
        for name in _PATHS:
            value = getattr(self, name, None)
            if value is not None:
                _check_absolute(name, value)


def _check_absolute(name: str, path: str) -> None:
    if not Path(path).is_absolute():
        raise InvalidParams(f"params.{name}: give an absolute path, not {path!r}")


@frozen(kw_only=True)
class Stage(FileRequest):
    """Stage one file; see `Files.stage`.

    Attributes:
        path: The file, absolute.
    """

    method = "files.stage"
    path: str
    name: str | None = None
    ttl: float | None = None
    persist: bool = False
    content_type: str | None = None
    verify: bool = False


@frozen(kw_only=True)
class ListStaged(FileRequest):
    """All attachments, the least recently staged first."""

    method = "files.list"


@frozen(kw_only=True)
class Show(FileRequest):
    """One attachment.

    Attributes:
        what: Its checksum, the beginning of it, or its name.
    """

    method = "files.show"
    what: str


@frozen(kw_only=True)
class TargetChoice:
    """Where an upload goes; what is None is taken from the environment of the process.

    Attributes:
        kind: "directory", "openai" or "codex".
        path: The directory, absolute.
        secret: The API key or the access token; never shown.
    """

    kind: str
    path: str | None = None
    base_url: str | None = None
    secret: str | None = field(default=None, repr=False)
    organization: str | None = None
    project: str | None = None
    account_id: str | None = None
    purpose: str | None = None
    part_size: int | None = None
    parallel: int | None = None
    expires_after: int | None = None


@frozen(kw_only=True)
class Upload(FileRequest):
    """Upload one file; see `Files.upload`. Notes tell the progress.

    Attributes:
        path: The file, absolute; or
        what: an attachment, as of `Show`.
        name: Of a file that is no attachment.
        target: Where to.
        attempts: How often a request is tried.
        timeout: Seconds for all of it.
        verify: "quick" or "full".
        detach: Answer with the operation at once; it goes on when the client goes.
    """

    method = "files.upload"
    path: str | None = None
    what: str | None = None
    name: str | None = None
    content_type: str | None = None
    target: TargetChoice
    attempts: int | None = None
    timeout: float | None = None
    verify: str = "quick"
    detach: bool = False

    def check(self) -> None:
        """See `Request.check`."""
        super().check()
        if (self.path is None) == (self.what is None):
            raise InvalidParams("params: give one of path and what")
        if self.target.path is not None:
            _check_absolute("target.path", self.target.path)


@frozen(kw_only=True)
class Exec(FileRequest):
    """Stage files and run one codex turn with them. Notes tell the events of the turn.

    Attributes:
        prompt: What to ask.
        attach: The files, absolute, in the order of their delivery.
        cwd: The agent's working directory, absolute.
        env: Environment variables, merged over those of the process; never shown.
        codex: The codex executable.
        timeout: Seconds for the turn.
        resume: The thread to go on with.
    """

    method = "files.exec"
    prompt: str = field(repr=False)
    attach: tuple[str, ...] = ()
    cwd: str | None = None
    model: str | None = None
    sandbox: str | None = None
    config: dict[str, Any] = field(factory=dict[str, Any], repr=False)
    ephemeral: bool = False
    env: dict[str, str] | None = field(default=None, repr=False)
    codex: str | None = None
    timeout: float | None = None
    resume: str | None = None

    def check(self) -> None:
        """See `Request.check`."""
        super().check()
        for path in self.attach:
            _check_absolute("attach", path)


@frozen(kw_only=True)
class Remove(FileRequest):
    """Remove one attachment.

    Attributes:
        what: As of `Show`.
    """

    method = "files.remove"
    what: str


@frozen(kw_only=True)
class Cleanup(FileRequest):
    """Remove what has expired.

    Attributes:
        dry_run: Only tell what would go.
    """

    method = "files.cleanup"
    dry_run: bool = False


@frozen(kw_only=True)
class Verify(FileRequest):
    """Read everything again."""

    method = "files.verify"


@frozen(kw_only=True)
class Reset(FileRequest):
    """Remove every attachment.

    Attributes:
        force: Also those in use.
    """

    method = "files.reset"
    force: bool = False


@frozen(kw_only=True)
class Metrics(FileRequest):
    """What is staged and under way."""

    method = "files.metrics"
