"""What waits to be read by one client is bounded, and nothing that matters is dropped."""

import trio
import trio.testing

from codex_actors.control.outbox import Outbox


async def test_notes_that_find_no_room_are_refused_and_answers_never() -> None:
    """By their number, and by their bytes."""
    few, small = Outbox(notes=2, room=100), Outbox(notes=100, room=4)

    by_number = [few.put_note(b"n\n") for _ in range(3)]
    by_size = [small.put_note(b"n\n") for _ in range(3)]
    for outbox in (few, small):
        outbox.put(b"answer\n")

    assert by_number == by_size == [True, True, False]
    assert await few.take(100) == await small.take(100) == b"n\nn\nanswer\n"


async def test_lines_are_taken_in_order_about_a_piece_at_a_time() -> None:
    """It counts as empty only when what was taken last is written, too."""
    outbox = Outbox(notes=9, room=100)
    for line in (b"a\n", b"b\n", b"c\n"):
        outbox.put(line)

    first, second = await outbox.take(3), await outbox.take(3)
    is_written = outbox.is_empty
    outbox.close()
    end = await outbox.take(3)

    assert (first, second, end) == (b"a\nb\n", b"c\n", None)
    assert (is_written, outbox.is_empty) == (False, True)


async def test_answers_wait_to_be_made_until_there_is_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Room is what is below the bound when something has been taken."""
    outbox = Outbox(notes=9, room=4)
    outbox.put(b"long one\n")
    waited: list[float] = []

    async def make() -> None:
        await outbox.wait_room()
        waited.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(make)
        await trio.sleep(5)
        assert not waited
        await outbox.take(1)

    assert waited == [began + 5]
