"""Owns the target that is the codex backend: settings, limits, credentials.

Invariant: frozen; imports no HTTP client. Must not know how it is spoken to: that is
`codex_session`.
"""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio
from attrs import Attribute, field, frozen

from codex_actors.files.errors import InvalidConfig
from codex_actors.files.targets.credentials import (
    Secret,
    base_url_of,
    secret_of,
    secret_or_none,
)
from codex_actors.files.targets.protocol import Limits, Session

__all__ = ["CodexTarget"]

DEFAULT_BASE_URL = "https://chatgpt.com/backend-api"
MAX_FILE = 512 * 2**20


def _seconds(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not value >= 0:  # not a NaN either
        raise InvalidConfig(
            f"CodexTarget.finalise_timeout is {value!r}: give a number of seconds, at least 0."
        )


@frozen
class CodexTarget:
    """The codex backend's files: announced, put to a signed address, finalised.

    A file goes in one piece, so one that was interrupted starts over. `UploadedFile.file_id` is
    what codex names as `sediment://<file_id>`.

    Attributes:
        base_url: Where the backend is; None for `https://chatgpt.com/backend-api`.
        access_token: The credential; None for `CODEX_ACCESS_TOKEN`. Never shown.
        account_id: The ChatGPT account; None for `CODEX_ACCOUNT_ID`.
        finalise_timeout: Seconds that the backend may be at work on a file that it has; asked once
            more for as long, it is then unknown what becomes of the file.

    Raises:
        InvalidConfig: The credential is no text, or the timeout no number.
    """

    base_url: str | None = None
    access_token: Secret | None = field(default=None, converter=secret_or_none)
    account_id: str | None = None
    finalise_timeout: float = field(default=30.0, kw_only=True, validator=_seconds)

    @property
    def name(self) -> str:
        """What it is called in results, errors and events."""
        return "codex"

    @property
    def limits(self) -> Limits:
        """What the backend takes."""
        return Limits(max_bytes=MAX_FILE, min_bytes=1)

    def account(self) -> str:
        """Return what a file id is valid for.

        Raises:
            MissingCredentials: There is no access token, or no account.
            InvalidConfig: The base URL is none.
        """
        return " ".join(
            (
                self.resolved_base_url(),
                self.resolved_account_id(),
                self.credential().fingerprint(),
            )
        )

    def resolved_base_url(self) -> str:
        """Return the base URL that is used now.

        Raises:
            InvalidConfig: It is none.
        """
        return base_url_of(self.base_url, os.environ, None) or DEFAULT_BASE_URL

    def resolved_account_id(self) -> str:
        """Return the account that is used now.

        Raises:
            MissingCredentials: There is none.
        """
        given = None if self.account_id is None else Secret(self.account_id)
        return secret_of(given, os.environ, "CODEX_ACCOUNT_ID", "account_id").reveal()

    def credential(self) -> Secret:
        """Return the access token that is used now.

        Raises:
            MissingCredentials: There is none.
        """
        return secret_of(self.access_token, os.environ, "CODEX_ACCESS_TOKEN", "access_token")

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator[Session]:
        """Open connections for one upload.

        Raises:
            MissingCredentials: There is no access token, or no account.
            InvalidConfig: The base URL is none.
        """
        self.account()
        # In a thread: the first import takes longer than an event loop may be held.
        open_codex_session = await trio.to_thread.run_sync(_session_opener)
        async with open_codex_session(self) as session:
            yield session


def _session_opener() -> Callable[[CodexTarget], AbstractAsyncContextManager[Session]]:
    from codex_actors.files.targets.codex_session import (  # noqa: PLC0415 - imports httpx2: only for those who use it
        open_codex_session,
    )

    return open_codex_session
