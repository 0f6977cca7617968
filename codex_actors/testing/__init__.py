"""The test kit: what stands in for the world when an application is tested.

Nothing here patches anything: the stand-ins are real servers, real executables and real files.

Names are imported when they are used: pytest loads the plugin of this package in every run,
also where nobody asks for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex_actors.testing.codex_faults import CodexFault as CodexFault
    from codex_actors.testing.codex_faults import ExitWith as ExitWith
    from codex_actors.testing.codex_faults import FailWith as FailWith
    from codex_actors.testing.codex_faults import HangForever as HangForever
    from codex_actors.testing.codex_faults import KillItself as KillItself
    from codex_actors.testing.codex_faults import PrintNonsense as PrintNonsense
    from codex_actors.testing.codex_faults import StallTurn as StallTurn
    from codex_actors.testing.codex_faults import WaitFor as WaitFor
    from codex_actors.testing.codex_server import CodexUploadServer as CodexUploadServer
    from codex_actors.testing.event_log import EventLog as EventLog
    from codex_actors.testing.fake_executable import FakeCall as FakeCall
    from codex_actors.testing.fake_executable import FakeCodex as FakeCodex
    from codex_actors.testing.fake_executable import FakeImage as FakeImage
    from codex_actors.testing.fake_executable import FakeServer as FakeServer
    from codex_actors.testing.fake_executable import FakeTurn as FakeTurn
    from codex_actors.testing.fake_executable import fake_codex as fake_codex
    from codex_actors.testing.faults import Faults as Faults
    from codex_actors.testing.faults import InjectedFault as InjectedFault
    from codex_actors.testing.faults import Injection as Injection
    from codex_actors.testing.openai_server import OpenAIUploadServer as OpenAIUploadServer
    from codex_actors.testing.provider import ModelServer as ModelServer
    from codex_actors.testing.responses import ModelRequest as ModelRequest
    from codex_actors.testing.responses import assistant_message as assistant_message
    from codex_actors.testing.responses import shell_command as shell_command
    from codex_actors.testing.scripted_target import Lost as Lost
    from codex_actors.testing.scripted_target import ScriptedTarget as ScriptedTarget
    from codex_actors.testing.scripted_target import Stall as Stall
    from codex_actors.testing.trees import TreeLeak as TreeLeak
    from codex_actors.testing.trees import TreeOpener as TreeOpener
    from codex_actors.testing.trees import assert_tree as assert_tree
    from codex_actors.testing.upload_faults import AnswerGarbage as AnswerGarbage
    from codex_actors.testing.upload_faults import AnswerTruncated as AnswerTruncated
    from codex_actors.testing.upload_faults import AnswerTwice as AnswerTwice
    from codex_actors.testing.upload_faults import AnswerWith as AnswerWith
    from codex_actors.testing.upload_faults import NeverAnswer as NeverAnswer
    from codex_actors.testing.upload_faults import ResetConnection as ResetConnection
    from codex_actors.testing.upload_faults import UploadFault as UploadFault
    from codex_actors.testing.upload_record import UploadRequest as UploadRequest
    from codex_actors.testing.upload_storage import StoredFile as StoredFile

_HOMES = {
    "AnswerGarbage": "upload_faults",
    "AnswerTruncated": "upload_faults",
    "AnswerTwice": "upload_faults",
    "AnswerWith": "upload_faults",
    "CodexFault": "codex_faults",
    "CodexUploadServer": "codex_server",
    "EventLog": "event_log",
    "ExitWith": "codex_faults",
    "FailWith": "codex_faults",
    "FakeCall": "fake_executable",
    "FakeCodex": "fake_executable",
    "FakeImage": "fake_executable",
    "FakeServer": "fake_executable",
    "FakeTurn": "fake_executable",
    "Faults": "faults",
    "HangForever": "codex_faults",
    "InjectedFault": "faults",
    "Injection": "faults",
    "KillItself": "codex_faults",
    "Lost": "scripted_target",
    "ModelRequest": "responses",
    "ModelServer": "provider",
    "NeverAnswer": "upload_faults",
    "OpenAIUploadServer": "openai_server",
    "PrintNonsense": "codex_faults",
    "ResetConnection": "upload_faults",
    "ScriptedTarget": "scripted_target",
    "Stall": "scripted_target",
    "StallTurn": "codex_faults",
    "StoredFile": "upload_storage",
    "TreeLeak": "trees",
    "TreeOpener": "trees",
    "UploadFault": "upload_faults",
    "UploadRequest": "upload_record",
    "WaitFor": "codex_faults",
    "assert_tree": "trees",
    "assistant_message": "responses",
    "fake_codex": "fake_executable",
    "shell_command": "responses",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - the names above


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
