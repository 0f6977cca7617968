"""The test kit: what stands in for the world when an application is tested.

Nothing here patches anything: the stand-ins are real servers, real executables and real files.
"""

from codex_actors.testing.event_log import EventLog as EventLog
from codex_actors.testing.fake_codex import FakeCall as FakeCall
from codex_actors.testing.fake_codex import FakeCodex as FakeCodex
from codex_actors.testing.fake_codex import FakeImage as FakeImage
from codex_actors.testing.fake_codex import fake_codex as fake_codex
from codex_actors.testing.faults import Faults as Faults
from codex_actors.testing.faults import InjectedFault as InjectedFault
from codex_actors.testing.faults import Injection as Injection
from codex_actors.testing.provider import ModelServer as ModelServer
from codex_actors.testing.responses import ModelRequest as ModelRequest
from codex_actors.testing.responses import assistant_message as assistant_message
from codex_actors.testing.responses import shell_command as shell_command
from codex_actors.testing.trees import TreeLeak as TreeLeak
from codex_actors.testing.trees import TreeOpener as TreeOpener
from codex_actors.testing.trees import assert_tree as assert_tree
