"""A served socket answers as JSON-RPC 2.0 says, whatever becomes of a request."""

import weakref
from collections import Counter
from typing import Any

import pytest
import trio
from wire_support import Desk, request, serving, short_folder, stranger

from codex_actors.control.claim import claim_address
from codex_actors.control.errors import NotFound, RequestFailed
from codex_actors.control.limits import Limits
from codex_actors.control.server import serve
from codex_actors.control.session import Notify


def raising(error: BaseException) -> Any:
    """An answer that is an error."""

    def answer(_params: object, _notify: Notify) -> object:
        raise error

    return answer


async def test_requests_are_answered_side_by_side() -> None:
    """Each with its own id, none behind another; a notification gets no answer."""
    desk = Desk()
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(request("wait", 1), request("echo", "two", params=[1]))
        second = await client.hear()
        await client.send({"jsonrpc": "2.0", "method": "tell", "params": {}})
        null = await client.ask(id_=None)

    assert second == {"jsonrpc": "2.0", "id": "two", "result": {"params": [1]}}
    assert null == {"jsonrpc": "2.0", "id": None, "result": {"params": None}}
    assert desk.begun == {"wait": 1, "echo": 2, "tell": 1}
    assert desk.cancelled == {"wait": 1}


async def test_errors_are_answers() -> None:
    """With the code, the kind and the data of those that are foreseen, also out of a nursery."""
    failure = RequestFailed("no", -32099, "Kind", {"name": "a"})
    desk = Desk(
        foreseen=raising(failure),
        grouped=raising(ExceptionGroup("nursery", [ExceptionGroup("in it", [NotFound("who?")])])),
    )
    async with serving(desk.answer) as path, stranger(path) as client:
        foreseen = await client.ask("foreseen")
        grouped = await client.ask("grouped")

    assert foreseen["error"] == {
        "code": -32099,
        "message": "no",
        "data": {"kind": "Kind", "name": "a"},
    }
    assert (grouped["error"]["code"], grouped["error"]["message"]) == (-32003, "who?")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        RecursionError("secret"),
        MemoryError("secret"),
        ExceptionGroup("secret", [ValueError("secret"), NotFound("secret")]),
        trio.BrokenResourceError("secret"),
    ],
)
async def test_a_defect_is_told_by_its_class_and_reported(error: Exception) -> None:
    """Its text may hold anything; the connection goes on."""
    reports: list[str] = []
    desk = Desk(defect=raising(error))
    async with serving(desk.answer, reports=reports) as path, stranger(path) as client:
        answer = await client.ask("defect")
        after = await client.ask("echo")

    kind = type(error).__name__
    assert answer["error"]["code"] == -32603
    assert answer["error"]["data"] == {"kind": kind}
    assert "secret" not in str(answer)
    assert after["result"] == {"params": None}
    (report,) = reports
    assert kind in report
    assert "secret" in report


@pytest.mark.parametrize("result", [object(), float("nan"), {"a": {1: {2, 3}}}, {(1, 2): 3}])
async def test_an_answer_that_cannot_be_sent_is_a_defect(result: object) -> None:
    """Also the data of an error, also in a batch, also of one who cannot report it."""

    def answer_with(_params: object, _notify: Notify) -> object:
        return result

    desk = Desk(bad=answer_with, error=raising(RequestFailed("m", data={"x": result})))
    reports = Unwritable()
    async with serving(desk.answer, reports=reports) as path, stranger(path) as client:
        one = await client.ask("bad")
        two = await client.ask("error")
        await client.send([request("bad", 1), request("echo", 2)])
        both = await client.hear()

    assert [one["error"]["code"], two["error"]["code"]] == [-32603] * 2
    assert sorted("error" in each for each in both) == [False, True]
    assert reports.tried == 3


class Unwritable(list[str]):
    """Reports that cannot be written."""

    tried = 0

    def append(self, text: str) -> None:
        """Fail."""
        self.tried += 1
        raise ValueError(text)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
async def test_what_ends_a_process_passes(error: BaseException) -> None:
    """It is no defect of one request; beside others in a group, too."""
    desk = Desk(end=raising(BaseExceptionGroup("nursery", [ValueError("beside"), error])))
    reports: list[str] = []

    async def ask() -> None:
        async with serving(desk.answer, reports=reports) as path, stranger(path) as client:
            await client.send(request("end"))
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as raised:
        await ask()

    ended, rest = raised.value.split(type(error))
    assert ended is not None
    assert rest is None or rest.split(trio.Cancelled)[1] is None
    assert "beside" in reports[0]


async def test_a_batch_is_answered_as_one() -> None:
    """In any order, side by side, without what wants no answer; of notifications alone not."""
    desk = Desk()
    tell = {"jsonrpc": "2.0", "method": "tell"}
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send([tell, tell], [request("wait", 9), request(id_=1), tell, 5])
        await desk.wait(desk.begun, "tell", 3)
        await client.send({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": 9}})
        batch = await client.hear()
        await client.send([])
        empty = await client.hear()

    assert {each["id"]: each.get("error", {}).get("code") for each in batch} == {
        9: -32004,
        1: None,
        None: -32600,
    }
    assert (empty["id"], empty["error"]["code"]) == (None, -32600)


async def test_more_than_fit_at_once_wait_unread_and_all_are_answered() -> None:
    """Of one client, in batches or not; another is served meanwhile."""
    gate = trio.Event()
    most = 0
    now = 0

    async def slow(params: object) -> object:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await gate.wait()
        now -= 1
        return {"n": params}

    desk = Desk(slow=lambda params, _notify: slow(params))
    count = 1_000
    async with (
        serving(desk.answer) as path,
        stranger(path) as client,
        stranger(path) as other,
        trio.open_nursery() as nursery,
    ):
        batch = [request("slow", f"b{number}") for number in range(64)]
        asked = [request("slow", number, params=[number]) for number in range(count)]
        nursery.start_soon(client.send, batch, *asked)
        await desk.wait(desk.begun, "slow", 16)
        fair = await other.ask()
        gate.set()
        answers: list[Any] = [await client.hear() for _ in range(count + 1)]

    assert most == 16
    assert "result" in fair
    batches = [answer for answer in answers if "id" not in answer]
    assert [len(each) for each in batches] == [64]
    assert {answer["id"] for answer in answers if "id" in answer} == set(range(count))


async def test_many_that_take_long_let_others_in_between() -> None:
    """Of all clients one request begins in a pass of the event loop; each took its time before."""
    passes = 0
    begun: list[int] = []

    async def count() -> None:
        nonlocal passes
        while True:
            passes += 1
            await trio.lowlevel.checkpoint()

    def note(_params: object, _notify: Notify) -> None:
        begun.append(passes)

    desk = Desk(note=note)
    async with (
        serving(desk.answer) as path,
        stranger(path) as one,
        stranger(path) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(count)
        for client in (one, other):
            await client.send(*(request("note", number) for number in range(16)))
        await desk.wait(desk.begun, "note", 32)
        nursery.cancel_scope.cancel()

    # Within a pass, tasks run in any order: two may begin between two counts.
    assert max(Counter(begun).values()) <= 2


async def test_long_answers_are_not_heaped_up() -> None:
    """While one waits to be made, the same client's next request waits to be begun."""
    made: list[weakref.ref[Any]] = []
    most = 0

    class Long(dict[str, str]):
        """As dict, but whether it is alive can be seen."""

    def make(_params: object, _notify: Notify) -> object:
        nonlocal most
        answer = Long(text="x" * 100_000)
        made.append(weakref.ref(answer))
        most = max(most, sum(each() is not None for each in made))
        return answer

    desk = Desk(make=make)
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(*(request("make", number) for number in range(16)))
        answers = [await client.hear() for _ in range(16)]

    assert all(len(answer["result"]["text"]) == 100_000 for answer in answers)
    assert most <= 3


async def test_a_request_can_be_given_up_while_all_are_busy() -> None:
    """One under way, and one that waits: that is never begun."""
    desk = Desk()
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(*(request("wait", number) for number in range(16)), request("echo", 99))
        await desk.wait(desk.begun, "wait", 16)
        for id_ in (99, 3, "3", None, 1000):
            await client.send({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": id_}})
        answers = [await client.hear() for _ in range(2)]
        again = await client.ask(id_=3)

    assert {answer["id"]: answer["error"]["code"] for answer in answers} == {3: -32004, 99: -32004}
    assert desk.cancelled["wait"] == 16
    assert desk.begun["echo"] == 1
    assert again["result"] == {"params": None}


@pytest.mark.parametrize("params", [None, [], [1], {"id": []}, {"id": {}}, {"id": 1.5}, {"x": 1}])
async def test_a_cancellation_that_means_nothing_does_nothing(params: object) -> None:
    """Nor is one answered, unless it has an id: then it is a method that nobody knows."""
    desk = Desk(**{"$/cancel": raising(RequestFailed("unknown", -32601))})
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send({"jsonrpc": "2.0", "method": "$/cancel", "params": params or {}})
        after = await client.ask()
        asked = await client.ask("$/cancel", params=params or {})

    assert after["result"] == {"params": None}
    assert asked["error"]["code"] == -32601


async def test_an_id_belongs_to_one_request_at_a_time() -> None:
    """The second is refused, the first goes on; numbers and texts are different ids."""
    desk = Desk()
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(request("wait", 1))
        twice = await client.ask("echo", id_=1)
        text = await client.ask("echo", id_="1")
        await client.send({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": 1}})
        first = await client.hear()
        free = await client.ask("echo", id_=1)

    assert (twice["id"], twice["error"]["code"]) == (1, -32600)
    assert "result" in text
    assert first["error"]["code"] == -32004
    assert "result" in free


@pytest.mark.parametrize("how", ["close", "unread"])
@pytest.mark.parametrize("asked", [1, 16, 40, 2000])
async def test_what_a_client_that_goes_has_asked_for_is_cancelled(how: str, asked: int) -> None:
    """Soon, also while it has asked for so much that nothing more is read."""
    desk = Desk()
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(*(request("wait", number) for number in range(asked)))
        if how == "unread":
            await client.send(request("echo", "x"))
        await desk.wait(desk.begun, "wait", min(asked, 16))
        await client.stream.aclose()

        await desk.wait(desk.cancelled, "wait", min(asked, 16))

    assert desk.begun["wait"] == min(asked, 16)


@pytest.mark.parametrize("asked", [1, 200])
async def test_who_sends_no_more_is_answered(asked: int) -> None:
    """As in `echo ... | nc -U`: only then the server closes."""

    async def slow(_params: object, _notify: object) -> str:
        await trio.testing.wait_all_tasks_blocked()
        return "done"

    async with serving(Desk(slow=slow).answer) as path, stranger(path) as client:
        await client.send(*(request("slow", number) for number in range(asked)))
        await client.stream.send_eof()

        answers = [await client.hear() for _ in range(asked)]
        end = await client.hear()

    assert sorted(answer["id"] for answer in answers) == list(range(asked))
    assert end is None


async def test_who_sends_no_more_and_then_goes_is_cancelled() -> None:
    """The request has nobody left to be answered to."""
    desk = Desk()
    async with serving(desk.answer) as path, stranger(path) as client:
        await client.send(request("wait", 1))
        await client.stream.send_eof()
        await desk.wait(desk.begun, "wait")

        await client.stream.aclose()

        await desk.wait(desk.cancelled, "wait")


async def test_what_is_answered_when_the_server_ends_is_sent() -> None:
    """As the answer to who asked it to end, after those that wait to be read."""
    scope = trio.CancelScope()

    async def end(_params: object, _notify: Notify) -> object:
        scope.cancel()
        return {"bye": True}

    desk = Desk(end=end, page=lambda _params, _notify: "x" * 60_000)
    heard: list[Any] = []
    with scope:
        async with serving(desk.answer) as path, stranger(path) as client:
            pages = (request("page", number) for number in range(10))
            await client.send(*pages, request("end", "end"))
            with trio.CancelScope(shield=True):
                await desk.wait(desk.begun, "end")
                heard += [await client.hear() for _ in range(11)]

    assert heard[-1]["result"] == {"bye": True}


async def test_notes_come_before_the_answer_and_count_what_was_left_out() -> None:
    """A client that does not read loses notes, never an answer; telling never waits."""

    def chatty(_params: object, notify: Notify) -> object:
        for number in range(100):
            notify({"n": number})
        return {}

    desk = Desk(chatty=chatty, after=lambda _params, _notify: {})
    limits = Limits(outbox=10)
    async with serving(desk.answer, limits=limits) as path, stranger(path) as client:
        await client.send(request("chatty", "a"), {"jsonrpc": "2.0", "method": "chatty"})
        heard = [await client.hear() for _ in range(11)]
        await client.ask("chatty", id_="b")

    assert [each["params"] for each in heard[:10]] == [{"id": "a", "n": n} for n in range(10)]
    assert heard[10]["id"] == "a"


async def test_what_was_left_out_is_told_with_the_next_note() -> None:
    """Also what could not be told at all: that is a defect. After the answer nothing is told."""
    kept: list[Notify] = []
    go_on = trio.Event()

    async def chatty(_params: object, notify: Notify) -> object:
        for number in range(5):
            notify({"n": number})
        notify({"n": object()})
        notify({"n": "x" * 100_000})
        await go_on.wait()
        notify({"n": "last"})
        kept.append(notify)
        return {}

    reports: list[str] = []
    desk = Desk(chatty=chatty)
    limits = Limits(outbox=3)
    async with (
        serving(desk.answer, limits=limits, reports=reports) as path,
        stranger(path) as client,
    ):
        await client.send(request("chatty"))
        first = [await client.hear() for _ in range(3)]
        go_on.set()
        last, answer = await client.hear(), await client.hear()
        kept[0]({"n": "late"})
        after = await client.ask(id_=2)

    assert [each["params"]["n"] for each in first] == [0, 1, 2]
    assert last["params"] == {"id": 1, "n": "last", "missed": 4}
    assert (answer["id"], after["id"]) == (1, 2)
    assert len(reports) == 1


async def test_a_listener_that_is_closed_lets_nobody_in_and_ends_nobody() -> None:
    """What is under way is answered, then the serving ends."""
    gate = trio.Event()

    async def slow(_params: object, _notify: Notify) -> object:
        await gate.wait()
        return {}

    desk = Desk(slow=slow)
    with short_folder() as folder, claim_address(folder / "s.sock") as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, listener, desk.answer)
            async with stranger(folder / "s.sock") as client:
                await client.send(request("slow"))
                await desk.wait(desk.begun, "slow")
                await listener.aclose()
                with pytest.raises(OSError, match="refused"):
                    await trio.open_unix_socket(folder / "s.sock")
                gate.set()
                answer, end = await client.hear(), await client.hear()

    assert answer["result"] == {}
    assert end is None
