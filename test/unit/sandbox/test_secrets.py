"""The made-up Secrets: for every way a spec can ask for one, and good enough to pass the checks."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.reconcilers.pem import examine
from smbpctl.reconcilers.references import secret_names
from smbpctl.runtime.meta import Manifest
from smbpctl.sandbox.secrets import authority, leaf, referenced_secrets
from test.support.bigpeers import an_exposure
from test.support.observations import NOW
from test.support.peers import SECRETS, a_peer, a_strimzi_peer

LOG = "spec.transactionLog.external"
CLIENT = {"type": "TLS", "tls": {"secretRef": {"name": "kafka-client"}}}
LOGIN = {
    "type": "SCRAM",
    "scram": {"mechanism": "SCRAM-SHA-512", "secretRef": {"name": "kafka-login"}},
}
SERVED: Manifest = {
    "type": "Secrets",
    "secrets": {**SECRETS["secrets"], "serving": {"name": "all"}},  # type: ignore[dict-item]
}
PEERS = {
    "nothing asked for": a_peer(),
    "tls": a_peer({"spec.tls": SECRETS}),
    "serving": a_peer({"spec.tls": SERVED, "spec.exposure": [an_exposure()]}),
    "serving, unused": a_peer({"spec.tls": SERVED}),
    "exposures": a_peer(
        {
            "spec.exposure": [
                an_exposure("a", tls={"secretRef": {"name": "shared"}}),
                an_exposure("b", tls={"secretRef": {"name": "shared"}}),
                an_exposure("c", tls={"mode": "None"}),
                an_exposure("d"),
            ]
        }
    ),
    "client certificate": a_peer(
        {f"{LOG}.tls": {"caSecretRef": {"name": "kafka-ca"}}, f"{LOG}.authentication": CLIENT}
    ),
    "login": a_peer({f"{LOG}.authentication": LOGIN}),
    "strimzi": a_strimzi_peer(),
}
# What cert-manager, Strimzi and the operator make themselves.
MADE_BY_OTHERS = {
    "demo-ca-1",
    "demo-in-band",
    "demo-jwt",
    "demo-serving",
    "demo-transaction-log",
    "demo-log-cluster-ca-cert",
    "shop.demo",
}


def made_for(peer: BigPeer) -> dict[str, Manifest]:
    """Return the Secrets by name."""
    secrets = referenced_secrets(peer, NOW)
    assert {each["metadata"]["namespace"] for each in secrets} <= {"shop"}
    return {each["metadata"]["name"]: each for each in secrets}


class TestReferencedSecrets:
    @pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
    def test_each_that_a_person_would_bring_along_and_no_other(self, peer: BigPeer) -> None:
        """Those the reconcilers look at, without those that somebody else makes."""
        secrets = made_for(peer)

        assert set(secret_names(peer)) - MADE_BY_OTHERS <= secrets.keys()
        assert not secrets.keys() & MADE_BY_OTHERS
        assert len(secrets) == len(referenced_secrets(peer, NOW))

    def test_certificates_pass_the_examination(self) -> None:
        """As the TLS reconciler looks at them."""
        secrets = made_for(PEERS["serving"])

        assert examine(secrets["our-ca"], NOW, authority=True).problem == ""
        assert examine(secrets["our-in-band"], NOW).problem == ""
        assert examine(secrets["jwt"], NOW).problem == ""
        assert examine(secrets["all"], NOW, hosts=("web.example.com",)).problem == ""

    def test_a_shared_certificate_covers_all_its_hosts(self) -> None:
        """Two exposures may name one Secret."""
        shared = made_for(PEERS["exposures"])["shared"]

        assert examine(shared, NOW, hosts=("a.example.com", "b.example.com")).problem == ""

    def test_the_log_s(self) -> None:
        """An authority to trust, and a certificate that it signed."""
        secrets = made_for(PEERS["client certificate"])

        ca, client = (
            x509.load_pem_x509_certificate(base64.b64decode(secrets[name]["data"][file]))
            for name, file in (("kafka-ca", "ca.crt"), ("kafka-client", "tls.crt"))
        )

        client.verify_directly_issued_by(ca)

    def test_a_login(self) -> None:
        """User and password, a new one each time."""
        first, second = (made_for(PEERS["login"])["kafka-login"]["data"] for _ in range(2))

        assert base64.b64decode(first["username"]) == b"demo"
        assert len(base64.b64decode(first["password"])) > 20
        assert first["password"] != second["password"]


class TestPairs:
    def test_an_authority_signs_itself_and_others(self) -> None:
        """Both are valid for thirty days."""
        ca = authority("test", NOW)
        pair = leaf(ca, ["a.test", "b.test"], NOW)

        names = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        ca.certificate.verify_directly_issued_by(ca.certificate)
        pair.certificate.verify_directly_issued_by(ca.certificate)
        assert names.value.get_values_for_type(x509.DNSName) == ["a.test", "b.test"]
        for each in (ca, pair):
            assert each.certificate.not_valid_before_utc < NOW
            assert each.certificate.not_valid_after_utc == NOW + timedelta(days=30)

    def test_a_long_name_fits(self) -> None:
        """A common name has at most 64 characters; the alternative name is whole."""
        host = f"{'a' * 60}.{'b' * 60}.test"

        pair = leaf(authority("test", NOW), [host], NOW)

        assert examine(pair.secret("shop", "web"), NOW, hosts=(host,)).problem == ""

    def test_a_pair_as_a_secret(self) -> None:
        """What Kubernetes calls kubernetes.io/tls, with `ca.crt` beside it."""
        secret = authority("test", NOW).secret("shop", "web")

        assert secret["type"] == "kubernetes.io/tls"
        assert secret["metadata"] == {"name": "web", "namespace": "shop"}
        assert secret["data"].keys() == {"tls.crt", "tls.key", "ca.crt"}
        assert secret["data"]["ca.crt"] == secret["data"]["tls.crt"]
