"""Where a control plane keeps its files, and the credentials it starts with."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smbpctl.runtime.simulation.controlplane.certificates import (
    CertificateAuthority,
    KeyPair,
    new_signing_key,
)
from smbpctl.runtime.simulation.controlplane.kubeconfig import write_private
from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK

# Service addresses lead nowhere without nodes; only the API server's own must be in a certificate.
SERVICE_RANGE = "10.96.0.0/16"
_API_SERVER_HOSTS = (
    LOOPBACK,
    "10.96.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
# The client certificate with which readiness is asked; a user of its own in the audit log.
PROBE = "readiness-probe"
# Metadata says who did what to which object. RequestReceived would only repeat each line early.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path below a control plane's folder."""

    root: Path

    @property
    def etcd_data(self) -> Path:
        """etcd's data directory."""
        return self.root / "etcd"

    @property
    def logs(self) -> Path:
        """The folder of all log files, the audit log included."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON object a line."""
        return self.logs / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """What the API server writes into its audit log."""
        return self.root / "audit-policy.json"

    @property
    def home(self) -> Path:
        """HOME of every process, where kubectl keeps its cache."""
        return self.root / "home"

    @property
    def kubeconfigs(self) -> Path:
        """The folder of all kubeconfigs."""
        return self.root / "kubeconfigs"

    def log(self, name: str) -> Path:
        """Return the log file of the process `name`."""
        return self.logs / f"{name}.log"

    def certificate(self, name: str) -> Path:
        """Return the PEM certificate (or public key) `name`."""
        return self.root / "pki" / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the PEM private key `name`."""
        return self.root / "pki" / f"{name}.key"

    def create(self) -> None:
        """Make the folders, for their owner only; raise `FileExistsError` when they are there."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.root / "pki", self.etcd_data, self.logs, self.home, self.kubeconfigs):
            folder.mkdir(mode=0o700)


def write_credentials(layout: Layout, *, now: datetime) -> CertificateAuthority:
    """Write all keys, certificates and the audit policy; return the clients' authority.

    etcd has an authority of its own: whoever may use the Kubernetes API with a certificate must
    not be able to pass it by and read etcd.
    """
    cluster = CertificateAuthority("kubernetes", now=now)
    store = CertificateAuthority("etcd", now=now)
    accounts = new_signing_key()
    pairs = {
        "ca": KeyPair(cluster.certificate, cluster.key),
        "serving": cluster.issue_server("kube-apiserver", hosts=_API_SERVER_HOSTS, now=now),
        "etcd-ca": KeyPair(store.certificate, store.key),
        "etcd": store.issue_server("etcd", hosts=(LOOPBACK,), now=now),
        PROBE: cluster.issue_client(PROBE, groups=("system:masters",), now=now),
        # With which the API server calls kubelets, for logs, exec and port-forward.
        "kubelet-client": cluster.issue_client(
            "kube-apiserver-kubelet-client", groups=("system:masters",), now=now
        ),
        "etcd-client": store.issue_client("kube-apiserver", now=now),
        "service-accounts": KeyPair(accounts.public, accounts.private),
    }
    for name, pair in pairs.items():
        write_private(layout.certificate(name), pair.certificate)
        write_private(layout.key(name), pair.key)
    layout.audit_policy.write_text(json.dumps(_AUDIT_POLICY, indent=2), encoding="utf-8")
    return cluster
