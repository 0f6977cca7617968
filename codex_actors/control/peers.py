"""Owns the question who is at the other end of a unix socket.

Invariant: the answer is the kernel's, not the peer's.
"""

import socket
import struct
import sys
from typing import Protocol

from attrs import frozen

__all__ = ["Peer", "peer_of"]

# struct ucred: pid, uid, gid.
_UCRED = struct.Struct("iII")
# macOS, sys/un.h and sys/ucred.h: the level and option, and struct xucred, of which the beginning
# is read: version and uid.
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_XUCRED_SIZE = 76
_XUCRED = struct.Struct("II")
_LOCAL_PEERPID = 2
_PID = struct.Struct("i")


@frozen
class Peer:
    """Who is at the other end.

    Attributes:
        uid: The user, when the socket was connected or began to listen.
        pid: The process, None where the system does not tell.
    """

    uid: int
    pid: int | None


class _Socket(Protocol):
    """A socket of the standard library, or of Trio."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


def peer_of(connected: _Socket, *, platform: str = sys.platform) -> Peer:
    """Return who is at the other end.

    Raises:
        OSError: The system does not tell: there is nobody any more.
    """
    if platform == "darwin":
        data = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_SIZE)
        _version, uid = _XUCRED.unpack_from(data)
        (pid,) = _PID.unpack(connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size))
        return Peer(uid, pid or None)
    data = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _gid = _UCRED.unpack(data)
    return Peer(uid, pid or None)
