"""A certificate authority in memory, and the key pairs that a control plane needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
# A verifier whose clock is a little behind must not find a certificate "not yet valid".
_BACKDATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A PEM certificate and its unencrypted PEM PKCS #8 private key."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ECDSA key pair without a certificate, PEM; Kubernetes signs account tokens with it."""

    private: bytes
    public: bytes


def new_signing_key() -> SigningKey:
    """Make a P-256 key pair; Kubernetes accepts it for ES256 tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(private=_pem(key), public=public)


@final
class CertificateAuthority:
    """A self-signed ECDSA P-256 authority that lives as long as this object.

    Certificates are valid from five minutes before `now` for `LIFETIME`.
    """

    def __init__(self, name: str, *, now: datetime) -> None:
        """Make the authority's own key and certificate; `now` is an aware datetime."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        # No certificate below has a unit, so none can have this subject: OpenSSL takes one whose
        # subject is its issuer for self-signed and refuses it.
        unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "certificate authority")
        self._name = x509.Name([unit, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public = self._key.public_key()
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        builder = _builder(self._name, self._name, public, now)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        self.key: bytes = _pem(self._key)

    def issue_server(self, name: str, *, hosts: Sequence[str], now: datetime) -> KeyPair:
        """Sign a certificate for a server reachable as each of `hosts` (DNS names, addresses).

        It is fit for client authentication too: an etcd member dials its peers, and itself,
        with its serving certificate.
        """
        usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(subject, usages, alternatives, now)

    def issue_client(self, user: str, *, groups: Sequence[str] = (), now: datetime) -> KeyPair:
        """Sign a client certificate: Kubernetes takes the CN as user, each O as a group.

        Raises `ValueError` when a name is empty or longer than the 64 characters of X.520.
        """
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        return self._issue(subject, (ExtendedKeyUsageOID.CLIENT_AUTH,), None, now)

    def _issue(
        self,
        subject: Sequence[x509.NameAttribute[str]],
        usages: Sequence[x509.ObjectIdentifier],
        alternatives: x509.SubjectAlternativeName | None,
        now: datetime,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        builder = (
            _builder(x509.Name(subject), self._name, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(authority, critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
