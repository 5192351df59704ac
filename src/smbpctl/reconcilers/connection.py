"""How the transaction log is reached: Secrets read into one connection, or what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from smbpctl.api.v1alpha1 import AuthenticationSpec, AuthenticationType, BigPeer, ExternalLogSpec
from smbpctl.observed import SecretProblem
from smbpctl.operand import contract
from smbpctl.reconcilers.facts import mapping
from smbpctl.reconcilers.kinds import SECRET
from smbpctl.reconcilers.pem import decoded
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.meta import Manifest, ObjectKey

_EXTERNAL: Final = "spec.transactionLog.external"
_AUTHENTICATION: Final = f"{_EXTERNAL}.authentication"


@final
@dataclass(slots=True)
class Connection:
    """A connection under construction: the contract's files, and every problem met on the way.

    It is usable only while `problems` is empty.
    """

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    problems: list[SecretProblem] = field(default_factory=list[SecretProblem])

    def take(self, secret: Manifest | None, name: str, path: str, files: Mapping[str, str]) -> None:
        """Copy values of a Secret into the connection; `files` maps file names to its keys.

        `path` is the field of the spec that asks for the Secret; it goes into the problem.
        """
        if secret is None:
            self.problems.append(SecretProblem(name, path, "does not exist", present=False))
            return
        for file, key in files.items():
            value = decoded(secret, key)
            if value:
                self.files[file] = value
            else:
                self.problems.append(SecretProblem(name, path, f"has no key {key}", present=True))


async def read_secret(cache: Cache, key: ObjectKey) -> Manifest | None:
    """Return a Secret's newest content; None, without asking the server, where none is known."""
    return await cache.live_get(SECRET, key) if cache.meta(SECRET, key) is not None else None


async def external_connection(
    cache: Cache, peer: BigPeer, log: ExternalLogSpec, topic: str
) -> Connection:
    """Return the connection to a Kafka cluster that somebody else runs."""
    connection = Connection()
    authentication = log.authentication
    connection.files[contract.LOG_BOOTSTRAP_SERVERS] = ",".join(log.bootstrap_servers).encode()
    connection.files[contract.LOG_TOPIC] = topic.encode()
    protocol = security_protocol(tls=log.tls is not None, authentication=authentication)
    connection.files[contract.LOG_SECURITY_PROTOCOL] = protocol.encode()
    if log.tls is not None:
        name = log.tls.ca_secret_ref.name
        secret = await read_secret(cache, ObjectKey(peer.namespace, name))
        path = f"{_EXTERNAL}.tls.caSecretRef"
        connection.take(secret, name, path, {contract.LOG_CA: "ca.crt"})
    await _authenticate(cache, peer, authentication, connection)
    return connection


def security_protocol(*, tls: bool, authentication: AuthenticationSpec) -> str:
    """Return Kafka's name for the combination of encryption and authentication."""
    sasl = "SASL_" if authentication.type is AuthenticationType.SCRAM else ""
    # A client certificate is only ever presented over TLS, with or without a CA of our own.
    encrypted = tls or authentication.type is AuthenticationType.TLS
    return f"{sasl}{'SSL' if encrypted else 'PLAINTEXT'}"


async def _authenticate(
    cache: Cache, peer: BigPeer, authentication: AuthenticationSpec, connection: Connection
) -> None:
    if authentication.tls is not None:
        name = authentication.tls.secret_ref.name
        secret = await read_secret(cache, ObjectKey(peer.namespace, name))
        files = {contract.LOG_CERTIFICATE: "tls.crt", contract.LOG_KEY: "tls.key"}
        connection.take(secret, name, f"{_AUTHENTICATION}.tls.secretRef", files)
    if authentication.scram is not None:
        scram = authentication.scram
        connection.files[contract.LOG_SASL_MECHANISM] = scram.mechanism.value.encode()
        secret = await read_secret(cache, ObjectKey(peer.namespace, scram.secret_ref.name))
        files = {contract.LOG_USERNAME: "username", contract.LOG_PASSWORD: "password"}
        path = f"{_AUTHENTICATION}.scram.secretRef"
        connection.take(secret, scram.secret_ref.name, path, files)


def all_certificates(secret: Mapping[str, Any] | None) -> bytes:
    """Return every certificate of a Strimzi CA Secret, newest name last, as one PEM bundle.

    While a CA key is being replaced the old certificate stays beside the new one under a dated
    name: brokers present either, so clients must trust all of them.
    """
    names = sorted(name for name in mapping((secret or {}).get("data")) if name.endswith(".crt"))
    values = (decoded(secret or {}, name) for name in names)
    return b"".join(value if value.endswith(b"\n") else value + b"\n" for value in values if value)
