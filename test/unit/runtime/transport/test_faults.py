"""How failures of aiohttp become `TransportError`, apart from those a real server can produce."""

import aiohttp
import pytest

from smbpctl.runtime.errors import TransportError
from smbpctl.runtime.transport.faults import transport_error


@pytest.mark.parametrize(
    ("error", "sent", "message"),
    [
        (aiohttp.ConnectionTimeoutError("x"), False, "no connection in time"),
        (aiohttp.InvalidURL("http://["), False, "InvalidURL"),
        (aiohttp.SocketTimeoutError("x"), True, "no answer in time"),
        (TimeoutError(), True, "no answer in time"),
        (aiohttp.ServerDisconnectedError(), True, "connection was lost"),
        (aiohttp.ClientConnectionResetError("x"), True, "connection was lost"),
        (aiohttp.ClientOSError(32, "Broken pipe"), True, "Broken pipe"),
        (aiohttp.ClientPayloadError("incomplete"), True, "incomplete"),
        (OSError(24, "Too many open files"), True, "Too many open files"),
    ],
)
def test_whether_anything_was_sent(error: Exception, sent: bool, message: str) -> None:
    """In doubt it was: an unknown outcome is read back, a lost write is not."""
    translated = transport_error(error, "GET /x")

    assert translated.sent is sent
    assert str(translated).startswith("GET /x: ")
    assert message in str(translated)


def test_what_is_translated_already_stays() -> None:
    """Its `sent` was decided where it was known."""
    error = TransportError("x", sent=False)

    assert transport_error(error, "GET /y") is error
