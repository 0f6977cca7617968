"""A supervisor that is killed or terminated while its clients have work under way, for real."""

import signal
from functools import partial
from pathlib import Path
from typing import Any

import trio
import upload_child
from cli_support import Done
from process_support import Launcher
from walk_support import walk_of

from codex_actors.control.client import open_client
from codex_actors.control.messages import Events
from codex_actors.testing import NeverAnswer, OpenAIUploadServer, UploadFault

MIB = 2**20
PARTS = 6
FOREVER = float("inf")


class Client:
    """Runs verbs side by side, against the supervisor of a test."""

    def __init__(self, launcher: Launcher, server: OpenAIUploadServer) -> None:
        self._launcher = launcher
        self._env = {
            "CODEX_ACTORS_SOCKET": str(launcher.socket),
            "CODEX_ACTORS_DURABILITY": "none",
            "OPENAI_API_KEY": server.api_key,
            "OPENAI_BASE_URL": server.base_url,
        }
        self.done: dict[str, Done] = {}
        self._news = trio.Condition()

    async def run(self, *arguments: str) -> Done:
        """Run one verb."""
        return await self._launcher.command_line.run(*arguments, env=self._env)

    async def keep(self, name: str, *arguments: str) -> None:
        """Run one verb, and keep what came of it under a name."""
        done = await self.run(*arguments)
        async with self._news:
            self.done[name] = done
            self._news.notify_all()

    async def wait_done(self, count: int) -> None:
        """Wait until so many have ended."""
        async with self._news:
            while len(self.done) < count:
                await self._news.wait()

    def upload(self, name: str) -> tuple[str, ...]:
        """The arguments that upload a file in small parts."""
        return ("upload", name, "--part-size", "1MiB", "--parallel", "2", "--json")


async def partial_file(staging: Path) -> Path:
    """Wait for a file that is being staged."""
    while True:
        for path in staging.glob(".partials/*/*"):
            if path.name != "lock" and path.stat().st_size:
                return path
        await trio.lowlevel.checkpoint()


async def first_staged(launcher: Launcher) -> None:
    """Wait until the supervisor tells that a file of a stage verb is staged."""
    with trio.CancelScope() as enough:

        def on_note(note: dict[str, Any]) -> None:
            if note["metadata"]["name"].startswith("stage-"):
                enough.cancel()

        async with open_client(launcher.socket) as session:
            follow = Events(kinds=("codex.attachment.staged",), follow=True)
            await session.request(follow, on_note=on_note)


async def test_after_kill_9_the_next_one_goes_on(tmp_path: Path) -> None:
    """The socket is replaced, the upload is resumed, and of the staging nothing is left."""
    launcher = Launcher(tmp_path)
    data = upload_child.content(PARTS * MIB + 4)
    (tmp_path / "big.bin").write_bytes(data)
    with (tmp_path / "sparse.bin").open("wb") as sparse:
        sparse.truncate(2**30)
    async with OpenAIUploadServer() as server, trio.open_nursery() as nursery:
        server.faults = [UploadFault("part", NeverAnswer(), nth=4, times=FOREVER)]
        client = Client(launcher, server)
        async with launcher.start() as first:
            await first.ready()
            nursery.start_soon(client.keep, "upload", *client.upload("big.bin"))
            with trio.fail_after(60):
                await server.wait_requests("part", 5)
                nursery.start_soon(client.keep, "stage", "stage", "sparse.bin")
                await partial_file(launcher.staging)
            first.signal(signal.SIGKILL)
            assert await first.wait() == -signal.SIGKILL
        with trio.fail_after(60):
            await client.wait_done(2)
        assert launcher.socket.is_socket()
        acknowledged = sum(len(upload.parts) for upload in server.uploads)
        before = len(server.of("part"))
        server.faults = []

        async with launcher.start() as second:
            await second.ready()
            cleaned = await client.run("cleanup", "--json")
            again = await client.run(*client.upload("big.bin"))
            metrics = await client.run("metrics", "--json")
            second.signal(signal.SIGTERM)
            code = await second.wait()

        assert {done.code for done in client.done.values()} == {4}, client.done
        assert "sparse.bin" not in {path.name for path in launcher.staging.rglob("*")}
        assert (cleaned.code, again.code, code) == (0, 0, 143)
        assert metrics.document["metrics"]["leases"] == 0
        assert metrics.document["metrics"]["partial_files"] == 0
        assert acknowledged == 3
        assert len(server.of("part")) - before == PARTS + 1 - acknowledged
        (uploaded,) = again.document["uploads"]
        assert list(server.files) == [uploaded["file_id"]]
        assert server.files[uploaded["file_id"]].read() == data
        assert not server.pending
    assert not launcher.socket.exists()
    walk = walk_of(launcher.staging)
    assert (walk.torn, walk.empty, walk.partials) == ((), (), ())


async def test_sigterm_under_load_loses_nothing(tmp_path: Path) -> None:
    """What was admitted is finished, what came later is refused, and each client knows which."""
    launcher = Launcher(tmp_path)
    uploads = [f"upload-{number}.bin" for number in range(2)]
    stages = [f"stage-{number}.bin" for number in range(4)]
    for number, name in enumerate(uploads + stages):
        content = number.to_bytes(8) + upload_child.content(3 * MIB)
        (tmp_path / name).write_bytes(content)
    async with OpenAIUploadServer() as server:
        server.faults = [UploadFault("part", delay=0.5, times=FOREVER)]
        client = Client(launcher, server)
        async with launcher.start("--drain-timeout", "60s") as running:
            await running.ready()
            async with trio.open_nursery() as nursery:
                for name in uploads:
                    nursery.start_soon(client.keep, name, *client.upload(name))
                with trio.fail_after(60):
                    await server.wait_requests("part", len(uploads) * 2)
                for name in stages:
                    nursery.start_soon(partial(client.keep, name, "stage", name, "--json"))
                with trio.fail_after(60):
                    await first_staged(launcher)

                running.signal(signal.SIGTERM)
                code = await running.wait()

        assert code == 143
        assert {client.done[name].code for name in uploads} == {0}, client.done
        for name in uploads:
            (uploaded,) = client.done[name].document["uploads"]
            assert server.files[uploaded["file_id"]].read() == (tmp_path / name).read_bytes()
        assert not server.pending
    staged = {name for name in stages if client.done[name].code == 0}
    assert staged
    walk = walk_of(launcher.staging)
    # Who came when the socket had gone has staged by himself, as without a supervisor.
    assert {name for _, name in walk.files if name.startswith("stage-")} == staged
    assert (walk.torn, walk.empty, walk.partials) == ((), (), ())


async def test_the_deadline_of_a_drain_gives_up_what_does_not_end(tmp_path: Path) -> None:
    """The remote upload is given up, the client is told, and the process ends in time."""
    launcher = Launcher(tmp_path)
    (tmp_path / "big.bin").write_bytes(upload_child.content(3 * MIB))
    async with OpenAIUploadServer() as server, trio.open_nursery() as nursery:
        server.faults = [UploadFault("part", NeverAnswer(), nth=2, times=FOREVER)]
        client = Client(launcher, server)
        async with launcher.start("--drain-timeout", "1s") as running:
            await running.ready()
            nursery.start_soon(client.keep, "upload", *client.upload("big.bin"))
            with trio.fail_after(60):
                await server.wait_requests("part", 2)

            running.signal(signal.SIGTERM)
            code = await running.wait()
            await running.err.until("not done within 1 s")

        assert code == 143
        assert [upload.status for upload in server.uploads] == ["cancelled"]
    assert client.done["upload"].code == 1
    assert "cancelled" in client.done["upload"].err
    assert walk_of(launcher.staging).files == {}
