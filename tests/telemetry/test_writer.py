"""The way of lines to a descriptor that may not be read."""

import contextlib
import os
import re
from collections.abc import Iterator

import pytest

from codex_actors.telemetry.writer import LineWriter

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe, closed at the end."""
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def _read_all(reader: int, writer: int) -> str:
    os.close(writer)
    with os.fdopen(reader, "rb", closefd=False) as stream:
        return stream.read().decode()


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    """What was written before the end is there after it, whole and in order."""
    reader, descriptor = pipe
    lines = [f"line {number}\n" for number in range(1_000)]

    with LineWriter(descriptor) as writer:
        for line in lines:
            writer.write(line)

    assert _read_all(reader, descriptor) == "".join(lines)


def test_a_reader_that_does_not_read_costs_lines_not_time(pipe: Pipe) -> None:
    """Ten thousand lines into a full pipe: a bounded queue, and a count of what is lost."""
    reader, descriptor = pipe
    os.set_blocking(reader, False)
    line = "x" * 99 + "\n"
    writer = LineWriter(descriptor, capacity=100_000)

    for _ in range(10_000):
        writer.write(line)
    assert not writer.flush(0.05)
    taken = b""
    while not writer.flush(0.05):
        with contextlib.suppress(BlockingIOError):
            taken += os.read(reader, 1 << 20)
    writer.write("the last\n")
    assert writer.close(5)

    text = taken.decode() + _read_all(reader, descriptor)
    # Told once for each time that there was room again.
    lost = sum(map(int, re.findall(r"\[(\d+) lines", text)))
    assert text.count(line) + lost == 10_000
    assert lost > 8_000
    assert text.endswith("the last\n")


def test_what_a_closing_loses_is_bounded_in_time(pipe: Pipe) -> None:
    """A full pipe at the end: so many seconds, and no more."""
    _, descriptor = pipe
    writer = LineWriter(descriptor)
    writer.write("x" * 1_000_000)

    assert not writer.close(0.05)


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    """Nobody is left to tell: what is written goes nowhere, and nothing waits for it."""
    reader, descriptor = pipe
    os.close(reader)
    writer = LineWriter(descriptor)

    writer.write("one\n")
    assert not writer.flush(60)
    writer.write("two\n")

    assert not writer.close(60)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: Pipe) -> None:
    """Who started us may have made the pipe non-blocking: a full one is waited for."""
    reader, descriptor = pipe
    os.set_blocking(descriptor, False)
    writer = LineWriter(descriptor)
    text = "".join(f"{number}\n" for number in range(50_000))

    writer.write(text)
    taken = b""
    while len(taken) < len(text):
        taken += os.read(reader, 1 << 16)

    assert writer.close(5)
    assert taken.decode() == text


def test_a_status_line_stays_last(pipe: Pipe) -> None:
    """It is erased before a line, and stands after it; at the end it is gone."""
    reader, descriptor = pipe
    writer = LineWriter(descriptor)

    writer.show("30 s left")
    assert writer.flush(5)
    writer.write("a line\n")
    assert writer.flush(5)
    assert writer.close(5)

    erase = "\r\x1b[K"
    assert _read_all(reader, descriptor) == f"30 s left{erase}a line\n30 s left{erase}"


def test_lone_surrogates_and_the_like_are_written(pipe: Pipe) -> None:
    """A file name that is no UTF-8 does not end the log."""
    reader, descriptor = pipe

    with LineWriter(descriptor) as writer:
        writer.write("\udcff\n")

    assert _read_all(reader, descriptor) == "\\udcff\n"
