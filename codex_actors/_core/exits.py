"""Why a child ended: the reason that monitors, refs and supervisors share.

An `ExitReason` may carry the live exception of a crash.  Whoever keeps a reason
longer than the restart window keeps `as_text()` instead, because a live
exception keeps its frames, and with them everything the dead child touched.
"""

import enum

from attrs import evolve, frozen

_LONGEST = 2_000


class ExitKind(enum.Enum):
    """The four ways to end; `KILLED` and `CRASH` are abnormal."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    CRASH = "crash"


@frozen
class ExitReason:
    """Why one incarnation of a child ended.

    Args:
        kind: the way it ended.
        error: the exception of a crash, as long as it is kept alive.
        detail: one line of text, for people.
    """

    kind: ExitKind
    error: BaseException | None = None
    detail: str | None = None

    @property
    def abnormal(self) -> bool:
        """Whether a transient child that ended so is restarted."""
        return self.kind in {ExitKind.KILLED, ExitKind.CRASH}

    def as_text(self) -> "ExitReason":
        """The same reason without the live exception, its text as `detail`."""
        if self.error is None:
            return self
        return evolve(self, error=None, detail=self.detail or describe(self.error))

    def __str__(self) -> str:
        detail = self.detail or (describe(self.error) if self.error is not None else None)
        return f"{self.kind.value}: {detail}" if detail else self.kind.value


def describe(error: BaseException) -> str:
    """One line for an exception: its type, and its message when it has one.

    A stranger's `__str__` that raises must not break the report of a crash; nor does one that
    holds a whole document fill the memory of those who keep reports.
    """
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - any failure means: there is no text
        return name
    text = " ".join(said[:_LONGEST].split())
    if len(said) > _LONGEST:
        text += f" [... {len(said) - _LONGEST:,} more characters]"
    return f"{name}: {text}" if text else name


NORMAL = ExitReason(ExitKind.NORMAL)
SHUTDOWN = ExitReason(ExitKind.SHUTDOWN)
KILLED = ExitReason(ExitKind.KILLED)
