"""Translates every failure of aiohttp and TLS into `TransportError`: the one place that decides."""

import aiohttp

from smbpctl.runtime.errors import TransportError

_NOTHING_SENT = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS handshake, the proxy's too
    aiohttp.ConnectionTimeoutError,  # no connection in time, from the pool or from the server
    aiohttp.ClientHttpProxyError,  # the proxy declined to open the tunnel
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
"""After these no byte of the request can have reached the server; after all others it may have."""


def transport_error(error: Exception, what: str) -> TransportError:
    """Return the error to raise instead of `error`; `what` is the method and URL that failed."""
    if isinstance(error, TransportError):
        return error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        reason = f"host name {error.host!r} cannot be resolved: {error.os_error}"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = f"the server's certificate is not trusted: {error.certificate_error}"
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        reason = f"the proxy answered {error.status} {error.message}".rstrip()
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        reason = "no connection in time"
    elif isinstance(error, aiohttp.ClientConnectorError):
        reason = f"cannot connect to {error.host}:{error.port}: {error.os_error}"
    elif isinstance(error, TimeoutError):
        reason = "no answer in time"
    elif isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        reason = "the connection was lost before the answer was complete"
    else:
        reason = f"{type(error).__name__}: {error}"
    return TransportError(f"{what}: {reason}", sent=not isinstance(error, _NOTHING_SENT))
