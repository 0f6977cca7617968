"""Owns the values of the file layer: what is staged, what it amounts to, how it is configured.

Invariant: frozen; an `Attachment` describes bytes that were hashed while they were published, and
`expires_at` is `inserted_at + ttl` (None for ever). Must not know the disk, the manifest or Trio.
"""

import math
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from attrs import Attribute, field, frozen, validators
from cattrs.preconf.json import make_converter

from codex_actors.files.errors import InvalidConfig, InvalidTTL
from codex_actors.files.ttl import MAX_TTL, validate_ttl

__all__ = [
    "Algorithm",
    "Attachment",
    "CleanupReport",
    "Durability",
    "FilesConfig",
    "Metrics",
    "UploadedFile",
    "VerifyReport",
]

Algorithm = Literal["blake3", "sha256"]
Durability = Literal["full", "none"]

INFINITY = "infinity"


@frozen(kw_only=True)
class Attachment:
    """A staged file: content-addressed bytes under a name of the caller's choosing.

    One content under two names is two attachments: `(checksum, name)` is the identity (`key`).

    Attributes:
        name: The file name, metadata only: never a path.
        path: Where the bytes lie, absolute, readable by this user only.
        checksum: Hex digest of the published bytes.
        algorithm: What `checksum` was computed with.
        size: Bytes.
        content_type: Media type, as declared or detected.
        persist: Never expires, and quota never evicts it.
        inserted_at: When it was last staged (aware UTC, milliseconds).
        ttl: Seconds from `inserted_at`, `math.inf` for ever.
        expires_at: When it may be removed (aware UTC), None for never.
    """

    name: str
    path: Path
    checksum: str
    algorithm: Algorithm
    size: int
    content_type: str
    persist: bool
    inserted_at: datetime
    ttl: float
    expires_at: datetime | None

    @property
    def id(self) -> str:
        """The checksum, as in the Elixir SDK."""
        return self.checksum

    @property
    def key(self) -> tuple[str, str]:
        """`(checksum, name)`: what tells two attachments apart."""
        return (self.checksum, self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data: the keys of the Elixir SDK (`ttl_ms`, "infinity") and ours."""
        data: dict[str, Any] = _json.unstructure(self)
        data["id"] = self.id
        data["ttl"] = INFINITY if math.isinf(self.ttl) else self.ttl
        data["ttl_ms"] = self.ttl_ms
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Attachment":
        """Return the attachment that `to_dict` described."""
        ttl = math.inf if data["ttl"] == INFINITY else data["ttl"]
        return _json.structure({**data, "ttl": ttl}, cls)

    @property
    def ttl_ms(self) -> int | str:
        """The time to live in the Elixir SDK's form: milliseconds, or "infinity"."""
        return INFINITY if math.isinf(self.ttl) else round(self.ttl * 1000)


@frozen(kw_only=True)
class UploadedFile:
    """A file that is complete at a target.

    Attributes:
        file_id: What it is called there.
        target: Where: "directory", "openai", "codex".
        name: The name that it was uploaded under.
        size: Bytes.
        content_type: Media type.
        checksum: Hex digest, as of the attachment.
        uploaded_at: When it was complete (aware UTC); before now if it was there already.
        expires_at: When the target removes it (aware UTC), None for never or unknown.
    """

    file_id: str
    target: str
    name: str
    size: int
    content_type: str
    checksum: str
    uploaded_at: datetime
    expires_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        data: dict[str, Any] = _json.unstructure(self)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "UploadedFile":
        """Return the uploaded file that `to_dict` described."""
        return _json.structure(data, cls)


@frozen(kw_only=True)
class Metrics:
    """What the staging directory holds, and what is under way. Sizes are bytes.

    `total_*`, `persistent_*` and `expirable_*` count attachments; `blob_*` counts contents, each
    once, so `saved_bytes` is what deduplication saves. `hits` and `misses` count
    from the start of the registry.
    """

    total_count: int = 0
    total_bytes: int = 0
    persistent_count: int = 0
    persistent_bytes: int = 0
    expirable_count: int = 0
    expirable_bytes: int = 0
    blob_count: int = 0
    blob_bytes: int = 0
    saved_bytes: int = 0
    hits: int = 0
    misses: int = 0
    partial_files: int = 0
    leases: int = 0
    transfers_running: int = 0
    transfers_queued: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return JSON-ready data."""
        data: dict[str, int] = _json.unstructure(self)
        return data


@frozen(kw_only=True)
class CleanupReport:
    """What a sweep removed, or with `dry_run` would remove.

    Attributes:
        count: Attachments removed.
        bytes: Sum of their sizes.
        attachments: They themselves.
        failed: Those whose file could not be deleted: still listed, tried again by the next sweep.
    """

    count: int = 0
    bytes: int = 0
    attachments: tuple[Attachment, ...] = ()
    failed: tuple[Attachment, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "count": self.count,
            "bytes": self.bytes,
            "attachments": [attachment.to_dict() for attachment in self.attachments],
            "failed": [attachment.to_dict() for attachment in self.failed],
        }


@frozen(kw_only=True)
class VerifyReport:
    """What reading everything again has shown.

    Attributes:
        checked: How many attachments were read.
        wrong: Those whose file holds other bytes, or is gone: not listed any more, and listed again
            when their content is staged again.
        quarantined: Where the files lie now that hold other bytes than their place says.
        unknown: Files that nothing told of: listed now where they hold what their place says, in
            quarantine otherwise.
    """

    checked: int = 0
    wrong: tuple[Attachment, ...] = ()
    quarantined: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "checked": self.checked,
            "wrong": [attachment.to_dict() for attachment in self.wrong],
            "quarantined": [str(path) for path in self.quarantined],
            "unknown": [str(path) for path in self.unknown],
        }


def _ttl(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    try:
        validate_ttl(value)
    except InvalidTTL as error:
        raise InvalidConfig(f"FilesConfig.default_ttl: {error}") from None


def _interval(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= MAX_TTL:
        raise InvalidConfig(
            f"FilesConfig.{attribute.name} is {value!r}: give a number of seconds above 0, of a"
            " century at most."
        )


def _count(minimum: int) -> Any:
    def check(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise InvalidConfig(
                f"FilesConfig.{attribute.name} is {value!r}: give an integer of at least {minimum}."
            )

    return check


def _one_of(kind: Any) -> Any:
    choices = get_args(kind)

    def check(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if value not in choices:
            allowed = " or ".join(map(repr, choices))
            raise InvalidConfig(f"FilesConfig.{attribute.name} is {value!r}: give {allowed}.")

    return check


def _optional_path(value: str | os.PathLike[str] | None) -> Path | None:
    if value is None:
        return None
    path = Path(value)
    if path == Path():  # what an empty string becomes, too
        raise InvalidConfig(
            f"FilesConfig.staging_dir is {os.fspath(value)!r}: give a directory of its own, or None"
            " for the default."
        )
    if "\0" in str(path):
        raise InvalidConfig(f"FilesConfig.staging_dir is {str(path)!r}: give a path without NUL.")
    return path


@frozen(kw_only=True)
class FilesConfig:
    """Settings of one staging directory, checked when built.

    Attributes:
        staging_dir: The directory; None means `CODEX_ACTORS_STAGING_DIR`, else `staging_dir` in the
            config file (`codex_actors.toml` in the working directory, or the one that
            `CODEX_ACTORS_CONFIG_FILE` names), else `_build/codex_files` there.
        default_ttl: Seconds that a staging without `ttl` lives (`math.inf`: for ever).
        sweep_interval: Seconds between two sweeps.
        algorithm: "blake3", or "sha256" (what the Elixir SDK and OpenAI speak).
        durability: "full" syncs file and directories before answering, "none" leaves that to the
            kernel: a power cut may then take back what was answered.
        max_bytes: Bytes that all contents together may take, None for no limit.
        max_count: Attachments that may be staged at a time, None for no limit.
        max_transfers: Stagings and uploads that run at a time.
        max_queued: Callers that may wait for one; more get `TransfersBusy`. Those who wait with
            something small (64 KiB at most) share the next one, up to 64 of them.

    Raises:
        InvalidConfig: A value makes no sense; the message names it.
    """

    staging_dir: Path | None = field(default=None, converter=_optional_path)
    default_ttl: float = field(default=86_400.0, validator=_ttl)
    sweep_interval: float = field(default=60.0, validator=_interval)
    algorithm: Algorithm = field(default="blake3", validator=_one_of(Algorithm))
    durability: Durability = field(default="full", validator=_one_of(Durability))
    max_bytes: int | None = field(default=None, validator=validators.optional(_count(0)))
    max_count: int | None = field(default=None, validator=validators.optional(_count(0)))
    max_transfers: int = field(default=8, validator=_count(1))
    max_queued: int = field(default=1024, validator=_count(0))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_json = make_converter()
_json.register_unstructure_hook(datetime, _iso)
_json.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
_json.register_unstructure_hook(Path, str)
_json.register_structure_hook(Path, lambda text, _: Path(text))
