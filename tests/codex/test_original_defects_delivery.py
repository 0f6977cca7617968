"""What was wrong with the original's delivery must not come back: one test for each defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from codex_support import Leases, described, png, staged

from codex_actors.codex import DeliveryError, ThreadOptions, exec_turn
from codex_actors.codex.images import ImageFacts
from codex_actors.codex.routing import Route, plan_delivery
from codex_actors.testing import fake_codex

if TYPE_CHECKING:
    from pathlib import Path

    from codex_actors.files import Attachment

NO_IMAGE = ImageFacts()


async def test_e18_only_images_go_as_images(tmp_path: Path) -> None:
    """A table is told of in the prompt; what is said to be an image and is none is refused."""
    # E18
    codex = fake_codex(tmp_path / "bin")
    table = staged(tmp_path / "1", "table.csv", b"1,2\n", "text/csv")
    picture = staged(tmp_path / "2", "picture.png", png(), "image/png")
    broken = staged(tmp_path / "3", "broken.png", png()[:40], "image/png")
    options = ThreadOptions((table, picture), codex_path=codex.path)

    await exec_turn("Look.", options, files=Leases(), timeout=30)
    with pytest.raises(DeliveryError, match=r"broken\.png"):
        await exec_turn(
            "Look.",
            ThreadOptions((picture, broken), codex_path=codex.path),
            files=Leases(),
            timeout=30,
        )

    (call,) = codex.calls()
    assert [image.data for image in call.images] == [picture.path.read_bytes()]
    assert '"name": "table.csv"' in call.prompt
    assert "picture.png" not in call.prompt


def test_e19_no_attachment_is_ignored(tmp_path: Path) -> None:
    """Whatever carries a turn follows one plan, which names every attachment once, in order."""
    # E19
    kinds = ["image/png", "text/csv", "application/pdf", "image/svg+xml", "application/x-own"]
    attachments = [
        described(tmp_path, f"{number}.bin", b"%d" % number, kind)
        for number, kind in enumerate(kinds)
    ]
    facts = [ImageFacts("PNG", ".png", None), *[NO_IMAGE] * (len(kinds) - 1)]

    plan = plan_delivery(zip(attachments, facts, strict=True))

    assert [delivery.attachment for delivery in plan] == attachments
    assert [delivery.route for delivery in plan] == [Route.IMAGE, *[Route.MANIFEST] * 4]
    with pytest.raises(DeliveryError):
        plan_delivery([(described(tmp_path, "a.wav", b"x", "audio/wav"), NO_IMAGE)])


async def test_e20_a_checksum_is_not_sent_as_a_files_id(tmp_path: Path) -> None:
    """An image goes by its bytes, another file by its path: nothing refers to a remote file."""
    # E20
    codex = fake_codex(tmp_path / "bin")
    picture = staged(tmp_path / "1", "picture.png", png(), "image/png")
    table = staged(tmp_path / "2", "table.csv", b"1,2\n", "text/csv")
    options = ThreadOptions((picture, table), codex_path=codex.path)

    await exec_turn("Look.", options, files=Leases(), timeout=30)

    (call,) = codex.calls()
    sent = "\n".join(call.argv)
    assert "file_id" not in sent.lower()
    assert "fileid" not in sent.lower()
    assert picture.checksum not in sent
    assert f'"checksum": "{table.algorithm}:{table.checksum}"' in call.prompt  # named as what it is
    assert sent.count(table.checksum) == 1


@pytest.mark.parametrize("where", ["name", "directory"])
async def test_e23_a_comma_breaks_nothing(tmp_path: Path, where: str) -> None:
    """Neither in the name of a file nor in that of a directory above it."""
    # E23
    codex = fake_codex(tmp_path / "bin")
    directory = tmp_path / ("a,b" if where == "directory" else "ab")
    attachment: Attachment = staged(
        directory, "x,y.png" if where == "name" else "xy.png", png(), "image/png"
    )
    options = ThreadOptions((attachment,), codex_path=codex.path)

    await exec_turn("Look.", options, files=Leases(), timeout=30)

    (call,) = codex.calls()
    assert [image.data for image in call.images] == [png()]
    assert "," not in call.images[0].path
