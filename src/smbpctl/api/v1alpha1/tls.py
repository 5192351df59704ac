"""`spec.tls`: who issues the certificates of a Big Peer."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from smbpctl.api.v1alpha1.fields import Duration, ObjectName, SecretReference
from smbpctl.api.v1alpha1.model import Model


class TlsType(StrEnum):
    """Where certificates come from."""

    CERT_MANAGER = "CertManager"
    SECRETS = "Secrets"


class IssuerReference(Model):
    """A cert-manager issuer that can sign certificate authorities."""

    name: ObjectName
    """Name of the issuer."""

    kind: Annotated[str, StringConstraints(min_length=1, max_length=63)] = "Issuer"
    """Kind of the issuer: Issuer, ClusterIssuer or an external one."""

    group: ObjectName = "cert-manager.io"
    """API group of the issuer."""


class CertManagerSpec(Model):
    """Certificates issued by cert-manager."""

    issuer_ref: IssuerReference | None = None
    """Issuer of the certificates; absent means a self-signed authority managed for this BigPeer."""

    duration: Duration = timedelta(hours=2160)
    """Lifetime of a certificate, at least 1h."""

    renew_before: Duration = timedelta(hours=720)
    """How long before its end a certificate is renewed: at least 5m, less than `duration`."""


class TlsSecretsSpec(Model):
    """Certificates that somebody else issues into Secrets of type kubernetes.io/tls."""

    ca: SecretReference
    """The device authority: signs the certificates of devices."""

    in_band: SecretReference
    """Certificate with which the components identify themselves to devices and to each other."""

    jwt: SecretReference
    """Key pair that signs the tokens of the auth servers."""

    serving: SecretReference | None = None
    """Serving certificate of exposures that terminate TLS and name no Secret of their own."""


class TlsSpec(Model):
    """Where certificates come from; a union: only the member that `type` names may be present."""

    type: TlsType = TlsType.CERT_MANAGER
    """CertManager (`certManager`) or Secrets (`secrets`)."""

    cert_manager: CertManagerSpec | None = None
    """Settings of issuance; only with type CertManager, where absent means all defaults."""

    secrets: TlsSecretsSpec | None = None
    """Existing Secrets; present if and only if the type is Secrets."""

    @property
    def issuance(self) -> CertManagerSpec:
        """Return the settings of issuance, with all defaults when the member is absent."""
        return self.cert_manager or CertManagerSpec()
