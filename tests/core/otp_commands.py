"""Random trees, and random things to do to them, for the property test."""

from typing import TypeAlias

from attrs import frozen
from hypothesis import strategies as st
from otp_world import Group, Restart, Strategy, Worker


@frozen
class Die:
    """One worker, or two at the same moment, ends by itself."""

    deaths: tuple[tuple[str, bool], ...]


@frozen
class Fail:
    """The next starts of a worker fail."""

    name: str
    times: int


@frozen
class Ignore:
    """The next start of a worker raises `IgnoreChild`."""

    name: str


@frozen
class Administer:
    """An administrative call."""

    supervisor: str
    verb: str
    child: Worker | Group


@frozen
class Pass:
    """Time passes."""

    seconds: int


Command: TypeAlias = Die | Fail | Ignore | Administer | Pass

_RESTARTS: st.SearchStrategy[Restart] = st.sampled_from(("permanent", "transient", "temporary"))
_STRATEGIES: st.SearchStrategy[Strategy] = st.sampled_from(
    ("one_for_one", "one_for_all", "rest_for_one")
)
_VERBS = st.sampled_from(("start_child", "terminate_child", "restart_child", "delete_child"))


@st.composite
def trees(draw: st.DrawFn, name: str = "root", prefix: str = "", depth: int = 2) -> Group:
    """A supervisor, with workers and supervisors under it."""
    children: list[Worker | Group] = []
    for index in range(draw(st.integers(2, 4))):
        child = f"{prefix}{'abcd'[index]}"
        if depth > 0 and draw(st.integers(0, 3)) == 0:
            children.append(draw(trees(child, child, depth - 1)))
        else:
            children.append(Worker(child, draw(_RESTARTS)))
    return Group(
        name,
        tuple(children),
        strategy=draw(_STRATEGIES),
        max_restarts=draw(st.sampled_from((3, 2, 1, 0, 9))),
        restart=draw(_RESTARTS),
    )


def _all(group: Group) -> list[tuple[str, Worker | Group]]:
    """Every child below, with the name of its supervisor."""
    found: list[tuple[str, Worker | Group]] = []
    for child in group.children:
        found.append((group.name, child))
        if isinstance(child, Group):
            found += _all(child)
    return found


@st.composite
def runs(draw: st.DrawFn) -> tuple[Group, list[Command], int]:
    """A tree, what is done to it, and how many checkpoints starts and ends take."""
    tree = draw(trees())
    children = _all(tree)
    supervisors = [tree.name, *(child.name for _, child in children if isinstance(child, Group))]
    workers = [(above, child) for above, child in children if isinstance(child, Worker)]
    late = [(draw(st.sampled_from(supervisors)), Worker(n, draw(_RESTARTS))) for n in ("n0", "n1")]
    workers += late  # who are not there at first
    death = st.tuples(st.sampled_from([worker.name for _, worker in workers]), st.booleans())
    name = st.sampled_from([worker.name for _, worker in workers])
    command: st.SearchStrategy[Command] = st.one_of(
        death.map(lambda one: Die((one,))),
        st.tuples(death, death).map(Die),
        st.builds(Fail, name, st.integers(1, 3)),
        st.builds(Ignore, name),
        st.tuples(st.sampled_from(children + late), _VERBS).map(
            lambda drawn: Administer(drawn[0][0], drawn[1], drawn[0][1])
        ),
        st.sampled_from((5, 2, 3)).map(Pass),
    )
    return tree, draw(st.lists(command, min_size=4, max_size=20)), draw(st.integers(0, 2))
