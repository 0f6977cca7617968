"""Checks of what this program runs on: Python, its libraries, limits, the config file, codex."""

import platform
import re
import resource
import sqlite3
from collections.abc import Iterator
from importlib import metadata

from codex_actors.cli.checks.finding import Finding, fail, ok, warn
from codex_actors.cli.executable import CodexUnusable, codex_executable, codex_version
from codex_actors.cli.settings import Settings
from codex_actors.codex import CodexNotFound

_US = "codex-actors"
_CODEX = "openai-codex-cli-bin"
_SQLITE = (3, 8, 2)  # the first that has all that the manifest uses
# A supervisor has up to 128 clients, and each transfer a few files and connections.
_DESCRIPTORS = 512


def check_python() -> Iterator[Finding]:
    """Give what runs us."""
    yield _compared("python", platform.python_version(), metadata.metadata(_US)["Requires-Python"])


def check_trio() -> Iterator[Finding]:
    """Give the library that everything here runs on."""
    yield _compared("trio", metadata.version("trio"), required("trio"))


def check_sqlite() -> Iterator[Finding]:
    """Give the library that keeps the manifest."""
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _SQLITE:
        wanted = ".".join(map(str, _SQLITE))
        yield fail("sqlite", version, f"use a Python that is built with SQLite {wanted} or newer")
    else:
        yield ok("sqlite", version)


def check_limits() -> Iterator[Finding]:
    """Give how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        yield ok("open files", "no limit")
    elif soft < _DESCRIPTORS:
        yield warn(
            "open files",
            f"{soft} at most",
            f"a busy supervisor needs more: ulimit -n {_DESCRIPTORS} or higher before it starts",
        )
    else:
        yield ok("open files", f"{soft} at most")


def check_config(settings: Settings) -> Iterator[Finding]:
    """Give the file of settings; one that cannot be used has been told by then."""
    path = settings.config_file
    count = sum(source != "default" for source in settings.sources.values())
    told = f"{count} not the default: see config show" if count else "all defaults"
    yield ok("settings", f"{path or 'no config file'}; {told}")


def check_codex(settings: Settings) -> Iterator[Finding]:
    """Give the codex that would be run, if it can be."""
    try:
        path = codex_executable(settings)
    except CodexNotFound as error:
        what, _, advice = str(error).partition(": ")
        if settings.codex is None:
            yield warn("codex", f"{what}; only exec needs it", advice)
        else:
            yield fail("codex", what, advice)
        return
    try:
        version = codex_version(path)
    except CodexUnusable as error:
        yield fail("codex", str(error), "install it again, or name another by --codex")
        return
    wanted = required(_CODEX)
    found = f"{version} at {path}"
    if satisfies(version, wanted):
        yield ok("codex", found)
    else:
        yield warn(
            "codex",
            found,
            f"this program is tested with {wanted}: pip install 'codex-actors[codex]'",
        )


def required(package: str) -> str:
    """Return which versions of a package ours asks for, as "<0.170,>=0.163"; "" for any."""
    for line in metadata.requires(_US) or []:
        found = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)", line)
        if found is not None and found[1].lower() == package:
            return found[2].replace(" ", "")
    return ""


def satisfies(version: str, wanted: str) -> bool:
    """Tell whether a version is one of those; of the operators, what ours asks for uses these."""
    have = _numbers(version)
    for operator, limit in re.findall(r"(>=|<)([\d.]+)", wanted):
        bound = _numbers(limit)
        if not (have >= bound if operator == ">=" else have < bound):
            return False
    return True


def _compared(name: str, version: str, wanted: str) -> Finding:
    if satisfies(version, wanted):
        return ok(name, version)
    return fail(name, version, f"install {wanted.replace(',', ', ')}")


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without what follows it."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found is not None else ()


# What can be looked at whatever the settings say, and what cannot.
INDEPENDENT = (
    ("python", check_python),
    ("trio", check_trio),
    ("sqlite", check_sqlite),
    ("open files", check_limits),
)
CHECKS = (
    ("settings", check_config),
    ("codex", check_codex),
)
