"""Owns what a client may ask of a supervisor process: frozen classes, and their form on the wire.

Invariant: `parse_request(request.method, request.to_params())` equals the request; anything else
raises `InvalidParams`, which names the field. Pure; must not know sockets, trees or files.
"""

import math
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from attrs import field, frozen
from cattrs import ClassValidationError, Converter, transform_error

__all__ = [
    "Cancel",
    "Cleanup",
    "Drain",
    "Dump",
    "Events",
    "Exec",
    "Hello",
    "InvalidParams",
    "ListStaged",
    "Metrics",
    "Remove",
    "Request",
    "Reset",
    "RestartChild",
    "Show",
    "Shutdown",
    "Stage",
    "StartChild",
    "Status",
    "StopChild",
    "TargetChoice",
    "Tree",
    "UnknownMethod",
    "Upload",
    "Verify",
    "methods",
    "parse_request",
]

INFINITY = "infinity"
_INFINITIES = {INFINITY: math.inf, f"-{INFINITY}": -math.inf}  # the handlers refuse the second

R = TypeVar("R", bound="Request")


class UnknownMethod(Exception):
    """There is no such request."""


class InvalidParams(Exception):
    """The parameters of a request make no sense; the message names the first that does not."""


@frozen(kw_only=True)
class Request:
    """The base of all requests. Times are seconds, sizes bytes, paths absolute.

    Attributes:
        method: Its name on the wire.
    """

    method: ClassVar[str]

    def to_params(self) -> dict[str, Any]:
        """Return its parameters as JSON-ready data; what has its default is left out."""
        params: dict[str, Any] = _wire.unstructure(self)
        return params


# The process


@frozen(kw_only=True)
class Hello(Request):
    """Who is there: version, pid, state, staging directory, methods."""

    method = "process.hello"


@frozen(kw_only=True)
class Status(Request):
    """The state of the process, and the operations under way and lately ended."""

    method = "process.status"


@frozen(kw_only=True)
class Drain(Request):
    """Finish what was admitted, then end.

    Attributes:
        timeout: Seconds until what is not finished is cancelled; None for the process's setting.
    """

    method = "process.drain"
    timeout: float | None = None


@frozen(kw_only=True)
class Shutdown(Request):
    """End: every actor finishes the message in hand.

    Attributes:
        now: Cancel instead; cleanup still runs.
    """

    method = "process.shutdown"
    now: bool = False


@frozen(kw_only=True)
class Events(Request):
    """What has happened, the oldest first.

    Attributes:
        last: How many of those that are kept.
        after: Only those with a higher sequence number.
        kinds: Only those whose kind is one of these, or begins with one and a dot or underscore.
        path: Only those of this actor and of what is below it.
        follow: Go on with what happens, as notes, until cancelled.
    """

    method = "process.events"
    last: int | None = None
    after: int | None = None
    kinds: tuple[str, ...] = ()
    path: str | None = None
    follow: bool = False


@frozen(kw_only=True)
class Cancel(Request):
    """Give an operation up.

    Attributes:
        operation: Its number, as `Status` shows it.
    """

    method = "process.cancel"
    operation: int


@frozen(kw_only=True)
class Dump(Request):
    """Where the tasks stand: their stacks, without values.

    Attributes:
        path: Only those of this actor and of what is below it.
    """

    method = "process.dump"
    path: str | None = None


# The tree


@frozen(kw_only=True)
class Tree(Request):
    """A snapshot of an actor and all below it.

    Attributes:
        path: The actor; None for the root.
    """

    method = "tree.snapshot"
    path: str | None = None


@frozen(kw_only=True)
class RestartChild(Request):
    """Stop a child and start it again, at its place in the order.

    Attributes:
        path: The child.
    """

    method = "tree.restart"
    path: str


@frozen(kw_only=True)
class StopChild(Request):
    """Stop a child; its spec is kept.

    Attributes:
        path: The child.
    """

    method = "tree.stop"
    path: str


@frozen(kw_only=True)
class StartChild(Request):
    """Start a child that was stopped.

    Attributes:
        path: The child.
    """

    method = "tree.start"
    path: str


# The files


@frozen(kw_only=True)
class Stage(Request):
    """Stage one file; see `Files.stage`.

    Attributes:
        path: The file, absolute.
    """

    method = "files.stage"
    path: str
    name: str | None = None
    ttl: float | None = None
    persist: bool = False
    content_type: str | None = None
    verify: bool = False


@frozen(kw_only=True)
class ListStaged(Request):
    """All attachments, the least recently staged first."""

    method = "files.list"


@frozen(kw_only=True)
class Show(Request):
    """One attachment.

    Attributes:
        what: Its checksum, the beginning of it, or its name.
    """

    method = "files.show"
    what: str


@frozen(kw_only=True)
class TargetChoice:
    """Where an upload goes; what is None is taken from the environment of the process.

    Attributes:
        kind: "directory", "openai" or "codex".
        path: The directory, absolute.
        secret: The API key or the access token; never shown.
    """

    kind: str
    path: str | None = None
    base_url: str | None = None
    secret: str | None = field(default=None, repr=False)
    organization: str | None = None
    project: str | None = None
    account_id: str | None = None
    purpose: str | None = None
    part_size: int | None = None
    parallel: int | None = None
    expires_after: int | None = None


@frozen(kw_only=True)
class Upload(Request):
    """Upload one file; see `Files.upload`. Notes tell the progress.

    Attributes:
        path: The file, absolute; or
        what: an attachment, as of `Show`.
        name: Of a file that is no attachment.
        target: Where to.
        attempts: How often a request is tried.
        timeout: Seconds for all of it.
        verify: "quick" or "full".
        detach: Answer with the operation at once; it goes on when the client goes.
    """

    method = "files.upload"
    path: str | None = None
    what: str | None = None
    name: str | None = None
    content_type: str | None = None
    target: TargetChoice
    attempts: int | None = None
    timeout: float | None = None
    verify: str = "quick"
    detach: bool = False


@frozen(kw_only=True)
class Exec(Request):
    """Stage files and run one codex turn with them. Notes tell the events of the turn.

    Attributes:
        prompt: What to ask.
        attach: The files, absolute, in the order of their delivery.
        cwd: The agent's working directory, absolute.
        env: Environment variables, merged over those of the process; never shown.
        codex: The codex executable.
        timeout: Seconds for the turn.
        resume: The thread to go on with.
    """

    method = "files.exec"
    prompt: str = field(repr=False)
    attach: tuple[str, ...] = ()
    cwd: str | None = None
    model: str | None = None
    sandbox: str | None = None
    config: dict[str, Any] = field(factory=dict[str, Any], repr=False)
    ephemeral: bool = False
    env: dict[str, str] | None = field(default=None, repr=False)
    codex: str | None = None
    timeout: float | None = None
    resume: str | None = None


@frozen(kw_only=True)
class Remove(Request):
    """Remove one attachment.

    Attributes:
        what: As of `Show`.
    """

    method = "files.remove"
    what: str


@frozen(kw_only=True)
class Cleanup(Request):
    """Remove what has expired.

    Attributes:
        dry_run: Only tell what would go.
    """

    method = "files.cleanup"
    dry_run: bool = False


@frozen(kw_only=True)
class Verify(Request):
    """Read everything again."""

    method = "files.verify"


@frozen(kw_only=True)
class Reset(Request):
    """Remove every attachment.

    Attributes:
        force: Also those in use.
    """

    method = "files.reset"
    force: bool = False


@frozen(kw_only=True)
class Metrics(Request):
    """What is staged and under way."""

    method = "files.metrics"


REQUESTS: dict[str, type[Request]] = {
    kind.method: kind
    for kind in (
        *(Hello, Status, Drain, Shutdown, Events, Cancel, Dump),
        *(Tree, RestartChild, StopChild, StartChild),
        *(Stage, ListStaged, Show, Upload, Exec, Remove, Cleanup, Verify, Reset, Metrics),
    )
}


def methods() -> tuple[str, ...]:
    """Return the names of all requests."""
    return tuple(REQUESTS)


def parse_request(method: str, params: object) -> Request:
    """Return the request that a client sent.

    Args:
        method: Its name.
        params: Its parameters by name; None for none.

    Raises:
        UnknownMethod: There is none of that name.
        InvalidParams: They do not fit; the message names the field.
    """
    kind = REQUESTS.get(method)
    if kind is None:
        raise UnknownMethod(f"there is no method {method!r}")
    if params is not None and not isinstance(params, dict):
        raise InvalidParams("params: give an object: parameters have names here")
    try:
        request = _wire.structure(cast("dict[str, Any]", params or {}), kind)
    except ClassValidationError as error:
        raise InvalidParams("; ".join(transform_error(error, path="params"))) from None
    _check(request)
    return request


def _check(request: Request) -> None:
    """Refuse what types cannot: a path that is relative to nobody knows what."""
    for name in ("path", "cwd", "codex"):
        value = getattr(request, name, None)
        is_file = request.method.startswith("files.")
        if is_file and value is not None and not Path(value).is_absolute():
            raise InvalidParams(f"params.{name}: give an absolute path, not {value!r}")
    if isinstance(request, Upload) and (request.path is None) == (request.what is None):
        raise InvalidParams("params: give one of path and what")


def _strict(kind: type[Any]) -> Any:
    """Take a value of a type as it is: JSON has types of its own, nothing is coerced."""

    def structure(value: Any, _type: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    return structure


def _texts(value: Any, _type: Any) -> tuple[str, ...]:
    """A list of texts, and not a text, whose letters Python would take."""
    if type(value) is not list:
        raise TypeError("expected a list of str")
    items = cast("list[object]", value)
    if not all(type(item) is str for item in items):
        raise TypeError("expected a list of str")
    return tuple(cast("list[str]", items))


def _number(value: Any, _type: Any) -> float:
    if type(value) is str and value in _INFINITIES:
        return _INFINITIES[value]
    if type(value) not in {int, float}:
        raise TypeError(f"expected a number of seconds or {INFINITY!r}")
    return float(value)


def _make_wire() -> Converter:
    wire = Converter(forbid_extra_keys=True, omit_if_default=True)
    for kind in (str, int, bool):
        wire.register_structure_hook(kind, _strict(kind))
    wire.register_structure_hook(float, _number)
    wire.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _texts)
    words = {number: word for word, number in _INFINITIES.items()}
    wire.register_unstructure_hook(float, lambda value: words.get(value, value))
    return wire


_wire = _make_wire()
