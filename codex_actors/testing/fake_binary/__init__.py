"""The program behind the fake codex executable, both modes: `codex exec` and `codex app-server`.

Invariant: each module needs nothing but its siblings and the standard library (and Pillow, to look
at an image), so that a fake starts as quickly as the real one: the executable that `fake_codex`
writes loads this package by its path, outside of `codex_actors`, hence the relative imports. What
is printed is what codex-cli 0.163.0 was seen to print; a contract test runs sessions against both.
"""

from .main import run as run
