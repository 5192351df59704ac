"""Which proxy the environment names for a server, by Go's rules, since kubectl follows them."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def is_loopback(server: str) -> bool:
    """Tell whether a URL points to this machine."""
    host = urlsplit(server).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment_proxy(server: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy of `HTTPS_PROXY` or `HTTP_PROXY` unless `NO_PROXY` covers the server.

    This machine is never reached through a proxy. `NO_PROXY` may hold host names (subdomains
    included), `.suffixes`, addresses, address ranges, each with an optional port, or `*`.
    """
    url = urlsplit(server)
    variable = f"{url.scheme}_proxy"
    proxy = environ.get(variable.upper()) or environ.get(variable)
    if not proxy or is_loopback(server):
        return None
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if any(_covers(entry.strip().lower(), host, port) for entry in excluded.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, host: str, port: int) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdigit():
        if int(wanted_port) != port:
            return False
        entry = name
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith(f".{entry}")
