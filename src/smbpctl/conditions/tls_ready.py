"""TLSReady: every certificate is issued, valid and usable."""

from smbpctl.api.v1alpha1 import Condition, ConditionType, TLSReadyReason, TlsType
from smbpctl.conditions.verdict import verdict
from smbpctl.observed import CertificateFact, TLSObserved


def tls_ready(observed: TLSObserved) -> Condition:
    """Return whether all certificates are usable; the first that is not is named with its field.

    While all are, reason and message tell what will end that, where it is known already.
    """
    kind = ConditionType.TLS_READY
    for certificate in observed.certificates:
        if not observed.installed and not certificate.present:
            message = (
                "spec.tls.type is CertManager, and cert-manager.io/v1 is not served here: "
                "install cert-manager, or name Secrets in spec.tls.secrets"
            )
            reason = TLSReadyReason.CERT_MANAGER_NOT_INSTALLED
            return verdict(observed.peer, kind, False, reason, message)
        found = _finding(observed, certificate)
        if found is not None:
            return verdict(observed.peer, kind, False, *found)
    return verdict(observed.peer, kind, True, *_outlook(observed))


def _outlook(observed: TLSObserved) -> tuple[TLSReadyReason, str]:
    """Return how certificates stand that are all usable now."""
    if not observed.installed:
        message = (
            "the certificates that exist are used, but cert-manager.io/v1 is not served here: "
            "nobody renews them"
        )
        return TLSReadyReason.CERT_MANAGER_NOT_INSTALLED, message
    for certificate in observed.certificates:
        if certificate.reason:
            detail = ": ".join(part for part in (certificate.reason, certificate.message) if part)
            message = f"Certificate {certificate.secret} is valid, but its renewal failed: {detail}"
            return TLSReadyReason.ISSUANCE_FAILED, message
    return TLSReadyReason.ISSUED, ""


def _finding(
    observed: TLSObserved, certificate: CertificateFact
) -> tuple[TLSReadyReason, str] | None:
    secret = f"Secret {observed.peer.namespace}/{certificate.secret}"
    if not certificate.ready and observed.peer.spec.tls.type is TlsType.CERT_MANAGER:
        failed = certificate.reason == "Failed"
        reason = TLSReadyReason.ISSUANCE_FAILED if failed else TLSReadyReason.ISSUING
        detail = ": ".join(part for part in (certificate.reason, certificate.message) if part)
        return reason, f"Certificate {certificate.secret}: {detail or 'waits for cert-manager'}"
    if not certificate.present:
        return TLSReadyReason.SECRET_NOT_FOUND, f"{secret} ({certificate.field}) does not exist"
    if certificate.expired:
        message = f"{secret} ({certificate.field}): {certificate.problem}"
        return TLSReadyReason.CERTIFICATE_EXPIRED, message
    if certificate.problem:
        message = f"{secret} ({certificate.field}) {certificate.problem}"
        return TLSReadyReason.SECRET_INVALID, message
    return None
