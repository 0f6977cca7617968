"""Owns the target that is OpenAI: settings, limits, credentials. No HTTP client is imported here.

Invariant: frozen; nothing outside of what OpenAI takes can be built. Must not know how it is spoken
to: that is `openai_session`.
"""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio
from attrs import field, frozen

from codex_actors.files.errors import TargetLimitExceeded
from codex_actors.files.targets.credentials import (
    Secret,
    base_url_of,
    is_visible,
    secret_of,
    secret_or_none,
)
from codex_actors.files.targets.protocol import Limits, Session

__all__ = ["OpenAITarget"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
MIN_PART = 2**20
# The documentation says 64 MB and 8 GB; the official client sends parts of 64 MiB.
MAX_PART = 64 * 2**20
MAX_FILE = 8 * 2**30
SHORTEST_EXPIRY = 3_600
LONGEST_EXPIRY = 2_592_000


@frozen
class OpenAITarget:
    """OpenAI's Files, by the Uploads API; files of at most one part by one request.

    Settings are checked when it is built, credentials when it is used.

    Attributes:
        base_url: Where the API is; None for `OPENAI_BASE_URL`, else `https://api.openai.com/v1`.
        api_key: The credential; None for `OPENAI_API_KEY`. Never shown.
        organization: Sent as `OpenAI-Organization`.
        project: Sent as `OpenAI-Project`.
        purpose: What the file is for, as OpenAI calls it.
        part_size: Bytes of a part, from 1 MiB to 64 MiB.
        parallel: Parts in flight at a time.
        expires_after: Seconds after which OpenAI removes the file (an hour to 30 days), None for
            never.
        md5: Send the file's md5 with the last request, for the server to compare; small files then
            go by the Uploads API, too.

    Raises:
        TargetLimitExceeded: A setting is outside of what OpenAI takes.
        InvalidConfig: The credential is no text.
    """

    base_url: str | None = None
    api_key: Secret | None = field(default=None, converter=secret_or_none)
    organization: str | None = field(default=None, kw_only=True)
    project: str | None = field(default=None, kw_only=True)
    purpose: str = field(default="user_data", kw_only=True)
    part_size: int = field(default=MAX_PART, kw_only=True)
    parallel: int = field(default=4, kw_only=True)
    expires_after: int | None = field(default=None, kw_only=True)
    md5: bool = field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse what OpenAI would refuse."""
        for name in ("part_size", "parallel", "expires_after"):
            value = getattr(self, name)
            integer = isinstance(value, int) and not isinstance(value, bool)
            if not integer and (value is not None or name != "expires_after"):
                raise TargetLimitExceeded(f"OpenAITarget.{name} is {value!r}: give an integer.")
        if not MIN_PART <= self.part_size <= MAX_PART:
            raise TargetLimitExceeded(
                f"OpenAITarget.part_size is {self.part_size!r}: give {MIN_PART} (1 MiB) to"
                f" {MAX_PART} (64 MiB) bytes."
            )
        if self.parallel < 1:
            raise TargetLimitExceeded(
                f"OpenAITarget.parallel is {self.parallel!r}: give at least 1."
            )
        for name in ("organization", "project", "purpose"):
            value = getattr(self, name)
            if value is not None and not is_visible(value):
                raise TargetLimitExceeded(
                    f"OpenAITarget.{name} is {value!r}: give letters, digits and signs, no space."
                )
        if self.expires_after is not None and not (
            SHORTEST_EXPIRY <= self.expires_after <= LONGEST_EXPIRY
        ):
            raise TargetLimitExceeded(
                f"OpenAITarget.expires_after is {self.expires_after!r}: give {SHORTEST_EXPIRY} (an"
                f" hour) to {LONGEST_EXPIRY} (30 days) seconds, or None."
            )

    @property
    def name(self) -> str:
        """What it is called in results, errors and events."""
        return "openai"

    @property
    def limits(self) -> Limits:
        """What OpenAI takes."""
        return Limits(
            max_bytes=MAX_FILE,
            min_bytes=1,
            part_size=self.part_size,
            parallel=self.parallel,
            # The request for a whole file has no place for an md5.
            whole_bytes=0 if self.md5 else self.part_size,
            resumable=True,
            wants_md5=self.md5,
        )

    def account(self) -> str:
        """Return what a file id is valid for.

        Raises:
            MissingCredentials: There is no API key.
            InvalidConfig: The base URL is none.
        """
        return " ".join(
            (
                self.resolved_base_url(),
                self.organization or "-",
                self.project or "-",
                self.purpose,
                "-" if self.expires_after is None else str(self.expires_after),
                self.credential().fingerprint(),
            )
        )

    def resolved_base_url(self) -> str:
        """Return the base URL that is used now.

        Raises:
            InvalidConfig: It is none.
        """
        return base_url_of(self.base_url, os.environ, "OPENAI_BASE_URL") or DEFAULT_BASE_URL

    def credential(self) -> Secret:
        """Return the API key that is used now.

        Raises:
            MissingCredentials: There is none.
        """
        return secret_of(self.api_key, os.environ, "OPENAI_API_KEY", "api_key")

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator[Session]:
        """Open connections for one upload.

        Raises:
            MissingCredentials: There is no API key.
            InvalidConfig: The base URL is none.
        """
        self.account()
        # In a thread: the first import takes longer than an event loop may be held.
        open_openai_session = await trio.to_thread.run_sync(_session_opener)
        async with open_openai_session(self) as session:
            yield session


def _session_opener() -> Callable[[OpenAITarget], AbstractAsyncContextManager[Session]]:
    from codex_actors.files.targets.openai_session import (  # noqa: PLC0415 - imports httpx2: only for those who use it
        open_openai_session,
    )

    return open_openai_session
