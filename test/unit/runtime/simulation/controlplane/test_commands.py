"""Tests of the command lines."""

from datetime import timedelta
from pathlib import Path

import pytest

from smbpctl.runtime.simulation.controlplane import Binaries, commands
from smbpctl.runtime.simulation.controlplane.layout import Layout

BIN = Path("/bin")
BINARIES = Binaries(
    etcd=BIN / "etcd",
    kube_apiserver=BIN / "kube-apiserver",
    kube_controller_manager=BIN / "kube-controller-manager",
    kube_scheduler=BIN / "kube-scheduler",
    kubectl=BIN / "kubectl",
)
LAYOUT = Layout(Path("/cluster"))
COMMANDS = {
    "etcd": commands.etcd(BINARIES, LAYOUT, port=1),
    "kube-apiserver": commands.api_server(BINARIES, LAYOUT, port=1, etcd_port=2),
    "kube-controller-manager": commands.controller_manager(
        BINARIES,
        LAYOUT,
        port=1,
        kubeconfig=Path("/k"),
        node_monitor_grace_period=timedelta(seconds=1.5),
    ),
    "kube-scheduler": commands.scheduler(BINARIES, LAYOUT, port=1, kubeconfig=Path("/k")),
}


def flags(name: str) -> dict[str, str]:
    """The flags of one command; each is given once, as --flag=value."""
    pairs = [argument.split("=", 1) for argument in COMMANDS[name][1:]]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_server_shares_its_port_with_the_reservation(name: str) -> None:
    """A server without port sharing could not listen on the port reserved for it."""
    sharing = {"--permit-port-sharing", "--socket-reuse-port"} & set(flags(name))

    assert [flags(name)[flag] for flag in sharing] == ["true"]


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_listens_beyond_the_loopback(name: str) -> None:
    """Every address that a server binds or announces is 127.0.0.1."""
    addresses = [
        value
        for flag, value in flags(name).items()
        if flag.endswith(("-address", "-urls", "-servers", "-cluster"))
    ]

    assert addresses
    assert all("127.0.0.1" in address for address in addresses)


def test_the_store_speaks_mutual_tls_only() -> None:
    """etcd demands certificates of its own authority, of which the API server has one."""
    etcd, api_server = flags("etcd"), flags("kube-apiserver")

    assert etcd["--client-cert-auth"] == etcd["--peer-client-cert-auth"] == "true"
    assert etcd["--trusted-ca-file"] == api_server["--etcd-cafile"] == "/cluster/pki/etcd-ca.crt"
    assert api_server["--etcd-servers"] == "https://127.0.0.1:2"
    assert api_server["--client-ca-file"] == "/cluster/pki/ca.crt"
    assert "--token-auth-file" not in api_server


def test_the_api_server_authorizes_admits_and_audits() -> None:
    """RBAC decides, no default admission plugin is off, and the audit log is written."""
    api_server = flags("kube-apiserver")

    assert api_server["--authorization-mode"] == "Node,RBAC"
    assert "--disable-admission-plugins" not in api_server
    assert api_server["--audit-log-path"] == "/cluster/logs/audit.log"


def test_the_node_monitor_grace_period_is_a_go_duration() -> None:
    """Fractions of a second survive."""
    assert flags("kube-controller-manager")["--node-monitor-grace-period"] == "1.5s"
