"""A stream of bytes becomes lines of bounded length."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from codex_actors.control.lines import Lines, LineTooLong

LIMIT = 6

streams = st.lists(st.sampled_from([b"\n", b"a", b" ", b"\0", b"bcd", b"0123456", b"\xff\n"])).map(
    b"".join
)


@given(streams, st.lists(st.integers(0, 9)))
def test_the_cut_of_the_stream_does_not_matter(stream: bytes, cuts: list[int]) -> None:
    """What comes out is what splitting the whole gives; a long line is told of before it ends."""
    lines = Lines(LIMIT)
    chunks: list[bytes] = []
    rest = stream
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]

    found = [line for chunk in [*chunks, rest] for line in lines.feed(chunk)]

    *ended, last = stream.split(b"\n")
    expected = [None if len(line) > LIMIT else line.strip(b" ") for line in ended]
    expected += [None] if len(last) > LIMIT else []
    got = [None if isinstance(line, LineTooLong) else line for line in found]
    assert got == [line for line in expected if line != b""]


def test_a_line_without_end_takes_no_memory() -> None:
    """A hundred megabytes are told of once, and dropped as they come."""
    lines = Lines(2**16)
    chunk = b"x" * 2**16

    tracemalloc.start()
    try:
        found = [line for _ in range(1_600) for line in lines.feed(chunk)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [type(line) for line in found] == [LineTooLong]
    assert peak < 2**20
    assert lines.feed(b"rest\nnext\n") == [b"next"]
