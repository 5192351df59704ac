"""Answers of API servers, and of everything that stands in front of them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from smbpctl.runtime.errors import (
    ApiStatusError,
    Conflict,
    Forbidden,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from smbpctl.runtime.transport.answer import (
    PathNotServed,
    decode,
    excerpt,
    failure,
    retry_after,
    warnings,
)
from test.support.fake_transport import FakeResponse, json_response, status_response

MANIFEST = msgspec.json.Decoder(dict[str, Any])
PAGE = b"<html><head><style>b {}</style></head>\n<body><h1>502 Bad  Gateway</h1></body></html>"


async def test_a_status_becomes_its_exception() -> None:
    """With the server's words behind what was attempted."""
    details = {"causes": [{"reason": "FieldManagerConflict", "field": ".spec", "message": "m"}]}
    response = status_response(409, "Conflict", "conflict with x", details=details)

    error = await failure(response, "apply Pod a/b")

    assert isinstance(error, Conflict)
    assert str(error) == "apply Pod a/b: conflict with x"
    assert error.causes[0].field == ".spec"


@pytest.mark.parametrize(
    ("response", "expected", "message"),
    [
        (FakeResponse(502, PAGE, {"content-type": "text/html"}), ServerError, "502 Bad Gateway"),
        (FakeResponse(503, b""), ServerError, "an empty body"),
        (FakeResponse(429, b"Too many"), TooManyRequests, "'Too many'"),
        (FakeResponse(401, b"Unauthorized\n"), Unauthorized, "'Unauthorized'"),
        (FakeResponse(403, b'{"kind": "Sta'), Forbidden, "not answered by an API server"),
        (json_response([1], 500), ServerError, "HTTP 500"),
        (json_response({"error": "x"}, 500), ServerError, "HTTP 500"),
        (FakeResponse(302, b"", {"location": "/login"}), ApiStatusError, "redirect to /login"),
    ],
)
async def test_what_no_api_server_said(
    response: FakeResponse, expected: type[ApiStatusError], message: str
) -> None:
    """The HTTP status decides the class, the text is shown without markup."""
    error = await failure(response, "get Pod a/b")

    assert type(error) is expected
    assert error.code == response.status
    assert str(error).startswith("get Pod a/b: ")
    assert message in str(error)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (status_response(404, "NotFound", details={"name": "a", "kind": "pods"}), NotFound),
        (status_response(404, "NotFound", details={}), PathNotServed),
        (FakeResponse(404, b"404 page not found\n"), PathNotServed),
    ],
)
async def test_a_missing_object_and_a_missing_path(
    response: FakeResponse, expected: type[NotFound]
) -> None:
    """A kind that is gone must not look like an object that is gone."""
    assert type(await failure(response, "get")) is expected


async def test_retry_after_reaches_the_error() -> None:
    """From the header, which flow control sets, or from the body."""
    header = status_response(429, "TooManyRequests", headers={"retry-after": "7"})
    body = status_response(429, "TooManyRequests", details={"retryAfterSeconds": 9})

    delays = [(await failure(response, "x")).retry_after for response in (header, body)]

    assert delays == [timedelta(seconds=7), timedelta(seconds=9)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("-5", None),
        ("5.5", None),
        ("soon", None),
        ("9" * 30, None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
    ],
)
def test_retry_after_forms(value: str, seconds: int | None) -> None:
    """Seconds or a date; a date counts from the answer's own clock."""
    headers = {"retry-after": value, "date": "Thu, 01 Jan 2026 00:00:00 GMT"}

    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(headers) == expected


def test_a_date_without_date_is_ignored() -> None:
    """There is nothing to count from."""
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("garbage", []),
        ('299 - "one"', ["one"]),
        ('299 - "one", 299 - "two, with comma"', ["one", "two, with comma"]),
        (r'299 kube "say \"hi\" \\ bye"', [r'say "hi" \ bye']),
        ('199 - "another code"', []),
    ],
)
def test_warnings(value: str | None, expected: list[str]) -> None:
    """Several may come in one header."""
    assert warnings({} if value is None else {"warning": value}) == expected


def test_decode_gives_the_object() -> None:
    """A JSON object."""
    assert decode(b'{"a": 1}', MANIFEST, "get") == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"a": ', b"<html>Log in</html>", b"\xff"])
def test_a_success_that_is_no_object(body: bytes) -> None:
    """Whatever was asked may have been done: an unknown outcome, not a value."""
    with pytest.raises(TransportError, match="get Pod a/b: the answer is not") as caught:
        decode(body, MANIFEST, "get Pod a/b")

    assert caught.value.sent


def test_excerpts_are_short_and_on_one_line() -> None:
    """They go into log lines."""
    text = excerpt(b"<p>one\n\ttwo</p>" + b"x" * 100_000)

    assert text.startswith("'one two xxx")
    assert len(text) < 250
    assert "\n" not in text
