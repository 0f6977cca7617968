"""Owns how a tree looks as text: one line for each child, with branches.

Invariant: pure; the lines are in start order. Must not know where they are printed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from codex_actors.telemetry.text import one_line

__all__ = ["describe_child", "draw_tree"]

Node = Mapping[str, Any]


def draw_tree(snapshot: Node, name: str) -> list[str]:
    """Return the lines of a tree.

    Args:
        snapshot: What `Snapshot.to_dict` gave, of the root.
        name: What the root is called.
    """
    return [f"{one_line(name)}{describe_child(snapshot)}", *_below(snapshot, "")]


def describe_child(node: Node) -> str:
    """Return what is said of one child after its name; begins with a space."""
    facts = [node["state"]]
    if node["uptime"] is not None:
        facts.append(f"up {node['uptime']:.0f} s")
    if node["restarts"]:
        facts.append(f"restarted {node['restarts']} times")
    if node["mailbox"]:
        facts.append(f"{node['mailbox']} waiting")
    if node["in_hand"] is not None:
        facts.append(f"{one_line(node['in_hand'])} in hand for {node['in_hand_for']:.1f} s")
    if node["last_error"]:
        facts.append(f"last ended by {one_line(node['last_error'])}")
    return f"  ({', '.join(facts)})"


def _below(node: Node, margin: str) -> Iterator[str]:
    children = node["children"]
    for number, child in enumerate(children, 1):
        last = number == len(children)
        name = one_line(child["path"].rpartition("/")[2])
        yield f"{margin}{'└── ' if last else '├── '}{name}{describe_child(child)}"
        yield from _below(child, margin + ("    " if last else "│   "))
