"""cert-manager objects: a certificate authority of the BigPeer's own, and the leaves it signs."""

from typing import Final

from smbpctl.api.v1alpha1 import BigPeer, CertManagerSpec, ExposureTlsMode, TlsType
from smbpctl.api.v1alpha1.duration import format_duration
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.runtime.meta import Manifest

CERT_MANAGER: Final = "cert-manager.io"
API_VERSION: Final = f"{CERT_MANAGER}/v1"

# A managed authority is replaced by its next generation, never renewed in place: cert-manager
# would swap the Secret before anybody trusts the new key. Ten years leave room for that.
_CA_DURATION: Final = "87600h"
_CA_RENEW_BEFORE: Final = "720h"


def issuers_and_certificates(peer: BigPeer) -> list[Manifest]:
    """Return every cert-manager object of the BigPeer in the order in which they build on others.

    The list is empty unless `spec.tls.type` is CertManager.
    """
    if peer.spec.tls.type is not TlsType.CERT_MANAGER:
        return []
    options = peer.spec.tls.issuance
    leaves = [
        _leaf(peer, options, naming.in_band_secret(peer), _in_band_names(peer), client=True),
        _leaf(peer, options, naming.jwt_secret(peer), [f"jwt.{peer.name}.{peer.namespace}.svc"]),
    ]
    hosts = _served_hosts(peer)
    if hosts:
        leaves.append(_leaf(peer, options, f"{peer.name}-serving", hosts))
    return [_self_signed(peer), _authority(peer), _authority_issuer(peer), *leaves]


def _self_signed(peer: BigPeer) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "Issuer",
        "metadata": naming.metadata(peer, f"{peer.name}-selfsigned"),
        "spec": {"selfSigned": {}},
    }


def _authority(peer: BigPeer) -> Manifest:
    name = naming.ca_name(peer)
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": naming.metadata(peer, name),
        "spec": {
            "secretName": name,
            "isCA": True,
            "commonName": f"{peer.namespace}.{name}",
            "duration": _CA_DURATION,
            "renewBefore": _CA_RENEW_BEFORE,
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
            "usages": ["cert sign", "crl sign", "digital signature"],
            "issuerRef": {
                "name": f"{peer.name}-selfsigned",
                "kind": "Issuer",
                "group": CERT_MANAGER,
            },
            "secretTemplate": {"labels": naming.labels(peer)},
        },
    }


def _authority_issuer(peer: BigPeer) -> Manifest:
    name = naming.ca_name(peer)
    return {
        "apiVersion": API_VERSION,
        "kind": "Issuer",
        "metadata": naming.metadata(peer, name),
        "spec": {"ca": {"secretName": name}},
    }


def _leaf(
    peer: BigPeer,
    options: CertManagerSpec,
    name: str,
    dns_names: list[str],
    *,
    client: bool = False,
) -> Manifest:
    usages = ["digital signature", "server auth", *(["client auth"] if client else [])]
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": naming.metadata(peer, name),
        "spec": {
            "secretName": name,
            "dnsNames": dns_names,
            "duration": format_duration(options.duration),
            "renewBefore": format_duration(options.renew_before),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": usages,
            "issuerRef": _issuer(peer, options),
            "secretTemplate": {"labels": naming.labels(peer)},
        },
    }


def _issuer(peer: BigPeer, options: CertManagerSpec) -> Manifest:
    if options.issuer_ref is None:
        return {"name": naming.ca_name(peer), "kind": "Issuer", "group": CERT_MANAGER}
    reference = options.issuer_ref
    return {"name": reference.name, "kind": reference.kind, "group": reference.group}


def _in_band_names(peer: BigPeer) -> list[str]:
    suffix = f"{peer.namespace}.svc"
    services = [f"{naming.name_of(peer, component)}.{suffix}" for component in Component]
    members = [
        f"*.{naming.partition_name(peer, partition)}.{suffix}"
        for partition in range(peer.spec.store.partitions)
    ]
    return [*services, *members]


def _served_hosts(peer: BigPeer) -> list[str]:
    """Return the hosts that need a certificate of ours, each once, in the order of the spec."""
    hosts = [
        host
        for exposure in peer.spec.exposure
        if exposure.tls.mode is ExposureTlsMode.TERMINATE and exposure.tls.secret_ref is None
        for host in exposure.hosts
    ]
    return list(dict.fromkeys(hosts))
