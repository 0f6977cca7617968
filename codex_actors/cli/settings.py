"""The settings: what there is to set, where a value may come from, and which one holds.

A flag comes before the environment (`CODEX_ACTORS_<KEY>`, where empty is unset), that before
`codex_actors.toml`, that before the default; every value knows where it came from.  What is not
known, in the file or among the variables, is an error that names the nearest.
"""

import difflib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from attrs import frozen

from codex_actors.cli.errors import SettingsError
from codex_actors.cli.output import Color
from codex_actors.cli.units import parse_bytes, parse_seconds
from codex_actors.files import FilesConfig, InvalidConfig
from codex_actors.files.config_file import CONFIG_FILE_VARIABLE, ConfigFile, find_config_file
from codex_actors.files.store.directory import DEFAULT_STAGING_DIR

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

_PREFIX = "CODEX_ACTORS_"
_FOR_TESTS = _PREFIX + "TEST_"
# Variables that are no settings: where the file is, and what a codex that we run is marked with
# (its agent may run this program).
_OTHER_VARIABLES = (CONFIG_FILE_VARIABLE, "CODEX_ACTORS_TURN")

Resolve = Callable[[str], Path]


@frozen
class Setting:
    """One thing that can be set.

    Attributes:
        key: What it is called in the file.
        parse: Makes a value of text, or of what TOML or a flag gives; a ValueError says what to
            give instead.  Paths are made absolute by its second argument.
        default: What holds when nobody says anything, as one would write it.
        help: What it means, in one sentence.
        flag: What sets it on the command line.
    """

    key: str
    parse: Callable[[object, Resolve], object]
    default: object
    help: str
    flag: str

    @property
    def variable(self) -> str:
        """What sets it in the environment."""
        return _PREFIX + self.key.upper()


@frozen(kw_only=True)
class Settings:
    """What holds, for one run of the command line.  Times are seconds, sizes are bytes.

    Attributes:
        staging_dir: Absolute, with nothing looked at.
        socket: Absolute; None to choose by the staging directory.
        codex: The codex executable, a bare name or an absolute path; None to search for it.
        sources: By key, where the value came from: "flag --x", "environment CODEX_ACTORS_X", the
            path of the file, or "default".
        config_file: The file that was read, None without one.
    """

    staging_dir: Path
    default_ttl: float
    sweep_interval: float
    algorithm: Literal["blake3", "sha256"]
    durability: Literal["full", "none"]
    max_bytes: int | None
    max_count: int | None
    max_transfers: int
    max_queued: int
    trees: tuple[str, ...]
    socket: Path | None
    drain_timeout: float
    cancel_grace: float
    log_format: LogFormat
    log_level: LogLevel
    color: Color
    codex: str | None
    sources: Mapping[str, str]
    config_file: Path | None

    def files_config(self) -> FilesConfig:
        """Return the settings of the files tree."""
        return FilesConfig(**{key: getattr(self, key) for key in _OF_FILES})


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Callable[[], Path] = Path.cwd,
) -> Settings:
    """Return what holds; reads the config file, and looks at nothing else.

    Args:
        flags: What the command line says, by key, as text or as a value already; None and empty
            sequences are left out.  `config_file` names the file to read.
        environ: The environment, that of this process when None.
        cwd: What gives the working directory, where the file is looked for and which the relative
            paths of flags and variables are under.

    Raises:
        SettingsError: a value makes no sense, a name is not known, the file cannot be used.
    """
    given = {key: value for key, value in (flags or {}).items() if value not in (None, (), [])}
    environ = os.environ if environ is None else environ
    _refuse_unknown_variables(environ)
    named = given.pop("config_file", None)
    try:
        file = find_config_file(environ, cwd, cast("str | Path | None", named))
    except InvalidConfig as error:
        raise SettingsError(str(error)) from error
    if file is not None:
        _refuse_unknown_keys(file)
    if unknown := given.keys() - _BY_KEY.keys():
        raise KeyError(f"there are no settings {sorted(unknown)}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        values[setting.key], sources[setting.key] = _choose(setting, given, environ, file, cwd)
    path = file.path if file is not None else None
    return Settings(**values, sources=sources, config_file=path)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that names the nearest of what is known, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""


def _choose(
    setting: Setting,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: ConfigFile | None,
    cwd: Callable[[], Path],
) -> tuple[object, str]:
    """Return the value of a setting, and where it came from."""

    def below_cwd(path: str) -> Path:
        return _absolute(path, cwd)

    key = setting.key
    if key in flags:
        kind = "flag" if setting.flag.startswith("-") else "argument"
        value = _parse(setting, flags[key], setting.flag, below_cwd)
        return value, f"{kind} {setting.flag}"
    if text := environ.get(setting.variable):
        value = _parse(setting, text, setting.variable, below_cwd)
        return value, f"environment {setting.variable}"
    if file is not None and key in file.values:
        value = _parse(setting, file.values[key], f"{file.place(key)}: {key}", file.resolve)
        return value, str(file.path)
    return _parse(setting, setting.default, key, below_cwd), "default"


def _parse(setting: Setting, value: object, name: str, resolve: Resolve) -> object:
    try:
        parsed: Any = setting.parse(value, resolve)
        if setting.key in _OF_FILES:
            FilesConfig(**{setting.key: parsed})
    except ValueError as error:
        what = str(error)
        if isinstance(error, InvalidConfig) and what.startswith("FilesConfig."):
            what = what.partition(": ")[2]  # what comes before it names the field: not here
        shown = str(value) if isinstance(value, Path) else value
        raise SettingsError(f"{name} is {shown!r}: {what.rstrip('.')}") from error
    return parsed


def _absolute(path: str, cwd: Callable[[], Path]) -> Path:
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        raise ValueError("that is in the home of a user that has none: name it without ~") from None
    if expanded.is_absolute():
        return expanded
    try:
        return cwd() / expanded
    except OSError:
        raise ValueError(
            "that is relative to the working directory, which is gone: name an absolute path"
        ) from None


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = {setting.variable for setting in SETTINGS} | set(_OTHER_VARIABLES)
    for name in sorted(environ):
        if (
            name.startswith(_PREFIX)
            and not name.startswith(_FOR_TESTS)
            and name not in known
            and environ[name]
        ):
            raise SettingsError(
                f"there is no setting for the environment variable {name}"
                f"{nearest(name, known) or ': unset it'}"
            )


def _refuse_unknown_keys(file: ConfigFile) -> None:
    for key in file.values:
        if key not in _BY_KEY:
            what = nearest(key, _BY_KEY) or ": remove it"
            raise SettingsError(f"{file.place(key)}: there is no setting {key!r}{what}")


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"give {what}, as text")  # noqa: TRY004 - as for every other value
    return value


def _seconds(value: object, _resolve: Resolve) -> float:
    if isinstance(value, str):
        value = parse_seconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("give seconds from 0, 90s, 5m, 12h, 7d or inf")
    return float(value)


def _bytes(value: object, _resolve: Resolve) -> object:
    if isinstance(value, str):
        return parse_bytes(value)
    return None if value == math.inf else value  # FilesConfig knows what else is none


def _count(value: object, _resolve: Resolve) -> object:
    if isinstance(value, str):
        if value.strip().lower() in {"inf", "infinity"}:
            return None
        try:
            return int(value)
        except ValueError:
            raise ValueError("give a whole number, or inf where that makes sense") from None
    return None if value == math.inf else value


def _path(value: object, resolve: Resolve) -> Path:
    text = str(value) if isinstance(value, Path) else _text(value, "a path")
    if not text or "\0" in text or Path(text) == Path():
        raise ValueError("give a path of its own")
    return resolve(text)


def _socket(value: object, resolve: Resolve) -> Path | None:
    return None if value is None else _path(value, resolve)


def _codex(value: object, resolve: Resolve) -> str | None:
    if value is None:
        return None
    text = str(value) if isinstance(value, Path) else _text(value, "a name or a path")
    # A bare name is searched for on PATH.
    return str(_path(text, resolve)) if "/" in text else text


def _trees(value: object, _resolve: Resolve) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    items = cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
    trees = tuple(item for item in items if isinstance(item, str) and item.strip())
    if not trees or len(trees) != len(items):
        raise ValueError("give trees, such as files or package.module:TREE, as a list of texts")
    return trees


def _one_of(*choices: str) -> Callable[[object, Resolve], str]:
    def parse(value: object, _resolve: Resolve) -> str:
        if not isinstance(value, str) or value not in choices:
            close = nearest(value, choices) if isinstance(value, str) else ""
            raise ValueError(f"give {', '.join(choices[:-1])} or {choices[-1]}{close}")
        return value

    return parse


def _setting(
    key: str,
    parse: Callable[[object, Resolve], object],
    default: object,
    help: str,  # noqa: A002 - as the field is called
    flag: str | None = None,
) -> Setting:
    return Setting(key, parse, default, help, flag or "--" + key.replace("_", "-"))


_FILES = FilesConfig()
SETTINGS: tuple[Setting, ...] = (
    _setting("staging_dir", _path, DEFAULT_STAGING_DIR, "Where staged files are kept."),
    _setting("default_ttl", _seconds, _FILES.default_ttl, "How long a staging lives by default."),
    _setting("sweep_interval", _seconds, _FILES.sweep_interval, "The time between two sweeps."),
    _setting("algorithm", _one_of("blake3", "sha256"), _FILES.algorithm, "The checksum."),
    _setting(
        "durability",
        _one_of("full", "none"),
        _FILES.durability,
        "Whether files are on disk (full) or with the kernel (none) before anyone is answered.",
    ),
    _setting("max_bytes", _bytes, math.inf, "How much may be staged, in bytes or with a unit."),
    _setting("max_count", _count, math.inf, "How many attachments may be staged."),
    _setting(
        "max_transfers", _count, _FILES.max_transfers, "How many stagings and uploads run at once."
    ),
    _setting("max_queued", _count, _FILES.max_queued, "How many more may wait for one."),
    _setting(
        "trees", _trees, ("files",), "What `run` runs: files, package.module:TREE, name=...", "TREE"
    ),
    _setting("socket", _socket, None, "The control socket; chosen by the staging directory."),
    _setting("drain_timeout", _seconds, 30.0, "How long what is under way may take to finish."),
    _setting("cancel_grace", _seconds, 10.0, "How long cleanup may take after that."),
    _setting("log_format", _one_of("text", "json"), "text", "How log lines look."),
    _setting(
        "log_level",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "The least important that is logged.",
    ),
    _setting("color", _one_of("auto", "always", "never"), "auto", "Whether output is coloured."),
    _setting("codex", _codex, None, "The codex executable; searched for when not set."),
)
_BY_KEY = {setting.key: setting for setting in SETTINGS}
_OF_FILES = (
    "staging_dir",
    "default_ttl",
    "sweep_interval",
    "algorithm",
    "durability",
    "max_bytes",
    "max_count",
    "max_transfers",
    "max_queued",
)
