"""What makes the value of a spec's field valid; each refusal is a `SpecError` naming it.

Not every caller has a type checker, and specs are read from configuration files too.
"""

import enum
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

from .errors import SpecError

if TYPE_CHECKING:
    from attrs import Attribute

E = TypeVar("E", bound=enum.Enum)


def choice(kind: type[E], name: str, value: E | str) -> E:
    """A member of an enum, given itself or by its lower-case name."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise SpecError(f"{name}: {value!r} is unknown; choose one of {known}") from None


def check_number(name: str, value: object, *, least: float, exclusive: bool = False) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and math.isnan(value))
    ):
        raise SpecError(f"{name}: {value!r} is not a number")
    if value < least or (exclusive and value == least):
        bound = "more than" if exclusive else "at least"
        raise SpecError(f"{name}: {value!r} must be {bound} {least:g}")


Validator: TypeAlias = "Callable[[Any, Attribute[Any], Any], None]"


def seconds(*, exclusive: bool = False) -> Validator:
    """A validator for a time in seconds."""

    def validate(_spec: object, attribute: "Attribute[Any]", value: object) -> None:
        check_number(attribute.name, value, least=0, exclusive=exclusive)

    return validate


def count(*, infinite: bool = False) -> Validator:
    """A validator for a whole number from 0, or infinity."""

    def validate(_spec: object, attribute: "Attribute[Any]", value: object) -> None:
        check_number(attribute.name, value, least=0)
        if not isinstance(value, int) and not (infinite and value == math.inf):
            raise SpecError(f"{attribute.name}: {value!r} must be a whole number")

    return validate


def instance(kind: type) -> Validator:
    """A validator for a type, for callers without a type checker."""

    def validate(_spec: object, attribute: "Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            raise SpecError(f"{attribute.name}: {value!r} is not a {kind.__name__}")

    return validate


def elements(name: str, value: Any) -> tuple[Any, ...]:
    """The elements of any iterable but a string, which would come apart into letters."""
    if _is_a(value, str | bytes) or not _is_a(value, Iterable):
        raise SpecError(f"{name}: {value!r} is not a sequence")
    return tuple(value)


@final
class Keywords(Mapping[str, Any]):
    """Keyword arguments that cannot be changed; hashable when the values are."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def keywords(name: str, value: Any) -> Keywords:
    """A copy of a mapping whose keys can be keywords."""
    if not _is_a(value, Mapping):
        raise SpecError(f"{name}: {value!r} is not a mapping")
    for key in value:
        if not _is_a(key, str):
            raise SpecError(f"{name}: the key {key!r} is not a string")
    return Keywords(value)


def _is_a(value: object, kind: Any) -> bool:
    """`isinstance` that does not narrow: `Any` stays `Any` to both type checkers."""
    return isinstance(value, kind)
