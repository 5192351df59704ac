"""The command lines of etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

from datetime import timedelta
from pathlib import Path

from smbpctl.runtime.simulation.controlplane.binaries import Binaries
from smbpctl.runtime.simulation.controlplane.layout import SERVICE_RANGE, Layout
from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK

_ISSUER = "https://kubernetes.default.svc.cluster.local"
# Port 0: a single member has no peer that would have to know the number.
_PEER_URL = f"https://{LOOPBACK}:0"
# The API server would rotate at 100 MB, and readers of the audit log follow one file.
_AUDIT_LOG_MEGABYTES = 100_000


def etcd(binaries: Binaries, layout: Layout, *, port: int) -> list[str]:
    """Return the command of a single etcd member that serves mutual TLS on `port`."""
    url = f"https://{LOOPBACK}:{port}"
    return [
        str(binaries.etcd),
        "--name=default",
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={_PEER_URL}",
        f"--initial-advertise-peer-urls={_PEER_URL}",
        f"--initial-cluster=default={_PEER_URL}",
        "--socket-reuse-port=true",
        "--client-cert-auth=true",
        f"--trusted-ca-file={layout.certificate('etcd-ca')}",
        f"--cert-file={layout.certificate('etcd')}",
        f"--key-file={layout.key('etcd')}",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={layout.certificate('etcd-ca')}",
        f"--peer-cert-file={layout.certificate('etcd')}",
        f"--peer-key-file={layout.key('etcd')}",
        # A single member waits for half of the election timeout before it elects itself.
        "--heartbeat-interval=20",
        "--election-timeout=200",
        # The data is thrown away with the folder; a power cut may take it too.
        "--unsafe-no-fsync=true",
    ]


def api_server(binaries: Binaries, layout: Layout, *, port: int, etcd_port: int) -> list[str]:
    """Return the command of an API server with RBAC, admission and an audit log."""
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers=https://{LOOPBACK}:{etcd_port}",
        f"--etcd-cafile={layout.certificate('etcd-ca')}",
        f"--etcd-certfile={layout.certificate('etcd-client')}",
        f"--etcd-keyfile={layout.key('etcd-client')}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        "--permit-port-sharing=true",
        # No Endpoints for the kubernetes Service: nothing could route to a loopback address.
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={layout.certificate('serving')}",
        f"--tls-private-key-file={layout.key('serving')}",
        f"--client-ca-file={layout.certificate('ca')}",
        f"--kubelet-client-certificate={layout.certificate('kubelet-client')}",
        f"--kubelet-client-key={layout.key('kubelet-client')}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={layout.certificate('service-accounts')}",
        f"--service-account-signing-key-file={layout.key('service-accounts')}",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        f"--audit-log-maxsize={_AUDIT_LOG_MEGABYTES}",
    ]


def controller_manager(
    binaries: Binaries,
    layout: Layout,
    *,
    port: int,
    kubeconfig: Path,
    node_monitor_grace_period: timedelta,
) -> list[str]:
    """Return the command of a controller manager that runs every default controller."""
    return [
        str(binaries.kube_controller_manager),
        *_component(layout, port=port, kubeconfig=kubeconfig),
        # The default of 20 requests a second makes the controllers the slowest part of a test.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.key('service-accounts')}",
        f"--root-ca-file={layout.certificate('ca')}",
        f"--cluster-signing-cert-file={layout.certificate('ca')}",
        f"--cluster-signing-key-file={layout.key('ca')}",
        f"--node-monitor-grace-period={node_monitor_grace_period.total_seconds():g}s",
    ]


def scheduler(binaries: Binaries, layout: Layout, *, port: int, kubeconfig: Path) -> list[str]:
    """Return the command of a scheduler with the default profile."""
    return [
        str(binaries.kube_scheduler),
        *_component(layout, port=port, kubeconfig=kubeconfig),
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def _component(layout: Layout, *, port: int, kubeconfig: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        # Electing a leader among one costs seconds at each start.
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--permit-port-sharing=true",
        f"--tls-cert-file={layout.certificate('serving')}",
        f"--tls-private-key-file={layout.key('serving')}",
    ]
