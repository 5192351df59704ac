"""Where the API server is and who we are there: `ClusterConfig` and `Credential`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, final

from smbpctl.runtime.errors import ConfigurationError


@final
@dataclass(frozen=True, slots=True)
class Credential:
    """What one request proves its identity with; secrets stay out of the repr.

    `authorization` is the whole header value, empty for none. `certificate` and `key` are PEM.
    After `expires` the server will refuse it.
    """

    authorization: str = field(default="", repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    expires: datetime | None = None


CredentialPlugin: TypeAlias = Callable[[], Awaitable[Credential]]
"""Obtains a fresh credential, for example by running a kubeconfig's exec plugin."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """One API server and one identity, as the transport needs them.

    Of each pair of data and file the file is re-read while the process runs: tokens and
    certificates rotate. `source` says where the values came from and leads error messages.
    `namespace` is the one of the context or of the pod. `headers` go with every request
    (impersonation). `compression` asks for gzip: it pays on slow links only. `in_cluster` says
    that this process runs in a pod of the cluster, so that it reaches the others' addresses.
    """

    server: str
    source: str = "cluster configuration"
    namespace: str = "default"
    user_hint: str = ""
    ca_data: bytes | None = None
    ca_file: Path | None = None
    client_certificate: bytes | None = field(default=None, repr=False)
    client_certificate_file: Path | None = None
    client_key: bytes | None = field(default=None, repr=False)
    client_key_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credential_plugin: CredentialPlugin | None = None
    verify: bool = True
    server_name: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    compression: bool = False
    in_cluster: bool = False

    def __post_init__(self) -> None:
        if not self.server.startswith(("https://", "http://")):
            raise ConfigurationError(f"{self.source}: server {self.server!r} is not an HTTP URL")
        scheme, _, _ = (self.proxy_url or "http:").partition(":")
        if scheme not in {"http", "https"}:
            raise ConfigurationError(f"{self.source}: proxy-url: {scheme} proxies are unsupported")

    @property
    def base_url(self) -> str:
        """Return the server without a trailing slash; it may have a path prefix."""
        return self.server.rstrip("/")
