"""The main job on real input: stage a file, attach it, and see its bytes in a codex turn."""

from pathlib import Path

import pytest
import trio
from codex_support import needs_codex, png

from codex_actors.codex import DeliveryError, ThreadOptions, exec_turn
from codex_actors.files import Files, FilesConfig, open_files
from codex_actors.testing import CodexFault, HangForever, ModelServer, fake_codex


def config(tmp_path: Path) -> FilesConfig:
    """Files under the test's own directory, whose name would break a careless delivery."""
    return FilesConfig(staging_dir=tmp_path / "stag,ing 'dir'")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A real PNG, made for the test."""
    path = tmp_path / '-a picture, of "red".png'
    path.write_bytes(png())
    return path


@needs_codex
async def test_the_model_receives_the_bytes_of_the_file(tmp_path: Path, picture: Path) -> None:
    """What the model server gets from the real codex equals the file, byte for byte."""
    # E23 F71 F83
    home = tmp_path / "codex_home"
    home.mkdir()
    async with ModelServer(reply="It is red.") as server, open_files(config(tmp_path)) as files:
        attachment = await files.stage(picture)
        options = ThreadOptions(
            cwd=tmp_path,
            config=server.config(),
            env={**server.env(), "CODEX_HOME": str(home), "HOME": str(home)},
        )
        options = files.attach(options, attachment)

        result = await exec_turn("What colour is it?", options, files=files, timeout=100)

        assert server.images() == (png(),)
        assert result.final_message == "It is red."
        assert result.thread_id
        assert (await files.metrics()).leases == 0


async def test_the_fake_codex_reads_the_bytes_of_the_file(tmp_path: Path, picture: Path) -> None:
    """The same for machines without the binary: argv is recorded, `--` stands before the prompt."""
    # F83
    fake = fake_codex(tmp_path / "bin", reply="It is red.")
    async with open_files(config(tmp_path)) as files:
        attachment = await files.stage(picture)
        options = files.attach(ThreadOptions(cwd=tmp_path, codex_path=fake.path), attachment)

        result = await exec_turn("What colour is it?", options, files=files, timeout=100)

    (call,) = fake.calls()
    assert [image.data for image in call.images] == [png()]
    assert call.argv[-2:] == ("--", "What colour is it?")
    assert result.final_message == "It is red."


async def test_an_attachment_in_use_outlives_its_time(tmp_path: Path, picture: Path) -> None:
    """While codex runs, neither the TTL nor a forced cleanup takes the file away."""
    # F37
    fake = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", HangForever())])
    async with open_files(config(tmp_path)) as files:
        attachment = await files.stage(picture, ttl=0)
        options = files.attach(ThreadOptions(cwd=tmp_path, codex_path=fake.path), attachment)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: exec_turn("hi", options, files=files))
            while not (await files.metrics()).leases:
                await trio.lowlevel.checkpoint()

            during = await files.force_cleanup()
            nursery.cancel_scope.cancel()
        after = await files.force_cleanup()

    assert (during.count, after.count) == (0, 1)


async def test_a_file_that_has_gone_is_refused_before_the_turn(
    tmp_path: Path, picture: Path
) -> None:
    """An attachment that was cleaned up meanwhile is an error that names it, not silence."""
    fake = fake_codex(tmp_path / "bin")
    async with open_files(config(tmp_path)) as files:
        attachment = await files.stage(picture)
        options = files.attach(ThreadOptions(cwd=tmp_path, codex_path=fake.path), attachment)
        await files.remove(attachment)

        with pytest.raises(Exception, match="red") as caught:
            await exec_turn("hi", options, files=files)

    assert isinstance(caught.value, DeliveryError)
    assert fake.calls() == ()


async def test_the_tree_is_the_one_of_the_design(tmp_path: Path) -> None:
    """A registry, a sweeper and the supervisor of transfers, in this order."""
    async with open_files(config(tmp_path)) as files:
        assert isinstance(files, Files)

        snapshot = files.supervisor.snapshot()

    assert [child.path for child in snapshot.children] == ["registry", "sweeper", "transfers"]
