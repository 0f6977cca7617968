"""Owns credentials and addresses on their way from the caller or the environment to a header.

Invariant: a credential shows in no repr, message or pickle; only `reveal` gives it out. What could
not be a header or an address is refused before anything is sent. Must not know HTTP's machinery.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import NoReturn, final
from urllib.parse import urlsplit

from codex_actors.files.errors import InvalidConfig, MissingCredentials

__all__ = ["Secret", "base_url_of", "is_visible", "secret_of", "secret_or_none"]

_VISIBLE = re.compile(r"[!-~]+")


@final
class Secret:
    """A text that is not to be shown."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def fingerprint(self) -> str:
        """Return what tells it from others and does not lead back to it."""
        return hashlib.sha256(b"codex_actors credential\0" + self._text.encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is not to be pickled: give it to each process by itself")


def is_visible(value: object) -> bool:
    """Tell whether a value is text that a header can carry as it stands."""
    return isinstance(value, str) and _VISIBLE.fullmatch(value) is not None


def secret_or_none(value: "str | Secret | None") -> Secret | None:
    """Wrap what a caller gave.

    Raises:
        InvalidConfig: It is no text.
    """
    if value is None or isinstance(value, Secret):
        return value
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may err
        raise InvalidConfig(f"The credential is of type {type(value).__name__}: give it as str.")
    return Secret(value)


def secret_of(
    given: Secret | None, environment: Mapping[str, str], variable: str, argument: str
) -> Secret:
    """Return the credential that was given, else that of the environment.

    Raises:
        MissingCredentials: There is none, or none that could be sent.
    """
    found = given or Secret(environment.get(variable, ""))
    if not found.reveal():
        raise MissingCredentials(
            f"No credential: pass {argument}=... to the target or set {variable}."
        )
    if not is_visible(found.reveal()):
        source = variable if given is None else f"{argument}=..."
        raise MissingCredentials(
            f"The credential from {source} holds a space, a line end or another character that no"
            " HTTP header can carry: copy it again."
        )
    return found


def base_url_of(given: str | None, environment: Mapping[str, str], variable: str | None) -> str:
    """Return the base URL that was given, else that of the environment; empty if there is none.

    Raises:
        InvalidConfig: It is no base URL.
    """
    source, url = "base_url", given
    if not isinstance(url, str | None):  # pyright: ignore[reportUnnecessaryIsInstance] - ditto
        raise InvalidConfig(f"base_url is of type {type(url).__name__}: give it as str.")
    if not url and variable is not None:
        source, url = variable, environment.get(variable)
    if not url:
        return ""
    try:
        split = urlsplit(url)
        usable = (
            url.isprintable()
            and " " not in url
            and split.scheme in {"http", "https"}
            and bool(split.hostname)
            and split.port != 0
        )
    except ValueError:
        usable, split = False, urlsplit("")
    # What may be a credential (before an @, in a query) is not repeated in the message.
    if not usable or split.username is not None or split.query or split.fragment:
        raise InvalidConfig(
            f"{source} is no base URL: give https://host/path, without user, query or fragment."
        )
    return url.rstrip("/")
