"""`Transport` over the network: aiohttp sessions with the credentials and TLS of one cluster."""

import asyncio
import io
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from typing import final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from smbpctl.runtime.clock import Clock, LoopClock
from smbpctl.runtime.errors import TransportError, Unauthorized
from smbpctl.runtime.transport.answer import failure
from smbpctl.runtime.transport.configuration import ClusterConfig, Credential
from smbpctl.runtime.transport.credentials import Credentials
from smbpctl.runtime.transport.exchange import HttpRequest
from smbpctl.runtime.transport.faults import transport_error
from smbpctl.runtime.transport.gate import Gate, gates
from smbpctl.runtime.transport.response import BUFFER, SessionResponse
from smbpctl.runtime.transport.tls import TlsContexts
from smbpctl.runtime.transport.websocket import WebSocket

CONNECT_TIMEOUT = timedelta(seconds=10)
"""The longest wait for a connection: from the pool, or by DNS, TCP and TLS together."""

IDLE_CONNECTION = timedelta(seconds=30)
"""How long an unused connection is kept; load balancers commonly drop theirs after 60 s."""

_LARGE_BODY = 512 * 1024
_CLOSING_TURNS = 3


@final
class HttpTransport:
    """Satisfies `Transport` with aiohttp.

    With a `ClusterConfig` every request carries its credentials and goes to its server only; with
    None it is a plain client for other hosts, which takes absolute URLs. Streams (no `timeout`)
    and calls have separate connection pools, so that watches never starve calls. Redirects are
    not followed and the environment is not consulted. It belongs to one event loop: connections
    are made inside it and `close` ends them. `connector` makes other than TCP connections.
    """

    def __init__(
        self,
        config: ClusterConfig | None = None,
        *,
        user_agent: str = "smbpctl-runtime",
        clock: Clock | None = None,
        connections: int = 100,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
    ) -> None:
        self._config = config
        self._base_url = config.base_url if config else ""
        self._connections = connections
        self._connector = connector
        self._headers = _session_headers(config, user_agent)
        self._proxy = URL(config.proxy_url) if config and config.proxy_url else None
        clock = clock or LoopClock()
        self._credentials = Credentials(config, clock) if config else None
        secure = config is not None and config.server.startswith("https:")
        self._tls = TlsContexts(config, clock) if config and secure else None
        # By whether they are for streams, and whether they ask before the first byte.
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}
        self._closed = False

    @property
    def base_url(self) -> str:
        """Return the server's URL without trailing slash; empty for the plain client."""
        return self._base_url

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncGenerator[SessionResponse]:
        """Send a request; see `Transport.send`.

        A 401 is tried once more when the credential could be renewed, an untrusted certificate
        when the CA file has changed, and a GET when an idle connection turned out to be dead; a
        request that may have been executed is never repeated. Raises TransportError without
        answer, ConfigurationError when no credential or TLS context can be made.
        """
        what = f"{request.method} {request.url}"
        ask = request.before_send
        gate = None if ask is None else Gate(ask, has_body=bool(request.body))
        try:
            response = await self._open(request, gate)
        except (aiohttp.ClientError, OSError) as error:
            if gate is not None and gate.refusal is not None:
                raise gate.refusal from None
            raise transport_error(error, what) from error
        try:
            yield SessionResponse(response, what, gathers=request.gathers)
        finally:
            # Read to its end, the body has returned the connection to the pool. If not, it is of no
            # use to anybody: aborted, because a polite end of TLS would outlive the session.
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
            response.release()
            await response.wait_for_close()

    @asynccontextmanager
    async def websocket(
        self, url: str, protocol: str, *, what: str, within: timedelta = CONNECT_TIMEOUT
    ) -> AsyncGenerator[WebSocket]:
        """Open a WebSocket that speaks `protocol`, in this time; leaving the block ends it.

        Credentials and TLS are those of `send`, renewed like there. `what` leads the messages of
        errors. Raises ApiStatusError when the server refuses the upgrade, TransportError without
        answer or when it speaks another protocol, ConfigurationError as `send` does.
        """
        upgrade = _Upgrade(what)
        session = aiohttp.ClientSession(
            connector=self._session(stream=True).connector,
            connector_owner=False,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_client_timeout(None, None),
            middlewares=(upgrade,),
        )
        try:
            try:
                async with asyncio.timeout(within.total_seconds()):
                    socket = await self._upgraded(session, url, protocol)
            except (aiohttp.ClientError, OSError) as error:
                raise transport_error(error, what) from error
            if socket.protocol != protocol:
                raise TransportError(f"{what}: the server does not speak {protocol}", sent=True)
            opened = WebSocket(socket, what)
            yield opened
            await opened.close()
        finally:
            upgrade.abort()
            await session.close()

    async def close(self) -> None:
        """Close every connection; requests under way and later ones raise TransportError."""
        self._closed = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        # Sockets of aborted connections are closed in the next turns of the loop.
        for _ in range(_CLOSING_TURNS):
            await LoopClock().sleep(timedelta(0))

    async def _open(self, request: HttpRequest, gate: Gate | None) -> aiohttp.ClientResponse:
        if self._credentials is None:
            return await self._exchange(request, Credential(), gate)
        credential = await self._credentials.current()
        try:
            response = await self._exchange(request, credential, gate)
        except aiohttp.ClientConnectorCertificateError:
            if self._tls is None or not self._tls.reload(credential):
                raise
            response = await self._exchange(request, credential, gate)
        if response.status != 401:
            return response
        try:
            renewed = await self._renewed(self._credentials, credential)
        except BaseException:
            response.close()
            raise
        if not renewed:
            return response
        response.release()
        return await self._exchange(request, await self._credentials.current(), gate)

    async def _renewed(self, credentials: Credentials, rejected: Credential) -> bool:
        renewed = await credentials.renew(rejected)
        if self._tls is not None and not renewed:
            renewed = self._tls.reload(rejected)
            self._tls.refuse_expired()
        return renewed

    async def _upgraded(
        self, session: aiohttp.ClientSession, url: str, protocol: str
    ) -> aiohttp.ClientWebSocketResponse:
        if self._credentials is None:
            return await self._upgrade(session, url, protocol, Credential())
        credential = await self._credentials.current()
        try:
            return await self._upgrade(session, url, protocol, credential)
        except aiohttp.ClientConnectorCertificateError:
            if self._tls is None or not self._tls.reload(credential):
                raise
        except Unauthorized:
            if not await self._renewed(self._credentials, credential):
                raise
            credential = await self._credentials.current()
        return await self._upgrade(session, url, protocol, credential)

    async def _upgrade(
        self, session: aiohttp.ClientSession, url: str, protocol: str, credential: Credential
    ) -> aiohttp.ClientWebSocketResponse:
        authorization = credential.authorization
        return await session.ws_connect(
            URL(self._url(url), encoded=True),
            protocols=(protocol,),
            headers={"Authorization": authorization} if authorization else None,
            ssl=True if self._tls is None else self._tls.current(credential),
            server_hostname=self._config.server_name if self._config else None,
            proxy=self._proxy,
        )

    async def _exchange(
        self, request: HttpRequest, credential: Credential, gate: Gate | None
    ) -> aiohttp.ClientResponse:
        headers = dict(request.headers)
        if credential.authorization:
            headers["Authorization"] = credential.authorization
        # Without bytes there is no first chunk, at which a gate would be asked.
        body = request.body or None
        return await self._session(stream=request.timeout is None, gated=gate is not None).request(
            request.method,
            URL(self._url(request.url), encoded=True),
            headers=headers,
            # aiohttp warns of large bodies given as bytes: they would be copied in one piece.
            data=io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body,
            timeout=_client_timeout(request.timeout, request.read_timeout),
            ssl=True if self._tls is None else self._tls.current(credential),
            server_hostname=self._config.server_name if self._config else None,
            proxy=self._proxy,
            allow_redirects=False,
            middlewares=(_never_repeat,) if request.method in {"DELETE", "PUT"} else None,
            trace_request_ctx=gate,
        )

    def _url(self, url: str) -> str:
        if url.startswith("/") and self._base_url:
            return self._base_url + url
        # The credentials are for one server: a URL from a response must not carry them elsewhere.
        if self._base_url and not url.startswith(f"{self._base_url}/"):
            raise ValueError(f"{url} is not on {self._base_url}")
        return url

    def _session(self, *, stream: bool, gated: bool = False) -> aiohttp.ClientSession:
        session = self._sessions.get((stream, gated))
        if session is None:
            session = self._sessions[stream, gated] = self._new_session(stream, gated=gated)
        return session

    def _new_session(self, stream: bool, *, gated: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise TransportError("the transport is closed", sent=False)
        if gated:
            # Of its own, because being asked costs every request of a session.
            connector = self._session(stream=stream).connector
        elif self._connector is not None:
            connector = self._connector()
        else:
            connector = aiohttp.TCPConnector(
                limit=0 if stream else self._connections,
                keepalive_timeout=IDLE_CONNECTION.total_seconds(),
            )
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=not gated,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=BUFFER,
            timeout=_client_timeout(None, None),
            trace_configs=[gates()] if gated else None,
        )


@final
class _Upgrade:
    """Middleware of one WebSocket: reads what a refusal says, and keeps the connection's end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._response: aiohttp.ClientResponse | None = None
        self._transport: asyncio.Transport | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = await handler(request)
        if response.status == 101:
            self._response = response
            self._transport = response.connection.transport if response.connection else None
            return response
        # Only here can the body be read: aiohttp's own error has the bare status, and a redirect
        # would be followed.
        try:
            raise await failure(SessionResponse(response, self._what), self._what)
        finally:
            response.close()

    def abort(self) -> None:
        """End the connection at once, whatever is still to be sent; harmless when there is none."""
        if self._transport is not None:
            self._transport.abort()
        if self._response is not None:
            self._response.close()


async def _never_repeat(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a DELETE or a PUT again after a lost connection.

    HTTP calls them idempotent, but a second DELETE could hit a namesake created in between, and a
    second PUT would be told that the first one's resourceVersion is outdated.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise transport_error(error, f"{request.method} {request.url}") from error


@lru_cache(maxsize=64)
def _client_timeout(total: timedelta | None, silence: timedelta | None) -> aiohttp.ClientTimeout:
    # The connection gets less than the whole: only then is a timeout there told from one after
    # the request was sent.
    connect = CONNECT_TIMEOUT if total is None else min(CONNECT_TIMEOUT, total / 2)
    return aiohttp.ClientTimeout(
        total=total.total_seconds() if total else None,
        connect=connect.total_seconds(),
        sock_read=silence.total_seconds() if silence else None,
    )


def _session_headers(config: ClusterConfig | None, user_agent: str) -> CIMultiDict[str]:
    gzip = config is not None and config.compression
    headers = CIMultiDict(
        {"User-Agent": user_agent, "Accept-Encoding": "gzip" if gzip else "identity"}
    )
    for name, value in config.headers if config else ():
        headers.add(name, value)
    return headers
