"""Owns how much of a supervisor's time and memory its clients may take."""

from attrs import frozen

__all__ = ["Limits"]


@frozen(kw_only=True)
class Limits:
    """What one process spends on its clients. Sizes are bytes, times seconds.

    Attributes:
        clients: Connections at a time.
        line: The longest request.
        in_flight: Requests of one connection that are worked on at a time; more wait unread.
        outbox: Documents that wait to be read by one client; beyond it notes are left out.
        write_timeout: How long a client may read nothing of what waits for it.
    """

    clients: int = 128
    line: int = 2**20
    in_flight: int = 16
    outbox: int = 256
    write_timeout: float = 10.0
