"""Tests of the certificate authority, by real handshakes in memory."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.simulation.controlplane.certificates import (
    LIFETIME,
    CertificateAuthority,
    KeyPair,
    new_signing_key,
)

NOW = LoopClock().now()


@pytest.fixture
def authority() -> CertificateAuthority:
    """An authority made now."""
    return CertificateAuthority("test", now=NOW)


def context(
    folder: Path, *, pair: KeyPair, trusted: CertificateAuthority, server: bool
) -> ssl.SSLContext:
    """A TLS context of one side that demands a certificate of `trusted` from the other."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(cadata=trusted.certificate.decode())
    file = folder / ("server.pem" if server else "client.pem")
    file.write_bytes(pair.certificate + pair.key)
    made.load_cert_chain(file)
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """Connect both sides in memory; return the server's, or raise what either side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):
        for side in (client_side, server_side):
            # Each side stops where it has to hear from the other first.
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return server_side


def test_client_and_server_accept_each_other(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Certificates of one authority pass strict verification, and the server learns who calls."""
    serving = authority.issue_server("server", hosts=["127.0.0.1", "localhost"], now=NOW)
    user = authority.issue_client("ann", groups=["b", "a"], now=NOW)
    server = context(tmp_path, pair=serving, trusted=authority, server=True)
    client = context(tmp_path, pair=user, trusted=authority, server=False)

    side = handshake(server, client, "127.0.0.1")

    certificate = side.getpeercert()
    assert certificate is not None
    assert certificate["subject"] == (
        (("organizationName", "b"),),
        (("organizationName", "a"),),
        (("commonName", "ann"),),
    )


def test_a_certificate_may_have_its_authoritys_name(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """A server or user called like the authority is not mistaken for a self-signed one."""
    same = authority.issue_server("test", hosts=["localhost"], now=NOW)
    server = context(tmp_path, pair=same, trusted=authority, server=True)
    client = context(tmp_path, pair=same, trusted=authority, server=False)

    side = handshake(server, client, "localhost")

    assert side.getpeercert() is not None


@pytest.mark.parametrize("host", ["127.0.0.2", "example.test"])
def test_a_server_is_accepted_only_under_its_names(
    authority: CertificateAuthority, tmp_path: Path, host: str
) -> None:
    """A name or address that is not in the certificate is refused."""
    serving = authority.issue_server("server", hosts=["127.0.0.1", "localhost"], now=NOW)
    server = context(tmp_path, pair=serving, trusted=authority, server=True)
    client = context(tmp_path, pair=serving, trusted=authority, server=False)

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(server, client, host)


def test_another_authority_of_the_same_name_is_not_trusted(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Trust hangs on the key, not on the name."""
    impostor = CertificateAuthority("test", now=NOW)
    serving = impostor.issue_server("server", hosts=["localhost"], now=NOW)
    server = context(tmp_path, pair=serving, trusted=authority, server=True)
    client = context(tmp_path, pair=serving, trusted=authority, server=False)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "localhost")


def test_a_client_certificate_cannot_serve(authority: CertificateAuthority, tmp_path: Path) -> None:
    """A user's certificate does not let the user pose as the API server."""
    user = authority.issue_client("localhost", now=NOW)
    server = context(tmp_path, pair=user, trusted=authority, server=True)
    client = context(tmp_path, pair=user, trusted=authority, server=False)
    client.check_hostname = False

    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(server, client, "localhost")


def test_validity_surrounds_now() -> None:
    """Certificates start a little before now, for clocks behind ours, and live for LIFETIME."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    authority = CertificateAuthority("test", now=now)

    pair = authority.issue_client("ann", now=now)

    for pem in (authority.certificate, pair.certificate):
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.not_valid_before_utc == now - timedelta(minutes=5)
        assert certificate.not_valid_after_utc == now + LIFETIME


@pytest.mark.parametrize("user", ["", "u" * 65])
def test_a_user_that_fits_no_certificate_is_refused(
    authority: CertificateAuthority, user: str
) -> None:
    """X.520 allows 1 to 64 characters; nothing is cut off silently."""
    with pytest.raises(ValueError, match="length must be >= 1 and <= 64"):
        authority.issue_client(user, now=NOW)


def test_the_signing_key_pair_belongs_together() -> None:
    """What the private half signs the public half verifies."""
    pair = new_signing_key()
    private = serialization.load_pem_private_key(pair.private, password=None)
    public = serialization.load_pem_public_key(pair.public)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert isinstance(public, ec.EllipticCurvePublicKey)

    signature = private.sign(b"token", ec.ECDSA(hashes.SHA256()))

    public.verify(signature, b"token", ec.ECDSA(hashes.SHA256()))
