"""What is wrong with a certificate Secret: PEM, key match, validity, names; said precisely."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, cast, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

CERTIFICATE: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"


@final
@dataclass(frozen=True, slots=True)
class Material:
    """The outcome of looking at a Secret: `problem` is empty when nothing is wrong."""

    problem: str = ""
    expired: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None


def decoded(secret: Mapping[str, Any], name: str) -> bytes | None:
    """Return one value of a Secret as bytes; None when the key is absent or not base64."""
    data = secret.get("data")
    value = cast("Mapping[str, object]", data).get(name) if isinstance(data, Mapping) else None
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def examine(
    secret: Mapping[str, Any],
    now: datetime,
    *,
    authority: bool = False,
    hosts: tuple[str, ...] = (),
) -> Material:
    """Look at a Secret of certificate and key.

    Checks that both are PEM, that they belong together, that the certificate is valid `now`,
    that it may sign others when it is an `authority`, and that it covers `hosts`. Messages never
    contain key material.
    """
    certificate_pem, key_pem = decoded(secret, CERTIFICATE), decoded(secret, PRIVATE_KEY)
    for name, value in ((CERTIFICATE, certificate_pem), (PRIVATE_KEY, key_pem)):
        if not value:
            return Material(f"has no key {name}")
    chain = _chain(certificate_pem or b"")
    if chain is None:
        return Material(f"{CERTIFICATE} is not a PEM certificate")
    key = _private_key(key_pem or b"")
    if key is None:
        return Material(f"{PRIVATE_KEY} is not an unencrypted PEM private key")
    leaf = chain[0]
    try:
        problem = (
            _key_problem(leaf, key)
            or _chain_problem(chain)
            or _validity_problem(leaf, now)
            or (_authority_problem(leaf) if authority else "")
            or _host_problem(leaf, hosts)
        )
        begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        # Parts of a certificate are decoded only when they are asked for.
        return Material(f"{CERTIFICATE} is damaged, or of a kind that is not supported")
    return Material(problem, now >= ends, begins, ends)


def _chain(pem: bytes) -> list[x509.Certificate] | None:
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        return None


def _private_key(pem: bytes) -> PrivateKeyTypes | None:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _key_problem(leaf: x509.Certificate, key: PrivateKeyTypes) -> str:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) == key.public_key().public_bytes(*form):
        return ""
    return f"{PRIVATE_KEY} does not belong to the certificate in {CERTIFICATE}"


def _chain_problem(chain: list[x509.Certificate]) -> str:
    for position, (lower, upper) in enumerate(pairwise(chain)):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            return (
                f"{CERTIFICATE}: certificate {position} is not signed by certificate {position + 1}"
            )
    return ""


def _validity_problem(leaf: x509.Certificate, now: datetime) -> str:
    if now < leaf.not_valid_before_utc:
        return f"{CERTIFICATE} is not valid before {leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now >= leaf.not_valid_after_utc:
        return f"{CERTIFICATE} expired at {leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    return ""


def _authority_problem(leaf: x509.Certificate) -> str:
    try:
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = None
    if constraints is not None and constraints.ca:
        return ""
    return f"{CERTIFICATE} is not a certificate authority (basicConstraints CA is not set)"


def _host_problem(leaf: x509.Certificate, hosts: tuple[str, ...]) -> str:
    if not hosts:
        return ""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        covered = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        covered = set[str]()
    missing = [host for host in hosts if not _covers(covered, host.lower())]
    return f"{CERTIFICATE} does not cover {', '.join(missing)}" if missing else ""


def _covers(names: set[str], host: str) -> bool:
    """Tell whether a name, or a wildcard over exactly one label, covers the host (RFC 6125)."""
    _, dot, parent = host.partition(".")
    return host in names or (bool(dot) and f"*.{parent}" in names)
