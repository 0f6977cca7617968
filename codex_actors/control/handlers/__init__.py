"""What is done for each request: one function per message, by what it is about.

Invariant: every request of `messages` has a handler. A handler returns a JSON-ready document; what
takes long is an operation, which is listed, cancelled with its client, and waited for by a drain.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from codex_actors.control import messages
from codex_actors.control.handlers import files, process, tree, turns, uploads
from codex_actors.control.service import Service
from codex_actors.control.session import Notify

__all__ = ["dispatch"]

Handler: TypeAlias = Callable[[Service, Any, Notify], Awaitable[dict[str, Any]]]

HANDLERS: Mapping[type[messages.Request], Handler] = {
    messages.Hello: process.hello,
    messages.Status: process.status,
    messages.Drain: process.drain,
    messages.Shutdown: process.shutdown,
    messages.Events: process.events,
    messages.Cancel: process.cancel,
    messages.Dump: process.dump,
    messages.Tree: tree.snapshot,
    messages.RestartChild: tree.restart,
    messages.StopChild: tree.stop,
    messages.StartChild: tree.start,
    messages.Stage: files.stage,
    messages.ListStaged: files.list_staged,
    messages.Show: files.show,
    messages.Upload: uploads.upload,
    messages.Exec: turns.exec_,
    messages.Remove: files.remove,
    messages.Cleanup: files.cleanup,
    messages.Verify: files.verify,
    messages.Reset: files.reset,
    messages.Metrics: files.metrics,
}


async def dispatch(service: Service, request: messages.Request, notify: Notify) -> dict[str, Any]:
    """Have a request handled; return the answer.

    Raises:
        RequestFailed: It cannot be done now, or what it names is not there.
        Exception: Whatever the tree, the files or codex raise.
    """
    return await HANDLERS[type(request)](service, request, notify)
