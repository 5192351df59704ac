"""The seam: what a request says when little is given, and who satisfies the Protocols."""

from smbpctl.runtime.transport import HttpRequest, HttpTransport, Transport
from test.support.fake_transport import FakeTransport, json_response


def test_a_request_without_options_is_an_endless_stream_without_body() -> None:
    """Limits are never implied: whoever makes a call sets its timeout."""
    request = HttpRequest("GET", "/x")

    assert (request.headers, request.body, request.timeout, request.read_timeout) == (
        {},
        None,
        None,
        None,
    )


def test_requests_do_not_share_their_headers() -> None:
    """A default that one caller changes must not reach another."""
    assert HttpRequest("GET", "/x").headers is not HttpRequest("GET", "/x").headers


async def test_the_network_and_the_fake_are_both_transports() -> None:
    """Code above the seam cannot tell them apart."""
    transports: list[Transport] = [FakeTransport(lambda _: json_response({})), HttpTransport()]

    addresses = [transport.base_url for transport in transports]
    for transport in transports:
        await transport.close()

    assert addresses == ["https://fake.test:6443", ""]
