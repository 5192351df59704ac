"""One exchange: counted, its warnings logged, its failures raised."""

import pytest
import structlog.testing

from smbpctl.runtime.client.call import Caller
from smbpctl.runtime.errors import Conflict, TransportError
from smbpctl.runtime.transport import HttpRequest
from test.support.fake_transport import (
    Answer,
    FakeResponse,
    FakeTransport,
    json_response,
    status_response,
)

REQUEST = HttpRequest("GET", "/x")


class Counter:
    """Satisfies `RequestMetrics`."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, int | str]] = []

    def request(self, method: str, host: str, code: int | str) -> None:
        self.counted.append((method, host, code))


def _caller(*answers: Answer) -> tuple[Caller, Counter]:
    remaining = list(answers)
    counter = Counter()
    return Caller(FakeTransport(lambda _: remaining.pop(0)), counter), counter


async def test_every_request_is_counted_once() -> None:
    """By method, host and status; without answer as an error."""
    caller, counter = _caller(
        json_response({}),
        status_response(409, "Conflict"),
        TransportError("down", sent=False),
        FakeResponse(200, stream=[TransportError("broken", sent=True)]),
    )

    await caller.body(REQUEST, "get")
    for expected in (Conflict, TransportError, TransportError):
        with pytest.raises(expected):
            await caller.body(REQUEST, "get")

    assert counter.counted == [
        ("GET", "fake.test:6443", 200),
        ("GET", "fake.test:6443", 409),
        ("GET", "fake.test:6443", "<error>"),
        ("GET", "fake.test:6443", 200),
    ]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_lost_request_says_what_was_attempted(sent: bool) -> None:
    """And keeps telling whether it was sent."""
    caller, _ = _caller(TransportError("GET /x: reset", sent=sent))

    with pytest.raises(TransportError, match=r"^get Pod a/b: GET /x: reset$") as caught:
        await caller.body(REQUEST, "get Pod a/b")

    assert caught.value.sent is sent


async def test_warnings_are_logged_once_each() -> None:
    """The server repeats them with every answer."""
    old = json_response({}, headers={"warning": '299 - "v1beta1 is deprecated"'})
    new = json_response({}, headers={"warning": '299 - "other", 299 - "v1beta1 is deprecated"'})
    caller, _ = _caller(old, old, new)

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await caller.body(REQUEST, "get Pod a/b")

    assert [(entry["event"], entry["call"], entry["text"]) for entry in logs] == [
        ("server warned", "get Pod a/b", "v1beta1 is deprecated"),
        ("server warned", "get Pod a/b", "other"),
    ]


class TestStream:
    """The same, for answers that go on."""

    async def test_is_handed_over_open(self) -> None:
        """And closed when its block ends."""
        transport = FakeTransport(lambda _: FakeResponse(stream=[b"a", b"b"]))
        caller = Caller(transport, None)

        async with caller.stream(REQUEST, "watch") as response:
            during = transport.open_exchanges
            chunks = [chunk async for chunk in response.chunks()]

        assert (chunks, during, transport.open_exchanges) == ([b"a", b"b"], 1, 0)

    async def test_failures_rise_on_entering(self) -> None:
        """A status and a lost connection alike; nothing stays open."""
        transport = FakeTransport(lambda _: status_response(409, "Conflict"))
        counter = Counter()
        caller = Caller(transport, counter)

        with pytest.raises(Conflict, match=r"^watch: "):
            async with caller.stream(REQUEST, "watch"):
                pytest.fail("the block must not be entered")
        transport.handler = lambda _: TransportError("down", sent=False)
        with pytest.raises(TransportError, match=r"^watch: down"):
            async with caller.stream(REQUEST, "watch"):
                pytest.fail("the block must not be entered")

        assert transport.open_exchanges == 0
        assert [code for _, _, code in counter.counted] == [409, "<error>"]

    async def test_errors_inside_the_stream_rise_unchanged(self) -> None:
        """They belong to whoever reads."""
        error = TransportError("silent", sent=True)
        caller, counter = _caller(FakeResponse(stream=[b"a", error]))

        async with caller.stream(REQUEST, "watch") as response:
            chunks = response.chunks()
            first = await anext(chunks)
            with pytest.raises(TransportError) as caught:
                await anext(chunks)

        assert first == b"a"
        assert caught.value is error
        assert [code for _, _, code in counter.counted] == [200]
