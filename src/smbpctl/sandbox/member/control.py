"""How tests steer a member from outside: the endpoints below `/fake`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, final

import structlog
from aiohttp import web

from smbpctl.runtime.clock import Clock
from smbpctl.sandbox.behaviour import Behaviour, NotABehaviour
from smbpctl.sandbox.member.state import State

PREFIX: Final = "/fake"
"""No component serves anything else below it."""

CHUNK: Final = 4 * 1024 * 1024
"""How much memory, in bytes, is filled before others get their turn: a matter of milliseconds."""

_NOW: Final = timedelta(0)
_LARGEST: Final = 2**50  # anything above is a slip of the hand
_STATUS_OF_CRASH: Final = 1

_log = structlog.get_logger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.Response]]


@final
class Control:
    """Answers `/fake/...` of one member; it does so whatever the member's behaviour.

    `PUT /fake/behaviour` takes the JSON of a `Behaviour`, `DELETE` ends that. `POST` to
    `/fake/allocate?bytes=N` holds and fills memory, `/fake/commit?transactions=N` advances the
    log, `/fake/exit?status=N` ends the process. What is malformed is answered with 400 and the
    name of the field. `end` is called with the status the process is to end with.
    """

    def __init__(self, state: State, *, clock: Clock, end: Callable[[int], None]) -> None:
        self._state = state
        self._clock = clock
        self._end = end
        self._held: list[bytes] = []
        self._handlers: Mapping[str, Mapping[str, _Handler]] = {
            f"{PREFIX}/behaviour": {"PUT": self._misbehave, "DELETE": self._behave_well},
            f"{PREFIX}/allocate": {"POST": self._allocate},
            f"{PREFIX}/commit": {"POST": self._commit},
            f"{PREFIX}/exit": {"POST": self._exit},
        }

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request below the prefix."""
        handlers = self._handlers.get(request.path)
        if handlers is None:
            raise web.HTTPNotFound
        if request.method not in handlers:
            raise web.HTTPMethodNotAllowed(request.method, handlers)
        return await handlers[request.method](request)

    async def _misbehave(self, request: web.Request) -> web.Response:
        _parameters(request)
        try:
            behaviour = Behaviour.from_json(await request.read())
        except NotABehaviour as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return self._behave(behaviour)

    async def _behave_well(self, request: web.Request) -> web.Response:
        _parameters(request)
        return self._behave(Behaviour())

    def _behave(self, behaviour: Behaviour) -> web.Response:
        try:
            self._state.behave(behaviour)
        except OSError as error:
            raise web.HTTPInternalServerError(text=f"crashes: {error}") from error
        document = behaviour.to_json()
        _log.info("behaviour changed", behaviour=document)
        if behaviour.crashes:
            self._end(_STATUS_OF_CRASH)
        return web.Response(text=document, content_type="application/json")

    async def _allocate(self, request: web.Request) -> web.Response:
        wanted = _number(request, "bytes", most=_LARGEST)
        # Said before it is done: what is asked for may be more than there is.
        _log.info("allocation started", bytes=wanted)
        for start in range(0, wanted, CHUNK):
            # Filled with something, for a page that was never written to takes no memory.
            self._held.append(b"\x01" * min(CHUNK, wanted - start))
            await self._clock.sleep(_NOW)
        return web.json_response({"held": sum(map(len, self._held))})

    async def _commit(self, request: web.Request) -> web.Response:
        self._state.log_head += _number(request, "transactions", most=_LARGEST)
        _log.info("log advanced", log_head=self._state.log_head)
        return web.json_response({"logHead": self._state.log_head})

    async def _exit(self, request: web.Request) -> web.Response:
        status = _number(request, "status", most=255)
        self._end(status)
        return web.json_response({"status": status})


def _parameters(request: web.Request, *known: str) -> None:
    """Refuse parameters that mean nothing here, or are given more than once."""
    for name in request.query:
        if name not in known:
            raise web.HTTPBadRequest(text=f"{name} is not a parameter of {request.path}")
        if len(request.query.getall(name)) > 1:
            raise web.HTTPBadRequest(text=f"{name} is given more than once")


def _number(request: web.Request, name: str, *, most: int) -> int:
    _parameters(request, name)
    text = request.query.get(name, "")
    # int() would take signs, underscores and the digits of every script.
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not 0 <= number <= most:
        raise web.HTTPBadRequest(text=f"{name} must be a number from 0 to {most}, not {text!r}")
    return number
