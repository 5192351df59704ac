"""Certificate Secrets: good ones pass, and of each bad one exactly what is wrong is said."""

import base64
from collections.abc import Callable
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from smbpctl.reconcilers.pem import Material, decoded, examine
from smbpctl.sandbox.secrets import KeyPair, authority, leaf
from test.support.observations import NOW

LIFETIME = timedelta(days=30)
EARLY = timedelta(minutes=5)


@cache
def root() -> KeyPair:
    """An authority, made once: keys are slow to come by."""
    return authority("root", NOW)


@cache
def server() -> KeyPair:
    """A certificate of that authority for two hosts."""
    return leaf(root(), ["demo.example.com", "*.apps.example.com"], NOW)


def pem(pair: KeyPair) -> bytes:
    """Return the certificate of a pair."""
    return pair.certificate.public_bytes(Encoding.PEM)


def key_of(pair: KeyPair) -> bytes:
    """Return the key of a pair."""
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def look(certificate: bytes | None = None, key: bytes | None = None, **asked: object) -> str:
    """Return the problem with a Secret, which is a good one where nothing is given."""
    values = {
        "tls.crt": pem(server()) if certificate is None else certificate,
        "tls.key": key_of(server()) if key is None else key,
    }
    data = {name: base64.b64encode(value).decode() for name, value in values.items()}
    return examine({"data": data}, NOW, **asked).problem  # type: ignore[arg-type]


class TestDecoded:
    @pytest.mark.parametrize(
        ("data", "value"),
        [
            ({"a": "eA=="}, b"x"),
            ({"a": ""}, b""),
            ({"b": "eA=="}, None),
            ({"a": "not base64"}, None),
            ({"a": "eA"}, None),
            ({"a": "é"}, None),
            ({"a": 7}, None),
            ("text", None),
            (None, None),
        ],
    )
    def test_values(self, data: object, value: bytes | None) -> None:
        """Absent and not base64 are the same: there is no such value."""
        assert decoded({"data": data}, "a") == value


class TestGood:
    def test_a_certificate_and_its_key(self) -> None:
        """Nothing is wrong, and its bounds are told."""
        data = server().secret("shop", "web")

        material = examine(data, NOW)

        assert material == Material(not_before=NOW - EARLY, not_after=NOW + LIFETIME)

    def test_a_chain(self) -> None:
        """Leaf first, then whoever signed it."""
        assert look(pem(server()) + pem(root())) == ""

    def test_an_authority(self) -> None:
        """With basicConstraints CA."""
        assert look(pem(root()), key_of(root()), authority=True) == ""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            ed25519.Ed25519PrivateKey.generate,
            lambda: ec.generate_private_key(ec.SECP384R1()),
        ],
        ids=["rsa", "ed25519", "p384"],
    )
    def test_every_usual_kind_of_key(
        self, make: Callable[[], rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey]
    ) -> None:
        """The key is compared by its public half, whatever its kind."""
        key = make()
        certificate = built(key.public_key()).sign(root().key, hashes.SHA256())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

        assert look(certificate.public_bytes(Encoding.PEM), text) == ""

    def test_a_traditional_key(self) -> None:
        """`BEGIN EC PRIVATE KEY` is what many tools write."""
        text = server().key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )

        assert look(key=text) == ""


def built(public_key: object, name: str = "any") -> x509.CertificateBuilder:
    """Return a certificate by the root that is valid now, not yet signed."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(root().certificate.subject)
        .public_key(public_key)  # type: ignore[arg-type]
        .serial_number(7)
        .not_valid_before(NOW - EARLY)
        .not_valid_after(NOW + LIFETIME)
    )


class TestBadMaterial:
    @pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
    def test_a_missing_value(self, name: str) -> None:
        """Absent, empty or not base64."""
        whole = server().secret("shop", "web")
        without = {n: value for n, value in whole["data"].items() if n != name}

        for data in (without, {**without, name: ""}, {**without, name: "%%%"}):
            assert examine({"data": data}, NOW).problem == f"has no key {name}"
        assert examine({}, NOW).problem == "has no key tls.crt"

    @pytest.mark.parametrize(
        "text", [b"hello", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
    )
    def test_no_certificate(self, text: bytes) -> None:
        """Text, or PEM around nothing."""
        assert look(text) == "tls.crt is not a PEM certificate"

    def test_a_key_where_the_certificate_belongs(self) -> None:
        """The two values were swapped."""
        assert look(key_of(server()), pem(server())) == "tls.crt is not a PEM certificate"

    def test_der_instead_of_pem(self) -> None:
        """What servers mount is PEM."""
        text = server().certificate.public_bytes(Encoding.DER)

        assert look(text) == "tls.crt is not a PEM certificate"

    def test_no_key(self) -> None:
        """Text, or a certificate."""
        for text in (b"hello", pem(server())):
            assert look(key=text) == "tls.key is not an unencrypted PEM private key"

    def test_an_encrypted_key(self) -> None:
        """Nobody is there to type the password."""
        text = server().key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )

        assert look(key=text) == "tls.key is not an unencrypted PEM private key"

    def test_the_key_of_another_certificate(self) -> None:
        """Every handshake would fail."""
        other = key_of(root())

        assert look(key=other) == "tls.key does not belong to the certificate in tls.crt"

    def test_a_chain_that_does_not_hold(self) -> None:
        """The second certificate did not sign the first; clients would not find the way up."""
        stranger = authority("stranger", NOW)

        problem = look(pem(server()) + pem(stranger))

        assert problem == "tls.crt: certificate 0 is not signed by certificate 1"

    def test_a_namesake_in_the_chain(self) -> None:
        """Same name, another key: only the signature tells."""
        impostor = authority("root", NOW)

        problem = look(pem(server()) + pem(root()) + pem(impostor))

        assert problem == "tls.crt: certificate 1 is not signed by certificate 2"

    def test_a_leaf_is_no_authority(self) -> None:
        """It could sign nothing that anybody accepts."""
        assert look(authority=True) == (
            "tls.crt is not a certificate authority (basicConstraints CA is not set)"
        )

    def test_basic_constraints_that_say_no(self) -> None:
        """The extension is there, and says that it is no authority."""
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        builder = built(server().key.public_key()).add_extension(constraints, critical=True)
        certificate = builder.sign(root().key, hashes.SHA256()).public_bytes(Encoding.PEM)

        assert "is not a certificate authority" in look(certificate, authority=True)


class TestValidity:
    @pytest.mark.parametrize(
        ("offset", "problem"),
        [
            (-EARLY - timedelta(seconds=1), "tls.crt is not valid before 2026-11-21T11:55:00Z"),
            (-EARLY, ""),
            (LIFETIME - timedelta(seconds=1), ""),
            (LIFETIME, "tls.crt expired at 2026-12-21T12:00:00Z"),
        ],
        ids=["just before", "first second", "last second", "just after"],
    )
    def test_both_ends(self, offset: timedelta, problem: str) -> None:
        """From the first second to the last; only the end makes it expired."""
        material = examine(server().secret("shop", "web"), NOW + offset)

        assert material.problem == problem
        assert material.expired is ("expired" in problem)


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        [
            "demo.example.com",
            "DEMO.example.com",
            "a.apps.example.com",
            "*.apps.example.com",
        ],
    )
    def test_covered(self, host: str) -> None:
        """By name, or by a wildcard over exactly one label (RFC 6125); case does not matter."""
        assert look(hosts=(host,)) == ""

    @pytest.mark.parametrize(
        "host",
        [
            "other.example.com",
            "apps.example.com",
            "a.b.apps.example.com",
            "*.demo.example.com",
            "*.example.com",
            "localhost",
        ],
    )
    def test_not_covered(self, host: str) -> None:
        """A wildcard covers neither its own domain nor two labels; nor a wider wildcard."""
        assert look(hosts=(host,)) == f"tls.crt does not cover {host}"

    def test_only_the_missing_ones_are_named(self) -> None:
        """In the order in which they were asked for."""
        hosts = ("z.test", "demo.example.com", "a.test")

        assert look(hosts=hosts) == "tls.crt does not cover z.test, a.test"

    def test_the_common_name_does_not_count(self) -> None:
        """Clients have not looked at it for years (RFC 9525)."""
        builder = built(server().key.public_key(), "demo.example.com")
        certificate = builder.sign(root().key, hashes.SHA256()).public_bytes(Encoding.PEM)

        problem = look(certificate, hosts=("demo.example.com",))

        assert problem == "tls.crt does not cover demo.example.com"

    def test_nothing_is_asked_without_hosts(self) -> None:
        """The in-band certificate needs none of these names."""
        assert look(hosts=()) == ""


# cryptography warns of serial numbers that are not positive; a damaged one may be.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_a_damaged_certificate_has_a_problem_or_none(self, data: st.DataObject) -> None:
        """Whatever byte is wrong, the outcome is a sentence, never an exception."""
        pair = data.draw(st.sampled_from([server(), root()]))
        der = bytearray(pair.certificate.public_bytes(Encoding.DER))
        for _ in range(data.draw(st.integers(1, 2))):
            der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
        body = base64.encodebytes(bytes(der))
        text = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"

        problem = look(text, key_of(pair), authority=pair is root(), hosts=("demo.example.com",))

        assert isinstance(problem, str)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200), st.binary(max_size=200))
    def test_noise(self, certificate: bytes, key: bytes) -> None:
        """Nothing random is usable."""
        assert look(certificate, key) != ""

    def test_no_message_shows_key_material(self) -> None:
        """Conditions are read by many who may not read Secrets."""
        text = key_of(server())

        problems = [look(key=text[:-40]), look(text, text), look(key=text + text)]

        lines = [line.decode() for line in text.splitlines()[1:-1]]
        assert not [line for problem in problems for line in lines if line in problem]

    def test_an_unknown_curve(self) -> None:
        """A certificate that parses, with a key that nobody knows how to read."""
        der = server().certificate.public_bytes(Encoding.DER)
        prime256v1 = bytes.fromhex("06082a8648ce3d030107")
        assert prime256v1 in der
        unknown = der.replace(prime256v1, prime256v1[:-1] + b"\x7f")
        text = base64.encodebytes(unknown)

        problem = look(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n")

        assert problem == "tls.crt is damaged, or of a kind that is not supported"
