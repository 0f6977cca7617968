"""Several processes in one staging directory: what a staging gave is there, whatever others do.

`CODEX_ACTORS_TEST_STAGINGS=20000` (or any other number) makes that many stagings in each test,
instead of the two thousand that every run makes. A failure names its seed:
`CODEX_ACTORS_TEST_KILL_SEED=<seed>` makes the choices of that run again.
"""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from crowd_support import CONTENTS, content_of
from processes_support import PATIENCE, Job, servers
from walk_support import assert_equal_to_walk, walk_of

from codex_actors.files import FilesConfig, open_files

PROCESSES = 4
STAGINGS = int(os.environ.get("CODEX_ACTORS_TEST_STAGINGS", "2000"))
SEED = int(os.environ.get("CODEX_ACTORS_TEST_KILL_SEED", "0")) or random.SystemRandom().randrange(
    10**9
)


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("killed", [False, True])
async def test_processes_that_stage_sweep_and_reset_do_not_take_files_from_each_other(
    tmp_path: Path, *, resets: bool, killed: bool
) -> None:
    """Same contents under the same names and others; in the end, the disk holds what is listed."""
    # F2, F21, F37, F38, F41, F44, E4, E7
    print(f"CODEX_ACTORS_TEST_KILL_SEED={SEED}")  # noqa: T201 - shown when the test fails
    chance = random.Random(SEED)
    root, sources = tmp_path / "staging", tmp_path / "sources"
    sources.mkdir()
    for number in range(CONTENTS):
        (sources / str(number)).write_bytes(content_of(number))

    outputs = [tmp_path / str(number) for number in range(PROCESSES)]
    with servers(PROCESSES) as several:
        for number, server in enumerate(several):
            options = {
                "root": str(root),
                "sources": str(sources),
                "seed": chance.randrange(10**6) * 2 + number % 2,
                "stagings": STAGINGS // PROCESSES,
                "resets": resets,
            }
            job = Job(
                work="crowd_support:crowd",
                options=options,
                output=str(outputs[number]),
                kill_after=chance.uniform(0.1, 0.5) if killed and number == 0 else None,
                patience=max(PATIENCE, STAGINGS // 50),
            )
            server.start(job)
        ends = [server.wait() for server in several]
    config = FilesConfig(staging_dir=root, durability="none")
    async with open_files(config) as files:
        await files.force_cleanup()
        listed = await files.list_staged()
        metrics = await files.metrics()
        walk = walk_of(root)

    expected = [(-signal.SIGKILL if killed else 0, ""), *[(0, "")] * (PROCESSES - 1)]
    assert ends == expected
    kept = {tuple(line["key"]) for output in outputs for line in _lines(output) if "key" in line}
    assert kept <= {attachment.key for attachment in listed}
    assert kept or resets
    assert_equal_to_walk(metrics, listed, walk, linked=not killed)
    assert (walk.partials, metrics.leases, walk.others) == ((), 0, ())


def _lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_bytes().split(b"\n")[:-1]]
