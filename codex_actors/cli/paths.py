"""How a path on the command line is told to another process, which is to find the same file there.

Invariant: a path that means something of this process (`/dev/stdin`, `/proc/self/fd/3`) is never
told as it is: a supervisor would take its own. Must not know what is done with the file.
"""

import os
from pathlib import Path

__all__ = ["path_for_others"]

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_OWN = ("/dev/fd/", "/proc/self/", "/proc/thread-self/")


def path_for_others(path: Path) -> str:
    """Return an absolute path that names the same file in every process of this user.

    What this process has open and nobody else can name is a path below `/proc`, good for as long as
    this process lives.
    """
    text = str(path.absolute())
    if text not in _STREAMS and not text.startswith(_OWN):
        return text
    real = os.path.realpath(text)
    if _is_same(real, text):
        return real
    folder, name = os.path.split(text)
    if text in _STREAMS or folder == "/dev/fd":
        return f"/proc/{os.getpid()}/fd/{_STREAMS.get(text, name)}"
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - text, as it came


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
