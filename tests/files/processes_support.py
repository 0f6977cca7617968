"""Processes to end: forked on demand by a server that has everything imported already.

A fork costs milliseconds where an interpreter costs a third of a second, so that hundreds of
processes can be killed in one test. The server has one thread and opens nothing itself; every child
is a process of its own, with its own claim on a staging directory. Run as a script, this module is
that server: it reads jobs from its standard input, one JSON document a line, and answers how each
ended. A child's standard output is a file, which outlives it.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import asdict, define, field, frozen

PATIENCE = 60  # seconds


@frozen(kw_only=True)
class Job:
    """What a child does, and how it ends.

    Attributes:
        work: "module:function" of the tests; called with `options`.
        options: JSON-ready.
        output: Where its standard output is appended.
        kill_after: Seconds until it is killed, None to let it end.
        limits: Resource limits, by the name of the constant.
        patience: Seconds after which a child that has not ended ends itself.
    """

    work: str
    options: dict[str, Any]
    output: str
    kill_after: float | None = None
    limits: Mapping[str, int] = field(factory=dict[str, int])
    patience: int = PATIENCE


@define
class Server:
    """One server; a context manager. `start` jobs, then `wait` for each in the same order."""

    _process: "subprocess.Popen[str]" = field(init=False)

    def start(self, job: Job) -> None:
        """Fork a child for a job."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()

    def wait(self) -> tuple[int, str]:
        """Return how the oldest child ended: minus the signal, or its code; and its complaints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server ended with {self._process.wait()}"
        answer = json.loads(line)
        return answer["status"], answer["errors"]

    def run(self, job: Job) -> tuple[int, str]:
        """Carry out one job."""
        self.start(job)
        return self.wait()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its child, if there is one, ends itself in the end; that is not waited for.
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def servers(count: int) -> Generator[list[Server]]:
    """Several servers: their children run at the same time."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server()) for _ in range(count)]


def end_now() -> None:
    """End this process as SIGKILL does, at this very instruction."""
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        signal.pause()


def _serve() -> None:
    importlib.import_module("codex_actors.files")  # with all that it needs, before any fork
    for line in sys.stdin:
        job = Job(**json.loads(line))
        errors = Path(job.output + ".err")
        child = os.fork()
        if child == 0:
            _be_child(job, errors)
        if job.kill_after is not None:
            time.sleep(job.kill_after)
            # Not waited for yet, so the number is still its own.
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        answer = {
            "status": os.waitstatus_to_exitcode(status),
            "errors": errors.read_text(encoding="utf-8") if errors.exists() else "",
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _be_child(job: Job, errors: Path) -> None:
    code = 1
    try:
        signal.alarm(job.patience)
        with errors.open("wb") as complaints, Path(job.output).open("ab") as output:
            os.dup2(complaints.fileno(), 2)
            os.dup2(output.fileno(), 1)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        for name, limit in job.limits.items():
            number = getattr(resource, name)
            resource.setrlimit(number, (limit, resource.getrlimit(number)[1]))
        module, _, function = job.work.partition(":")
        getattr(importlib.import_module(module), function)(**job.options)
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - told to whoever waits for this process
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
