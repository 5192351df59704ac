"""Asks before the first byte of a request: where aiohttp is told, and why nowhere else."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import final

import aiohttp


@final
class Gate:
    """One request's `before_send`, called once for each time the request is about to go out.

    A body goes out from a task of its own, a turn of the loop after the headers were put
    together, and the headers with it: the question belongs to the body's first chunk then,
    because in between the loop may hang. No other place is asked with the connection in hand and
    nothing in between.
    """

    __slots__ = ("_ask", "_asks_at_headers", "_due", "refusal")

    def __init__(self, ask: Callable[[], None], *, has_body: bool) -> None:
        self._ask = ask
        self._asks_at_headers = not has_body
        self._due = False
        self.refusal: Exception | None = None
        """What `before_send` raised; aiohttp wraps it, in one of several ways."""

    def headers(self) -> None:
        """Take note that the headers are next."""
        self._due = True
        if self._asks_at_headers:
            self._pass()

    def chunk(self) -> None:
        """Take note that a chunk of the body is next; the headers go out with the first."""
        if self._due:
            self._pass()

    def _pass(self) -> None:
        self._due = False
        try:
            self._ask()
        except Exception as error:
            self.refusal = error
            raise


def gates() -> aiohttp.TraceConfig:
    """Return what makes a session ask the `Gate` that a request has as `trace_request_ctx`."""
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_before_headers)
    config.on_request_chunk_sent.append(_before_chunk)
    return config


# Both signals are named for what they come before: the bytes are written right after them, in the
# same turn of the loop.


async def _before_headers(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    gate = context.trace_request_ctx
    if isinstance(gate, Gate):
        gate.headers()


async def _before_chunk(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestChunkSentParams,
) -> None:
    gate = context.trace_request_ctx
    if isinstance(gate, Gate):
        gate.chunk()
