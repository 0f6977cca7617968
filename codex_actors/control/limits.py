"""Owns how much of a supervisor's time and memory its clients may take. Pure."""

from attrs import frozen

from codex_actors.control.jsonrpc import MAX_REQUEST

__all__ = ["Limits"]


@frozen(kw_only=True)
class Limits:
    """What one process spends on its clients. Sizes are bytes, times seconds.

    Attributes:
        clients: Connections at a time.
        line: The longest request; and how much of what waits to be worked on is kept.
        in_flight: Requests of one connection that are worked on at a time.
        waiting: Requests of one connection that are read and wait for that; more stay unread.
        outbox: Notes that wait to be read by one client; beyond it notes are left out.
        outbox_bytes: Of what waits to be read by one client: beyond it notes are left out, and no
            further answer is made.
        write_timeout: How long a client may read nothing of what waits for it.
    """

    clients: int = 128
    line: int = MAX_REQUEST
    in_flight: int = 16
    waiting: int = 64
    outbox: int = 2048
    outbox_bytes: int = 2 * 2**20
    write_timeout: float = 10.0
