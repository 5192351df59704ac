"""`spec.tls`."""

from datetime import timedelta

from smbpctl.api.v1alpha1.tls import CertManagerSpec, IssuerReference, TlsSpec, TlsType


def test_union_defaults_to_its_type_alone() -> None:
    """A defaulted member would make switching the type fail."""
    tls = TlsSpec()

    assert tls.type is TlsType.CERT_MANAGER
    assert tls.cert_manager is None
    assert tls.to_manifest() == {"type": "CertManager"}


def test_issuance_without_a_member() -> None:
    """An absent member means all its defaults."""
    issuance = TlsSpec().issuance

    assert issuance.issuer_ref is None
    assert (issuance.duration, issuance.renew_before) == (timedelta(days=90), timedelta(days=30))


def test_issuance_with_a_member() -> None:
    """A present member is taken as it is."""
    given = CertManagerSpec(issuer_ref=IssuerReference(name="corp"), duration=timedelta(days=1))

    assert TlsSpec(cert_manager=given).issuance is given


def test_issuer_defaults() -> None:
    """An issuer is a namespaced one of cert-manager unless the reference says otherwise."""
    issuer = IssuerReference(name="corp")

    assert (issuer.kind, issuer.group) == ("Issuer", "cert-manager.io")
