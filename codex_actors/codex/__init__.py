"""Codex turns with attachments that truly arrive.

Codex drops what it cannot read and reports success. Here every attachment is judged before the
turn starts: it arrives as an image, it is named in the prompt with a path that can be read while
the turn runs, or the turn is refused. Start reading at `routing`, then `exec` (one turn, one
process) or `app_server` (threads in a process that stays).
"""

from codex_actors.codex.app_server.opening import AppServer as AppServer
from codex_actors.codex.app_server.opening import open_app_server as open_app_server
from codex_actors.codex.app_server.records import ThreadAttachment as ThreadAttachment
from codex_actors.codex.app_server.thread import Thread as Thread
from codex_actors.codex.binary import find_codex as find_codex
from codex_actors.codex.delivery import Leaser as Leaser
from codex_actors.codex.errors import CodexDied as CodexDied
from codex_actors.codex.errors import CodexError as CodexError
from codex_actors.codex.errors import CodexNotFound as CodexNotFound
from codex_actors.codex.errors import DeliveryError as DeliveryError
from codex_actors.codex.errors import InvalidPrompt as InvalidPrompt
from codex_actors.codex.errors import InvalidTimeout as InvalidTimeout
from codex_actors.codex.errors import NotRecorded as NotRecorded
from codex_actors.codex.errors import RequestRefused as RequestRefused
from codex_actors.codex.errors import TurnInterrupted as TurnInterrupted
from codex_actors.codex.errors import TurnTimeout as TurnTimeout
from codex_actors.codex.events import AttachmentNotRecorded as AttachmentNotRecorded
from codex_actors.codex.events import ErrorReported as ErrorReported
from codex_actors.codex.events import Event as Event
from codex_actors.codex.events import Item as Item
from codex_actors.codex.events import ItemCompleted as ItemCompleted
from codex_actors.codex.events import ItemStarted as ItemStarted
from codex_actors.codex.events import ItemUpdated as ItemUpdated
from codex_actors.codex.events import ThreadStarted as ThreadStarted
from codex_actors.codex.events import TurnCompleted as TurnCompleted
from codex_actors.codex.events import TurnFailed as TurnFailed
from codex_actors.codex.events import TurnStarted as TurnStarted
from codex_actors.codex.events import UnknownEvent as UnknownEvent
from codex_actors.codex.events import Usage as Usage
from codex_actors.codex.events import event_to_dict as event_to_dict
from codex_actors.codex.exec import TurnEvents as TurnEvents
from codex_actors.codex.exec import exec_turn as exec_turn
from codex_actors.codex.exec import open_exec_turn as open_exec_turn
from codex_actors.codex.input_items import input_items as input_items
from codex_actors.codex.options import Sandbox as Sandbox
from codex_actors.codex.options import ThreadOptions as ThreadOptions
from codex_actors.codex.result import TurnResult as TurnResult
from codex_actors.codex.result import turn_result as turn_result
