"""TLS contexts from CA and client certificates, rebuilt when the files they came from change."""

import ssl
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.configuration import ClusterConfig, Credential

RELOAD_AFTER = timedelta(seconds=60)
"""How old the content of a certificate file may get before the file is read again."""


@final
class TlsContexts:
    """The TLS context for one cluster and the credential of the moment.

    Connections that exist keep the context they were made with; a changed CA, certificate or key
    takes effect for new connections, without a restart.
    """

    def __init__(self, config: ClusterConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._made_from: tuple[Credential, bytes | None, bytes | None, bytes | None] | None = None
        self._read_at = 0.0
        self._expires: datetime | None = None
        self._from_files = any(
            (config.ca_file, config.client_certificate_file, config.client_key_file)
        )

    def current(self, credential: Credential) -> ssl.SSLContext:
        """Return the context for new connections; raise ConfigurationError where none can be made.

        Files are read at most once a minute, synchronously: they are small and local.
        """
        age = self._clock.monotonic() - self._read_at
        made_for = self._made_from[0] if self._made_from else None
        stale = self._from_files and age >= RELOAD_AFTER.total_seconds()
        if self._context is None or not _same_certificate(made_for, credential):
            self.reload(credential)
        elif stale:
            self._reload_quietly(credential)
        if self._context is None:
            raise ConfigurationError(f"{self._config.source}: no TLS context")
        return self._context

    def reload(self, credential: Credential) -> bool:
        """Read the files again; return whether anything changed."""
        config = self._config
        self._read_at = self._clock.monotonic()
        ca = _content(config.ca_data, config.ca_file, f"{config.source}: certificate-authority")
        certificate, key = credential.certificate, credential.key
        if certificate is None:
            where = f"{config.source}: client-certificate"
            certificate = _content(config.client_certificate, config.client_certificate_file, where)
            key = _content(
                config.client_key, config.client_key_file, f"{config.source}: client-key"
            )
        parts = (credential, ca, certificate, key)
        if self._made_from is not None and parts[1:] == self._made_from[1:]:
            self._made_from = parts
            return False
        context, expires = _server_context(config, ca), None
        if certificate is not None:
            expires = certificate_expiry(certificate, config.source)
            _refuse_expired(expires, self._clock.now(), config.source)
            _load_chain(context, certificate, key, config.source)
        self._context, self._made_from, self._expires = context, parts, expires
        return True

    def refuse_expired(self) -> None:
        """Raise ConfigurationError when the client certificate in use is past its date.

        An API server answers a plain 401 then, which says nothing of the cause.
        """
        if self._expires is not None:
            _refuse_expired(self._expires, self._clock.now(), self._config.source)

    def _reload_quietly(self, credential: Credential) -> None:
        try:
            self.reload(credential)
        except ConfigurationError as error:
            # A rotation may be under way: certificate and key are two files. The old pair still
            # counts, and the next minute looks again.
            structlog.get_logger().warning("certificates were not reloaded", error=str(error))


def _refuse_expired(expires: datetime, now: datetime, source: str) -> None:
    if now >= expires:
        raise ConfigurationError(f"{source}: client-certificate expired on {expires:%Y-%m-%d}")


def _same_certificate(one: Credential | None, other: Credential) -> bool:
    return one is other or (
        one is not None and (one.certificate, one.key) == (other.certificate, other.key)
    )


def _content(data: bytes | None, path: Path | None, where: str) -> bytes | None:
    if path is None:
        return data
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{where}: {path} is unreadable: {error}") from error


def _server_context(config: ClusterConfig, ca: bytes | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca.decode("ascii") if ca else None)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"{config.source}: certificate-authority is no PEM certificate: {error}"
        ) from error
    # Python 3.13 turned this on; many cluster CAs lack the extensions it wants, and Go never asks.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_chain(
    context: ssl.SSLContext, certificate: bytes, key: bytes | None, source: str
) -> None:
    if key is None:
        raise ConfigurationError(f"{source}: client-certificate is given without client-key")
    # OpenSSL takes a path only; the directory is readable by us alone and gone when we return.
    with tempfile.TemporaryDirectory() as directory:
        chain = Path(directory) / "client.pem"
        chain.touch(mode=0o600)
        chain.write_bytes(certificate.rstrip() + b"\n" + key)
        try:
            context.load_cert_chain(chain, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                f"{source}: client-certificate and client-key do not form a pair: {error}"
            ) from error


def _no_password() -> str:
    # Without a callback OpenSSL would ask on the terminal and hang.
    raise ValueError("the key is encrypted")


def certificate_expiry(certificate: bytes, source: str) -> datetime:
    """Return when the first certificate of a PEM chain expires.

    Raises ConfigurationError when it is none.
    """
    # Late: most processes prove themselves by token and never need it.
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError as error:
        raise ConfigurationError(
            f"{source}: client-certificate is no PEM certificate: {error}"
        ) from error
