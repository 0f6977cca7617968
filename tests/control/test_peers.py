"""Who is at the other end of a socket."""

import os
import socket
import struct

from codex_actors.control.peers import Peer, peer_of


def test_the_kernel_tells_who_is_there() -> None:
    """This user, this process, at both ends."""
    one, other = socket.socketpair(socket.AF_UNIX)

    with one, other:
        found = [peer_of(one), peer_of(other)]

    assert found == [Peer(os.geteuid(), os.getpid())] * 2


def test_what_macos_tells_is_understood() -> None:
    """`struct xucred` is asked for by its size, the process by another option."""

    class Connected:
        def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
            answers = {1: struct.pack("=IIh2x16I", 0, 501, 1, *range(16)), 2: struct.pack("i", 77)}
            assert (level, buflen) == (0, len(answers[optname]))
            return answers[optname]

    assert peer_of(Connected(), platform="darwin") == Peer(501, 77)
