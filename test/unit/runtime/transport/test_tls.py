"""TLS contexts: what they are made from, when they are made anew, and what cannot make one."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport import ClusterConfig, Credential
from smbpctl.runtime.transport.tls import TlsContexts
from test.support.certificates import Authority, Pair
from test.support.manual_clock import START, ManualClock

NOBODY = Credential()
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One authority for the module."""
    return Authority()


@pytest.fixture(scope="module")
def client(authority: Authority) -> Pair:
    """A client certificate that lasts."""
    return authority.issue("client")


def _contexts(clock: ManualClock | None = None, **config: Any) -> TlsContexts:
    settings = ClusterConfig(server="https://10.0.0.1", source="here", **config)
    return TlsContexts(settings, clock or ManualClock())


def _as_client(client: Pair) -> dict[str, bytes]:
    return {"client_certificate": client.certificate, "client_key": client.key}


def test_servers_are_verified_unless_told_otherwise(authority: Authority) -> None:
    """Only the configured authority is trusted, not those of the operating system."""
    context = _contexts(ca_data=authority.pem).current(NOBODY)

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


def test_authorities_without_key_identifiers_are_accepted(authority: Authority) -> None:
    """Python 3.13 refuses them by default, kubectl does not, and clusters have them."""
    context = _contexts(ca_data=authority.pem).current(NOBODY)

    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_verification_can_be_off() -> None:
    """For test clusters only; then any name is accepted too."""
    context = _contexts(verify=False).current(NOBODY)

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_the_context_is_made_once(authority: Authority, client: Pair) -> None:
    """Connections are pooled by context: a new one for each request would end all reuse."""
    contexts = _contexts(ca_data=authority.pem, **_as_client(client))

    first = contexts.current(Credential(authorization="Bearer 1"))
    second = contexts.current(Credential(authorization="Bearer 2"))

    assert first is second


class TestFiles:
    """Certificates rotate while we run."""

    def test_a_changed_authority_counts_after_a_minute(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        """And an unchanged file keeps the context."""
        file, clock = tmp_path / "ca.crt", ManualClock()
        file.write_bytes(authority.pem)
        contexts = _contexts(clock, ca_file=file)
        first = contexts.current(NOBODY)
        clock.advance(MINUTE)
        unchanged = contexts.current(NOBODY)

        file.write_bytes(Authority("new").pem)
        clock.advance(MINUTE - timedelta(seconds=1))
        early = contexts.current(NOBODY)
        clock.advance(timedelta(seconds=1))
        late = contexts.current(NOBODY)

        assert first is unchanged is early
        assert late is not first
        assert late.get_ca_certs()[0]["subject"] == ((("commonName", "new"),),)

    def test_half_a_rotation_keeps_the_old_pair(self, authority: Authority, tmp_path: Path) -> None:
        """Certificate and key are two files; seen between their writes they do not match."""
        old, new, clock = authority.issue("old"), authority.issue("new"), ManualClock()
        certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
        certificate.write_bytes(old.certificate)
        key.write_bytes(old.key)
        contexts = _contexts(clock, client_certificate_file=certificate, client_key_file=key)
        first = contexts.current(NOBODY)

        certificate.write_bytes(new.certificate)
        clock.advance(MINUTE)
        with structlog.testing.capture_logs() as logs:
            during = contexts.current(NOBODY)
        key.write_bytes(new.key)
        clock.advance(MINUTE)
        after = contexts.current(NOBODY)

        assert during is first
        assert [entry["event"] for entry in logs] == ["certificates were not reloaded"]
        assert after is not first

    def test_reload_tells_whether_anything_changed(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        """After a failed handshake it decides whether another attempt makes sense."""
        file = tmp_path / "ca.crt"
        file.write_bytes(authority.pem)
        contexts = _contexts(ca_file=file)
        contexts.current(NOBODY)

        unchanged = contexts.reload(NOBODY)
        file.write_bytes(Authority("new").pem)

        assert (unchanged, contexts.reload(NOBODY)) == (False, True)


def test_a_credential_with_a_certificate_wins(authority: Authority, client: Pair) -> None:
    """What a plugin gave is fresher than what stands in the file; each makes its own context."""
    contexts = _contexts(ca_data=authority.pem, **_as_client(client))
    other = authority.issue("other")

    first = contexts.current(NOBODY)
    second = contexts.current(Credential(certificate=other.certificate, key=other.key))
    third = contexts.current(Credential(certificate=other.certificate, key=other.key))

    assert first is not second
    assert second is third


class TestUnusable:
    """Each cause is told apart, and the message says where the value came from."""

    def test_an_expired_client_certificate(self, authority: Authority) -> None:
        """The server would only answer 401."""
        expired = authority.issue("client", until=START - timedelta(days=3))

        with pytest.raises(
            ConfigurationError, match="here: client-certificate expired on 2025-12-29"
        ):
            _contexts(**_as_client(expired)).current(NOBODY)

    def test_expiry_while_running(self, authority: Authority) -> None:
        """`refuse_expired` is silent until the date."""
        clock = ManualClock()
        short = authority.issue("client", until=START + timedelta(days=1))
        contexts = _contexts(clock, **_as_client(short))
        contexts.current(NOBODY)

        contexts.refuse_expired()
        clock.advance(timedelta(days=1))

        with pytest.raises(ConfigurationError, match="expired on 2026-01-02"):
            contexts.refuse_expired()

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"ca_data": b"no PEM"}, "here: certificate-authority is no PEM"),
            ({"ca_data": b"\xff\xfe"}, "here: certificate-authority is no PEM"),
            ({"client_certificate": b"no PEM", "client_key": b""}, "client-certificate is no PEM"),
        ],
    )
    def test_what_is_no_certificate(self, config: dict[str, Any], message: str) -> None:
        """Garbage instead of PEM."""
        with pytest.raises(ConfigurationError, match=message):
            _contexts(**config).current(NOBODY)

    def test_a_certificate_without_key(self, client: Pair) -> None:
        """One is of no use without the other."""
        with pytest.raises(ConfigurationError, match="given without client-key"):
            _contexts(client_certificate=client.certificate).current(NOBODY)

    def test_a_key_of_another_certificate(self, authority: Authority, client: Pair) -> None:
        """They do not form a pair."""
        with pytest.raises(ConfigurationError, match="do not form a pair"):
            _contexts(
                client_certificate=client.certificate, client_key=authority.issue("x").key
            ).current(NOBODY)

    def test_an_encrypted_key(self, client: Pair) -> None:
        """OpenSSL would ask for the password on the terminal and hang."""
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(client.key, None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )

        with pytest.raises(ConfigurationError, match=r"client-key.*encrypted"):
            _contexts(client_certificate=client.certificate, client_key=encrypted).current(NOBODY)

    def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        """The message names it."""
        file = tmp_path / "ca.crt"

        with pytest.raises(ConfigurationError, match=f"here: certificate-authority: {file}"):
            _contexts(ca_file=file).current(NOBODY)
