"""Requests that fail: which are repeated, when, how often, and what the caller is told."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve
from files_support import tree_of
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock
from uploads_support import DATA, PATIENT, Bytes, Told, in_parts, opened, whole

from codex_actors.files import (
    InvalidConfig,
    Progress,
    Retry,
    UploadError,
    UploadOutcomeUnknown,
    UploadRejected,
    UploadTimeout,
)
from codex_actors.files.retry import pause
from codex_actors.files.targets.protocol import (
    Body,
    OutcomeUnknown,
    Outgoing,
    Part,
    Receipt,
    Refused,
    Remote,
    Retryable,
)
from codex_actors.testing import Lost, ScriptedTarget, Stall

BUSY = Retryable("the server is busy", status=503)
LOST = OutcomeUnknown("the connection was reset")

# Where a request can fail, with what brings it there.
STEPS = {
    "begin": in_parts,
    "part 2": in_parts,
    "complete": in_parts,
    "whole": whole,
}
CALLED = {"begin": "begin", "part 2": "part 3 of 5", "complete": "complete", "whole": "send"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.mark.parametrize("step", STEPS)
async def test_only_what_failed_is_repeated(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """After pauses that double; the file arrives once."""
    # F53
    target = STEPS[step]()
    target.script(step, BUSY, BUSY)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert target.files == {uploaded.file_id: DATA}
        assert target.log.count(step) == 3
        assert len(target.log) == len(set(target.log)) + 2
        assert trio.current_time() == pytest.approx(1.0 + 2.0)


async def test_pauses_grow_with_full_jitter(root: Path, autojump_clock: MockClock) -> None:
    """Each is drawn from nothing to a bound that doubles up to the cap."""
    # F53
    target = in_parts()
    target.script("begin", *[BUSY] * 5)
    drawn = iter([1.0, 0.5, 0.0, 1.0, 0.25])
    told = Told()
    async with opened(root, told=told, draw=lambda: next(drawn)) as files:
        retry = Retry(attempts=6, base=1.0, cap=5.0)

        await files.upload(DATA, target=target, name="x", retry=retry)

        delays = [event.measurements["delay"] for event in told.named("retry")]
        assert delays == [1.0, 1.0, 0.0, 5.0, 1.25]
        attempts = [event.measurements["attempt"] for event in told.named("retry")]
        assert attempts == [2, 3, 4, 5, 6]


async def test_a_retry_is_told_and_shows_in_the_progress(
    root: Path, autojump_clock: MockClock
) -> None:
    """With the step, the status and what the server said; nothing goes backwards."""
    target = in_parts()
    target.script("part 1", BUSY)
    told, progress = Told(), list[Progress]()
    async with opened(root, told=told) as files:
        await files.upload(DATA, target=target, name="x", retry=PATIENT, progress=progress.append)

        (event,) = told.named("retry")
        assert event.metadata["step"] == "part 2 of 5"
        assert event.metadata["status"] == 503
        assert event.metadata["reason"] == "the server is busy"
        assert progress[-1].attempt == 2
        amounts = [each.acknowledged for each in progress]
        assert amounts == sorted(amounts)


@pytest.mark.parametrize("step", STEPS)
async def test_a_request_that_keeps_failing_ends_the_upload(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """The error says what was tried, how often, what the server said; nothing is left."""
    target = STEPS[step]()
    target.script(step, *[BUSY] * 3)
    told = Told()
    async with opened(root, told=told) as files:
        before = tree_of(root)
        with pytest.raises(UploadError) as raised:
            await files.upload(DATA, target=target, name="x.bin", retry=PATIENT)

        error = raised.value
        assert (error.step, error.attempts, error.status) == (CALLED[step], 3, 503)
        assert error.can_retry
        assert error.server_message == "the server is busy"
        assert "'x.bin'" in str(error)
        assert "3 times" in str(error)
        assert target.log.count(step) == 3
        assert (target.files, target.pending, target.sessions) == ({}, {}, 0)
        assert tree_of(root) == before
        assert told.names()[-1] == "exception"


@pytest.mark.parametrize("step", STEPS)
async def test_a_request_that_is_refused_is_not_repeated(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """Nothing is left at the target."""
    # F55
    target = STEPS[step]()
    target.script(step, Refused("no such purpose", status=400))
    async with opened(root) as files:
        with pytest.raises(UploadRejected, match="no such purpose") as raised:
            await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert not raised.value.can_retry
        assert raised.value.status == 400
        assert target.log.count(step) == 1
        assert (target.files, target.pending) == ({}, {})
        assert trio.current_time() == 0.0


@pytest.mark.parametrize("asked", [5.0, 120.0])
async def test_the_server_decides_how_long_to_wait_at_least(
    root: Path, autojump_clock: MockClock, asked: float
) -> None:
    """Longer than the pause would have been."""
    # F54
    target = in_parts()
    target.script("part 1", Retryable("slow down", status=429, retry_after=asked))
    async with opened(root) as files:
        await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert trio.current_time() == pytest.approx(asked)
        assert len(target.files) == 1


async def test_a_server_that_asks_for_too_long_a_wait_ends_the_upload_at_once(
    root: Path, autojump_clock: MockClock
) -> None:
    """Without sleeping; the error says how long it wanted."""
    # F54
    target = in_parts()
    target.script("part 1", Retryable("slow down", status=429, retry_after=121.0))
    async with opened(root) as files:
        with pytest.raises(UploadError, match="121 s") as raised:
            await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert (raised.value.attempts, raised.value.can_retry) == (1, True)
        assert trio.current_time() == 0.0
        assert target.pending == {}


@pytest.mark.parametrize("step", ["begin", "part 2"])
async def test_a_silent_server_is_asked_again(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """After the time of one attempt, and a pause."""
    # F57
    target = in_parts()
    target.script(step, Stall())
    async with opened(root) as files:
        await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert trio.current_time() == pytest.approx(10.0 + 1.0)
        assert len(target.files) == 1


@pytest.mark.parametrize("step", STEPS)
async def test_a_server_that_stays_silent_is_a_timeout(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """Of the step at which it fell silent."""
    # F57
    target = STEPS[step]()
    target.script(step, Stall(), Stall(), Stall())
    async with opened(root) as files:
        with pytest.raises(UploadError, match="no answer within 10 s") as raised:
            await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert (raised.value.step, raised.value.attempts) == (CALLED[step], 3)
        assert trio.current_time() == pytest.approx(3 * 10.0 + 1.0 + 2.0)
        assert (target.files, target.pending) == ({}, {})


async def test_a_slow_server_is_not_a_silent_one(root: Path, autojump_clock: MockClock) -> None:
    """A part may take much longer than one attempt may be silent."""
    # F58

    class Slow(ScriptedTarget):
        """Takes a chunk of a part now and then."""

        async def send_part(
            self, file: Outgoing, remote: Remote, part: Part, body: Body
        ) -> Receipt:
            """Take them, and have the part by then."""
            data = bytearray()
            async for chunk in body:
                await trio.sleep(9.0)
                data += chunk
            return await super().send_part(file, remote, part, Bytes(bytes(data)))

    target = Slow(in_parts(part_size=1 << 20).limits)
    data = bytes(1 << 20)
    async with opened(root) as files:
        uploaded = await files.upload(data, target=target, name="x", retry=PATIENT)

        assert trio.current_time() == pytest.approx(36.0)
        assert target.files == {uploaded.file_id: data}


async def test_the_deadline_counts_pauses_too(root: Path, autojump_clock: MockClock) -> None:
    """A retry that would succeed later does not."""
    # F57
    target = in_parts()
    target.script("begin", Retryable("slow down", retry_after=30.0))
    async with opened(root) as files:
        with pytest.raises(UploadTimeout, match="deadline of 10 s"):
            await files.upload(DATA, target=target, name="x", retry=Retry(deadline=10.0))

        assert trio.current_time() == pytest.approx(10.0)


async def test_siblings_of_a_failed_part_end_before_the_upload_is_given_up(
    root: Path, autojump_clock: MockClock
) -> None:
    """The abort meets no part in flight."""
    # F61
    target = in_parts(parallel=4)
    in_flight: list[int] = []

    class Watched(ScriptedTarget):
        """Notes what is in flight when it is given up."""

        async def abort(self, file: Outgoing, remote: Remote) -> None:
            """Note it."""
            in_flight.append(self.in_flight)
            await super().abort(file, remote)

    target = Watched(target.limits)
    target.script("part 0", Refused("broken", status=400))
    target.script("part", *[Stall(5.0) for _ in range(3)])
    async with opened(root) as files:
        with pytest.raises(UploadRejected, match="broken"):
            await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert in_flight == [0]
        assert target.log[-1] == "abort"
        assert target.pending == {}
        assert trio.current_time() == 0.0


@pytest.mark.parametrize("step", ["complete", "whole"])
@pytest.mark.parametrize("answer", [Lost(LOST), Lost()])
async def test_a_lost_answer_is_settled_and_makes_no_second_file(
    root: Path, autojump_clock: MockClock, step: str, answer: Lost
) -> None:
    """The server is asked what became of it; it had taken effect."""
    # F63
    target = STEPS[step]()
    target.script(step, answer)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target, name="x", retry=PATIENT)
        again = await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert target.files == {uploaded.file_id: DATA}
        assert target.log.count(step) == 1
        assert again == uploaded


@pytest.mark.parametrize("step", ["complete", "whole"])
async def test_a_request_that_took_no_effect_is_repeated(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """As soon as the server has said so."""
    # F63
    target = STEPS[step]()
    target.script(step, LOST)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert target.log[-3:] == [step, "settle", step]
        assert target.files == {uploaded.file_id: DATA}


def _cannot_tell(target: ScriptedTarget) -> None:
    target.tells = False


def _does_not_answer(target: ScriptedTarget) -> None:
    target.script("settle", *[BUSY] * 3)


@pytest.mark.parametrize("step", ["complete", "whole"])
@pytest.mark.parametrize("spoil", [_cannot_tell, _does_not_answer])
async def test_what_nobody_can_tell_is_said_to_be_unknown(
    root: Path, autojump_clock: MockClock, step: str, spoil: Callable[[ScriptedTarget], None]
) -> None:
    """With the ids; it is not sent a second time, and the next upload is told nothing wrong."""
    # F63
    target = STEPS[step]()
    target.script(step, Lost(LOST))
    spoil(target)
    async with opened(root) as files:
        with pytest.raises(UploadOutcomeUnknown, match="connection was reset") as raised:
            await files.upload(DATA, target=target, name="x.bin", retry=PATIENT)

        error = raised.value
        assert error.ids["name"] == "x.bin"
        assert ("upload_id" in error.ids) is (step == "complete")
        assert not error.can_retry
        assert len(target.files) == 1
        assert target.log.count(step) == 1


async def test_an_upload_that_cannot_be_given_up_says_so(
    root: Path, autojump_clock: MockClock
) -> None:
    """The caller gets its own error; the event tells what may be left, and the call is bounded."""
    target = in_parts()
    target.script("part 0", Refused("broken", status=400))
    target.script("abort", Stall())
    told = Told()
    async with opened(root, told=told) as files:
        with pytest.raises(UploadRejected, match="broken"):
            await files.upload(DATA, target=target, name="x")

        (event,) = told.named("exception")
        assert "does not answer" in event.metadata["left"]
        assert trio.current_time() < 10.0


async def test_no_secret_shows_anywhere(root: Path, autojump_clock: MockClock) -> None:
    """Neither in events nor in errors: a signed URL stays in the process."""
    # F70
    target = in_parts()
    told = Told()

    class Signed(ScriptedTarget):
        """Gives out a signed URL."""

        async def begin(self, file: Outgoing) -> Remote:
            """Sign it."""
            return evolve(await super().begin(file), secret="https://x/?sig=SECRET")  # noqa: S106

    target = Signed(target.limits)
    target.script("part 3", BUSY, BUSY, BUSY)
    async with opened(root, told=told) as files:
        with pytest.raises(UploadError) as raised:
            await files.upload(DATA, target=target, name="x", retry=PATIENT)

        assert target.log[-1] == "abort"
        assert "SECRET" not in "".join(map(str, told.events))
        assert "SECRET" not in f"{raised.value!r}{raised.value}{raised.value.__cause__!r}"
        assert not any(
            b"SECRET" in path.read_bytes() for path in root.rglob("manifest*") if path.is_file()
        )


@given(
    failures=st.integers(1, 2000),
    drawn=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e6),
    base=st.floats(0, 1e3),
    cap=st.floats(0, 1e3),
)
def test_a_pause_is_within_its_bounds(
    failures: int, drawn: float, asked: float | None, base: float, cap: float
) -> None:
    """Never longer than the cap nor shorter than what was asked, and finite."""
    retry = Retry(attempts=1000, base=base, cap=cap)

    delay = pause(retry, failures, drawn, asked)

    if delay is None:
        assert failures >= 1000 or (asked or 0.0) > retry.retry_after_cap
    else:
        assert (asked or 0.0) <= delay <= max(asked or 0.0, cap)
        assert math.isfinite(delay)


@pytest.mark.parametrize(
    "settings",
    [
        {"attempts": 0},
        {"attempts": True},
        {"base": -1},
        {"cap": math.nan},
        {"attempt_timeout": 0},
        {"deadline": -1.0},
        {"retry_after_cap": "1"},
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, float]) -> None:
    """Each by its name."""
    with pytest.raises(InvalidConfig, match=f"Retry.{next(iter(settings))} is"):
        Retry(**settings)  # type: ignore[arg-type]  # that is the test
