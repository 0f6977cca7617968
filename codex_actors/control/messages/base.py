"""Owns what all requests have in common: their form on the wire.

Invariant: JSON has types of its own, so nothing is coerced; no limit is the word "infinity". Pure;
must not know what is asked.
"""

import math
from typing import Any, ClassVar, TypeVar, cast

from attrs import frozen
from cattrs import ClassValidationError, Converter, transform_error

from codex_actors.control.errors import InvalidParams

__all__ = ["Request", "structure"]

INFINITY = "infinity"
_INFINITIES = {INFINITY: math.inf, f"-{INFINITY}": -math.inf}  # the handlers refuse the second

R = TypeVar("R", bound="Request")


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

    def check(self) -> None:
        """Refuse what the types of the parameters cannot.

        Raises:
            InvalidParams: They do not go together.
        """


def structure(params: dict[str, Any], kind: type[R]) -> R:
    """Return the request of a kind that has these parameters.

    Raises:
        InvalidParams: They do not fit; the message names the field.
    """
    try:
        request = _wire.structure(params, kind)
    except ClassValidationError as error:
        raise InvalidParams("; ".join(transform_error(error, path="params"))) from None
    request.check()
    return request


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
