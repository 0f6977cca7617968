"""Owns a server on loopback that stands in for the model provider of codex.

Invariant: whatever a client sends, the server answers or hangs up, and goes on; every request it
accepted is in `requests`, in the order of arrival. Must not know what codex does with the answers.

In a test::

    async with ModelServer(reply="It is red.") as server:
        options = ThreadOptions(config=server.config(), env=server.env())
        result = await exec_turn("What colour is this?", options, files=files)
        assert server.images() == (png,)
"""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import trio

from codex_actors.testing.http import MAX_BODY, HttpReader, HttpRequest, Refused, response
from codex_actors.testing.loopback import LoopbackServer
from codex_actors.testing.responses import (
    ModelRequest,
    assistant_message,
    response_object,
    server_sent_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ModelServer"]

PROVIDER = "codex_actors_test"
KEY_VARIABLE = "CODEX_ACTORS_TEST_MODEL_KEY"
CONNECTION_IDLE = 60.0
LINGER = 2.0
JSON = "application/json"


class ModelServer(LoopbackServer):
    """A model provider on 127.0.0.1, to be used by `async with`.

    Arguments:
        reply: What the model says. May be changed while serving (`server.reply = ...`).
        respond: Decides instead of `reply`: gets each `ModelRequest` to `/v1/responses`, returns
            the output items, for example `[shell_command("ls")]` or `[assistant_message("Hi")]`.
        status: Answer every request for a response with this status instead, and `reply` as the
            error's message. (Codex shows the message of a 400; of a 500, words of its own.)
        stalled: Accept requests for a response and never answer them.
        port: 0 takes a free one.
        max_body: Bytes of a request's body; a longer one is answered with 413.
        model: The model's name.
    """

    def __init__(
        self,
        *,
        reply: str = "ok",
        respond: Callable[[ModelRequest], Sequence[Mapping[str, Any]]] | None = None,
        status: int = 200,
        stalled: bool = False,
        port: int = 0,
        max_body: int = MAX_BODY,
        model: str = "gpt-5",
    ) -> None:
        super().__init__(port)
        self.reply = reply
        self.respond = respond
        self.status = HTTPStatus(status)
        self.stalled = stalled
        self.model = model
        self.answered = 0
        self._max_body = max_body
        self._requests: list[ModelRequest] = []
        self._activity = trio.Event()

    @property
    def base_url(self) -> str:
        """What a provider's `base_url` has to be: `url` and the version."""
        return f"{self.url}/v1"

    def config(self) -> dict[str, Any]:
        """Return the settings that point codex here, for `ThreadOptions(config=...)`."""
        provider = {
            "name": "codex_actors test model",
            "base_url": self.base_url,
            "wire_api": "responses",
            "env_key": KEY_VARIABLE,
            "request_max_retries": 0,
            "stream_max_retries": 0,
        }
        return {
            f"model_providers.{PROVIDER}": provider,
            "model_provider": PROVIDER,
            "model": self.model,
        }

    def env(self) -> dict[str, str]:
        """Return the environment that goes with `config()`, for `ThreadOptions(env=...)`."""
        return {KEY_VARIABLE: "test-key"}

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """Every request so far, in order."""
        return tuple(self._requests)

    @property
    def turns(self) -> tuple[ModelRequest, ...]:
        """The requests for a response, in order. A turn with tools makes several."""
        return tuple(r for r in self._requests if r.path == "/v1/responses" and r.method == "POST")

    def images(self) -> tuple[bytes, ...]:
        """Return the images of the last turn, in order; see `ModelRequest.images`."""
        return self.turns[-1].images() if self.turns else ()

    def texts(self) -> tuple[str, ...]:
        """Return the text parts of the last turn, in order; the prompt is among them."""
        return self.turns[-1].texts() if self.turns else ()

    async def wait_requests(self, count: int) -> None:
        """Wait until `count` requests have come in all."""
        while len(self._requests) < count:
            await self.wait_activity()

    async def wait_activity(self) -> None:
        """Wait until the next request comes or is answered."""
        await self._activity.wait()

    def _note_activity(self) -> None:
        self._activity.set()
        self._activity = trio.Event()

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            reader = HttpReader(stream, max_body=self._max_body)
            # A client that hangs up is no concern of the server's.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._converse_or_refuse(reader, stream)

    async def _converse_or_refuse(self, reader: HttpReader, stream: trio.SocketStream) -> None:
        try:
            await self._converse(reader, stream)
        except Refused as refused:
            with trio.move_on_after(CONNECTION_IDLE):
                await stream.send_all(_error(refused.status, str(refused), keep_alive=False))
                await stream.send_eof()
            with trio.move_on_after(LINGER):
                # Closing with something unread would reset the connection, and the client might
                # never see the answer.
                while await stream.receive_some():
                    pass

    async def _converse(self, reader: HttpReader, stream: trio.SocketStream) -> None:
        while True:
            request = None
            with trio.move_on_after(CONNECTION_IDLE):
                request = await reader.next_request()
            if request is None:
                return
            answer = await self._answer(request)
            await stream.send_all(answer)
            self.answered += 1
            self._note_activity()
            if not request.keep_alive:
                return

    async def _answer(self, request: HttpRequest) -> bytes:
        recorded = _recorded(request)
        self._requests.append(recorded)
        self._note_activity()
        match request.method, request.path:
            case "POST", "/v1/responses":
                if self.stalled:
                    await trio.sleep_forever()
                return self._respond(recorded)
            case "GET", "/v1/models":
                model = {"id": self.model, "object": "model", "created": 0, "owned_by": "test"}
                return _json(HTTPStatus.OK, {"object": "list", "data": [model], "models": []})
            case method, "/v1/responses" | "/v1/models" as path:
                return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} on {path}")
            case _:
                return _error(HTTPStatus.NOT_FOUND, f"{request.path} is not served here")

    def _respond(self, request: ModelRequest) -> bytes:
        if not isinstance(request.body, dict):
            return _error(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        if self.status is not HTTPStatus.OK:
            return _error(self.status, self.reply)
        try:
            items = (
                [assistant_message(self.reply)] if self.respond is None else self.respond(request)
            )
            completed = response_object(items, self.model)
            if not request.body.get("stream"):  # pyright: ignore[reportUnknownMemberType] - JSON
                return _json(HTTPStatus.OK, completed)
            body = server_sent_events(completed)
        except Exception as error:  # noqa: BLE001 - the test's own callback: shown where the test looks, in codex's error
            return _error(HTTPStatus.BAD_REQUEST, f"respond failed: {error!r}")
        return response(HTTPStatus.OK, "text/event-stream", body)


def _recorded(request: HttpRequest) -> ModelRequest:
    try:
        body = json.loads(request.body) if request.body else None
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from error
    return ModelRequest(
        method=request.method, path=request.path, headers=request.headers, body=body
    )


def _json(status: HTTPStatus, value: object, *, keep_alive: bool = True) -> bytes:
    return response(status, JSON, json.dumps(value).encode(), keep_alive=keep_alive)


def _error(status: HTTPStatus, message: str, *, keep_alive: bool = True) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "code": status.name.lower()}
    return _json(status, {"error": error}, keep_alive=keep_alive)
