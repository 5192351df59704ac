"""cert-manager objects: an authority of our own, leaves by whoever is asked."""

from smbpctl.resources.certificates import issuers_and_certificates
from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import an_exposure
from test.support.golden import Golden
from test.support.peers import SECRETS, a_peer


def _spec(objects: list[Manifest], name: str) -> Manifest:
    found: Manifest = next(
        each["spec"]
        for each in objects
        if each["metadata"]["name"] == name and each["kind"] == "Certificate"
    )
    return found


def test_golden(golden: Golden) -> None:
    """A managed authority with all leaves, and leaves by an issuer of the user's."""
    managed = a_peer({"spec.exposure": [an_exposure()], "spec.store.partitions": 2})
    theirs = a_peer(
        {
            "spec.tls": {
                "type": "CertManager",
                "certManager": {
                    "issuerRef": {"name": "corp", "kind": "ClusterIssuer"},
                    "duration": "24h",
                    "renewBefore": "8h",
                },
            }
        }
    )

    golden("certificates/managed", issuers_and_certificates(managed))
    golden("certificates/issuer", issuers_and_certificates(theirs))


def test_an_authority_is_never_renewed_in_place() -> None:
    """Its key stays for its whole long life: the next generation is another Certificate."""
    authority = _spec(issuers_and_certificates(a_peer()), "demo-ca-1")

    assert authority["isCA"] is True
    assert authority["privateKey"]["rotationPolicy"] == "Never"
    assert authority["duration"] == "87600h"


def test_the_in_band_certificate_names_every_partition() -> None:
    """Members speak to each other by their pod names."""
    objects = issuers_and_certificates(a_peer({"spec.store.partitions": 2}))

    names = _spec(objects, "demo-in-band")["dnsNames"]

    assert {"*.demo-store-0.shop.svc", "*.demo-store-1.shop.svc"} <= set(names)


def test_only_exposures_without_a_secret_need_a_serving_certificate() -> None:
    """Hosts of exposures that bring a certificate, or want none, are left out."""
    own = an_exposure("own", tls={"secretRef": {"name": "mine"}})
    plain = an_exposure("plain", tls={"mode": "None"})
    peer = a_peer({"spec.exposure": [own, an_exposure("web"), plain]})

    serving = _spec(issuers_and_certificates(peer), "demo-serving")

    assert serving["dnsNames"] == ["web.example.com"]


def test_secrets_mode_has_none() -> None:
    """Somebody else issues the certificates then."""
    assert issuers_and_certificates(a_peer({"spec.tls": SECRETS})) == []
