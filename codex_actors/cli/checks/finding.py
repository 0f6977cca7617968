"""What a check found."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from attrs import frozen


class Status(StrEnum):
    """How bad it is: a warning may become a failure, a failure is one now."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        status: How it is.
        found: What was seen.
        advice: What to do about it; empty when it is ok.
    """

    name: str
    status: Status
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return JSON-ready data."""
        return {
            "name": self.name,
            "status": self.status.value,
            "found": self.found,
            "advice": self.advice,
        }


Check = Callable[[], Iterable[Finding]]


def ok(name: str, found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, advice: str) -> Finding:
    """Return a finding that may become a failure."""
    return Finding(name, Status.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Finding:
    """Return a finding by which something does not work."""
    return Finding(name, Status.FAIL, found, advice)


def carry_out(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Give what the checks find; what cannot be looked at is a failure, too.

    Args:
        checks: what each looks at, and the check.
    """
    for name, check in checks:
        try:
            yield from check()
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            yield fail(
                name,
                f"cannot be looked at: {error.strerror or error}{where}",
                "give this user access, or name another place",
            )
