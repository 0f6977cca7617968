"""Owns the finding and the reading of `codex_actors.toml`, the file of settings.

Invariant: what is read was written by this user or by root, and nobody else can write to it; a file
that is there and cannot be used is an error, never passed over. Must not know which settings there
are, but for those that the files of an application take from it.
"""

import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import field, frozen

from codex_actors.files.errors import InvalidConfig

__all__ = ["CONFIG_FILE", "CONFIG_FILE_VARIABLE", "ConfigFile", "find_config_file"]

CONFIG_FILE = "codex_actors.toml"
CONFIG_FILE_VARIABLE = "CODEX_ACTORS_CONFIG_FILE"

_MOST_BYTES = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@frozen
class ConfigFile:
    """A file of settings that has been read.

    Attributes:
        path: Where it lies, absolute.
        values: What its top level says.
    """

    path: Path
    values: Mapping[str, object]
    _text: str = field(repr=False)

    def place(self, key: str) -> str:
        """Return where a key of the top level is set: the path, with the line if that is sure."""
        name = re.escape(key)
        pattern = rf"""^[ \t]*\[*[ \t]*(?:{name}|"{name}"|'{name}')[ \t]*[]=.]"""
        found = list(re.finditer(pattern, self._text, re.MULTILINE))
        if len(found) != 1:  # written with escapes, or within a text of several lines, too
            return str(self.path)
        return f"{self.path}:{self._text.count(chr(10), 0, found[0].start()) + 1}"

    def directory(self, key: str) -> Path | None:
        """Return what a key names, relative to the file, None when it is not set.

        Raises:
            InvalidConfig: It is no path.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value or "\0" in value:
            raise InvalidConfig(f"{self.place(key)}: {key} is {value!r}: give a path.")
        return self.resolve(value)

    def resolve(self, path: str) -> Path:
        """Return a path that the file gives, relative to where the file lies.

        Raises:
            InvalidConfig: It is in the home of a user that has none here.
        """
        try:
            return self.path.parent / Path(path).expanduser()
        except RuntimeError as error:
            raise InvalidConfig(
                f"{self.path}: {path} is in the home of a user that has none here: name it"
                " without ~."
            ) from error


def find_config_file(
    environ: Mapping[str, str],
    cwd: Callable[[], Path] = Path.cwd,
    named: str | os.PathLike[str] | None = None,
) -> ConfigFile | None:
    """Read the file of settings: the one named, of the environment, or in the working directory.

    The latter may be missing. An empty variable counts as unset. Blocking, for as long as it takes
    to read a small file.

    Raises:
        InvalidConfig: It is no TOML, cannot be read, or others than this user and root could have
            written it; the one that was named is missing.
    """
    path = named if named is not None else environ.get(CONFIG_FILE_VARIABLE) or None
    try:
        place = cwd() / _expanded(CONFIG_FILE if path is None else path)
    except OSError as error:
        if path is None:  # a working directory that is gone has no file
            return None
        raise InvalidConfig(
            f"The config file {os.fspath(path)} is relative to the working directory, which is"
            " gone: name an absolute path."
        ) from error
    try:
        text = _read(place)
    except FileNotFoundError as error:
        if path is None:
            return None
        raise InvalidConfig(f"The config file {place} does not exist: name another.") from error
    except OSError as error:
        raise InvalidConfig(
            f"The config file {place} cannot be read ({error.strerror}): make it readable, or name"
            " another."
        ) from error
    return ConfigFile(place, _parse(text, place), text)


def _expanded(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidConfig(
            f"The config file {os.fspath(path)} is in the home of a user that has none here: name"
            " it without ~."
        ) from error


def _read(path: Path) -> str:
    """Read a file that only this user or root can have written."""
    if path == path.parent or "\0" in str(path):
        raise InvalidConfig(f"The config file {str(path)!r} is no file: name another.")
    _check_owner(path, path.lstat())  # of a link, who chose where it leads
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidConfig(f"The config file {path} is no regular file: name another.")
        _check_owner(path, status)
        if status.st_mode & _OTHERS_WRITE:
            raise InvalidConfig(
                f"The config file {path} can be written by others (mode"
                f" {stat.S_IMODE(status.st_mode):04o}), and it says what to run: chmod go-w it."
            )
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InvalidConfig(f"The config file {path} has over 1 MiB: name another.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"The config file {path} is no TOML: {error}.") from error


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in {0, os.geteuid()}:
        raise InvalidConfig(
            f"The config file {path} belongs to user {status.st_uid}, not to user {os.geteuid()} or"
            " root, and it says what to run: name one of your own."
        )


def _parse(text: str, path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidConfig(f"The config file {path} is no TOML: {error}.") from error
