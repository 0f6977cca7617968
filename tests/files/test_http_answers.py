"""What an HTTP answer means, what may be shown of it, and what goes around a file in a form."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime

import pytest

from codex_actors.files.targets.answers import (
    Answer,
    Redactor,
    document_of,
    moment_of,
    refusal_of,
    retry_after_of,
    said,
)
from codex_actors.files.targets.credentials import Secret
from codex_actors.files.targets.forms import form_of
from codex_actors.files.targets.protocol import Refused, Retryable

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("0.5", "", 0.5),
        ("0", "", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", "", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", "", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", "Thu, 01 Jan 2026 12:00:20 GMT", 10.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", "", 30.0),
        ("-1", "", None),
        ("nan", "", None),
        ("inf", "", None),
        ("soon", "", None),
        ("Thu, 99 Jan 2026 12:00:30 GMT", "", None),
        ("Thu, 99999999999999999999 Jan 2026 12:00:30 GMT", "", None),
        ("", "", None),
    ],
)
def test_retry_after(value: str, date: str, seconds: float | None) -> None:
    """Seconds or a date, the latter by the server's own clock where it tells it."""
    # F54
    assert retry_after_of({"retry-after": value, "date": date}, NOW) == seconds


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 599])
def test_what_may_be_repeated(status: int) -> None:
    """Statuses that say: not now."""
    # F53
    failure = refusal_of(Answer(status, {"retry-after": "3"}, b""), Redactor())

    assert isinstance(failure, Retryable)
    assert (failure.status, failure.retry_after) == (status, 3.0)


@pytest.mark.parametrize("status", [300, 301, 307, 308, 400, 401, 402, 403, 404, 413, 422, 499])
def test_what_may_not_be_repeated(status: int) -> None:
    """Statuses that say: not so."""
    # F55
    failure = refusal_of(Answer(status, {"location": "https://x?sig=1"}, b""), Redactor())

    assert isinstance(failure, Refused)
    assert failure.status == status
    assert "sig" not in failure.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "No  such\\nfile"}}', "No such file"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": "no"}', "no"),
        (b'{"detail": [1]}', '{"detail": [1]}'),
        (b"<Code>AuthenticationFailed</Code>", "<Code>AuthenticationFailed</Code>"),
        (b"", ""),
        (b"\xff\x00\x1b[31m", "\ufffd [31m"),
        (b"x" * 10_000, "x" * 499 + "…"),
        (b'{"error": {"message": "key sk-secret is wrong"}}', "key <secret> is wrong"),
        (
            b"see https://user:pass@host/a/b?sig=abc&x=1 and http://h/c",
            "see https://host/a/b?<query> and http://h/c",
        ),
    ],
)
def test_what_a_server_said(body: bytes, words: str) -> None:
    """One short printable line, without secrets."""
    # F70
    assert said(Answer(400, {}, body), Redactor.of(["sk-secret", "sk-secret-2", "ab"])) == words


def test_the_longer_of_two_secrets_goes_first() -> None:
    """One that begins with another leaves no rest of itself."""
    assert Redactor.of(["hidden", "hidden-tail"])("a hidden-tail") == "a <secret>"


def test_a_document_is_an_object_that_came_whole() -> None:
    """Anything else is no document."""
    # F59
    assert document_of(Answer(200, {}, b'{"id": 1}')) == {"id": 1}
    for answer in (
        Answer(200, {}, b'{"id": 1}', whole=False),
        Answer(200, {}, b'{"id'),
        Answer(200, {}, b"[1]"),
        Answer(200, {}, b""),
        Answer(200, {}, b"\xff"),
        Answer(200, {}, b"[" * 100_000),
    ):
        assert document_of(answer) is None


def test_moments() -> None:
    """Seconds since the epoch; nonsense is no moment."""
    assert moment_of(0) == datetime(1970, 1, 1, tzinfo=UTC)
    for value in (None, "1", True, float("nan"), 1e300, float("inf")):
        assert moment_of(value) is None


def test_a_secret_is_shown_nowhere() -> None:
    """Neither by text nor by pickling; equal secrets are equal, so that targets can be compared."""
    # F70
    secret = Secret("sk-very-secret")

    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}", secret.fingerprint()):
        assert "very" not in text
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(secret)
    assert copy.copy({1: secret})[1].reveal() == "sk-very-secret"
    assert len({secret, Secret("sk-very-secret"), Secret("other")}) == 2
    assert json.dumps(secret, default=str) == '"<secret>"'


def test_a_form_is_what_browsers_send() -> None:
    """Names are quoted so that nothing can end them."""
    form = form_of("file", 'a"b\\\r\n.txt', "text/plain", {"purpose": "vision"})

    boundary = form.content_type.partition("boundary=")[2]
    assert form.before.decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="file"; filename="a%22b\\\\%0D%0A.txt"\r\n'
        "Content-Type: text/plain\r\n\r\n"
    )
    assert form.after.decode() == f"\r\n--{boundary}--\r\n"
    assert form_of("file", "a", "a/b").content_type != form.content_type
