"""The Secrets a BigPeer refers to, made on the spot: what a person would bring along."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from smbpctl.api.v1alpha1 import BigPeer, TlsType
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest

_LIFETIME = timedelta(days=30)


@final
@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def secret(self, namespace: str, name: str) -> Manifest:
        """Return the pair as a Secret of type kubernetes.io/tls; `ca.crt` is the certificate."""
        certificate = self.certificate.public_bytes(Encoding.PEM)
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        data = {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/tls",
            "data": {file: base64.b64encode(value).decode() for file, value in data.items()},
        }


def authority(name: str, now: datetime) -> KeyPair:
    """Return a self-signed certificate authority, valid for thirty days around `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key, now).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def leaf(issuer: KeyPair, names: Iterable[str], now: datetime) -> KeyPair:
    """Return a certificate for DNS names, signed by `issuer`."""
    hosts = list(names)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    builder = _builder(subject, issuer.certificate.subject, key, now).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
    )
    return KeyPair(builder.sign(issuer.key, hashes.SHA256()), key)


def referenced_secrets(peer: BigPeer, now: datetime) -> list[Manifest]:
    """Return every Secret that the spec refers to, with fitting content, each once."""
    ca = authority(f"{peer.name} authority", now)
    own_name = f"{peer.name}.{peer.namespace}.svc"
    pairs: dict[str, KeyPair] = {}
    if peer.spec.tls.type is TlsType.SECRETS:
        pairs[naming.ca_secret(peer)] = ca
        pairs[naming.in_band_secret(peer)] = leaf(ca, [own_name], now)
        pairs[naming.jwt_secret(peer)] = leaf(ca, [f"jwt.{peer.name}"], now)
    for name, hosts in _served_hosts(peer).items():
        pairs[name] = leaf(ca, hosts or [own_name], now)
    external = peer.spec.transaction_log.external
    if external is not None and external.tls is not None:
        pairs[external.tls.ca_secret_ref.name] = ca
    if external is not None and external.authentication.tls is not None:
        name = external.authentication.tls.secret_ref.name
        pairs[name] = leaf(ca, [f"{peer.name}.client"], now)
    made = [pair.secret(peer.namespace, name) for name, pair in pairs.items()]
    if external is not None and external.authentication.scram is not None:
        made.append(_login(peer, external.authentication.scram.secret_ref.name))
    return made


def _served_hosts(peer: BigPeer) -> dict[str, list[str]]:
    """Return the serving certificates that the spec names, each with the hosts it must cover."""
    secrets = peer.spec.tls.secrets
    served: dict[str, list[str]] = {}
    if secrets is not None and secrets.serving is not None:
        served[secrets.serving.name] = []
    for exposure in peer.spec.exposure:
        name = naming.serving_secret(peer, exposure)
        if name is not None and (secrets is not None or exposure.tls.secret_ref is not None):
            served.setdefault(name, []).extend(exposure.hosts)
    return {name: list(dict.fromkeys(hosts)) for name, hosts in served.items()}


def _login(peer: BigPeer, name: str) -> Manifest:
    login = {"username": peer.name, "password": token_urlsafe()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": peer.namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in login.items()},
    }


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )
