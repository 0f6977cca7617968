"""A supervisor process that ends in the middle of work for its clients."""

import signal
from pathlib import Path
from typing import Any

import trio
from process_support import Launcher, Running

from codex_actors.control.client import Client, open_client
from codex_actors.control.errors import ControlError, RequestFailed, Unreachable
from codex_actors.control.messages import Cleanup, ListStaged, Stage, Verify
from codex_actors.files import FilesConfig, open_files

_FILES = 400
_CLIENTS = 4
_BYTES = 40_000


class _Load:
    """Clients that stage many files, each asking for several at a time."""

    def __init__(self, directory: Path, socket: Path) -> None:
        self._socket = socket
        folder = directory / "sources"
        folder.mkdir()
        self._paths = [folder / f"{number}.bin" for number in range(_FILES)]
        for number, path in enumerate(self._paths):
            path.write_bytes(number.to_bytes(4) * (_BYTES // 4))
        self._next = iter(self._paths)
        self.staged: dict[str, str] = {}
        self.refused: list[ControlError] = []
        self._some = trio.Event()

    async def run(self) -> None:
        """Ask until the supervisor has gone, or all is staged."""
        async with trio.open_nursery() as nursery:
            for _ in range(_CLIENTS):
                nursery.start_soon(self._client)

    async def wait_some(self) -> None:
        """Wait until a few are staged."""
        with trio.fail_after(60):
            await self._some.wait()

    async def _client(self) -> None:
        try:
            async with open_client(self._socket) as client, trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(self._ask, client)
        except ControlError as error:
            self.refused.append(error)

    async def _ask(self, client: Client) -> None:
        for path in self._next:
            try:
                answer = await client.request(Stage(path=str(path)))
            except (RequestFailed, Unreachable) as error:
                self.refused.append(error)
                return
            attachment: dict[str, Any] = answer["attachment"]
            self.staged[attachment["name"]] = attachment["checksum"]
            if len(self.staged) == 20:
                self._some.set()


async def _end_in_the_middle(launcher: Launcher, number: signal.Signals) -> tuple[_Load, Running]:
    load = _Load(launcher.directory, launcher.socket)
    async with launcher.start() as running:
        await running.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run)
            await load.wait_some()
            running.signal(number)
            await running.wait()
    return load, running


async def test_a_drain_under_load_loses_nothing(tmp_path: Path) -> None:
    """Whatever was answered is there, and whatever is there was answered; the rest was refused."""
    launcher = Launcher(tmp_path)

    load, running = await _end_in_the_middle(launcher, signal.SIGTERM)

    assert running.process.returncode == 143
    assert load.refused
    assert len(load.staged) < _FILES
    async with open_files(FilesConfig(staging_dir=launcher.staging)) as files:
        listed = {each.name: each.checksum for each in await files.list_staged()}
        report = await files.verify()
    assert listed == load.staged
    assert (report.checked, report.wrong) == (len(listed), ())
    assert list((launcher.staging / ".partials").iterdir()) == []


async def test_a_kill_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """The next supervisor starts at once at the same socket, and knows all that was answered."""
    launcher = Launcher(tmp_path)
    load, _killed = await _end_in_the_middle(launcher, signal.SIGKILL)
    assert launcher.socket.exists()

    async with launcher.start() as running:
        await running.ready()
        with trio.fail_after(60):
            async with open_client(launcher.socket) as client:
                await client.request(Cleanup())
                answer = await client.request(ListStaged())
                verified = await client.request(Verify())
        partials = [path.name for path in (launcher.staging / ".partials").iterdir()]

    listed = {each["name"]: each["checksum"] for each in answer["attachments"]}
    assert load.staged.items() <= listed.items()
    assert verified["wrong"] == []
    assert [name.partition("-")[0] for name in partials] == [str(running.process.pid)]
