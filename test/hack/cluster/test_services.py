"""What the control plane offers: DNS where pods ask for it, volumes on the nodes they lie on."""

import tomllib
from pathlib import Path

import yaml

from hack.cluster import node_files, services
from hack.cluster.plan import CONTROL_PLANE_ADDRESS, DNS_SERVICE, NodePlan
from test.support.cluster_plan import a_plan


def test_dns_is_where_the_kubelet_says_it_is(tmp_path: Path) -> None:
    """One address in the kubelet's configuration and in the Service."""
    service, endpoints = services.dns_service()
    kubelet = yaml.safe_load(
        node_files.kubelet(NodePlan(1), tmp_path, client_ca=tmp_path / "ca.crt", cgroup="g")
    )

    assert kubelet["clusterDNS"] == [service["spec"]["clusterIP"]] == [DNS_SERVICE]
    assert endpoints["endpoints"][0]["addresses"] == [CONTROL_PLANE_ADDRESS]
    assert {port["name"] for port in endpoints["ports"]} == {"dns", "dns-tcp"}


def test_each_local_volume_is_bound_to_its_node(tmp_path: Path) -> None:
    """And its folder is made before a pod needs it."""
    plan = a_plan(tmp_path, nodes=2, local_volumes=3)

    services.make_local_folders(plan)
    storage_class, *volumes = services.local_storage(plan)

    assert "allowVolumeExpansion" not in storage_class
    assert len(volumes) == 6
    for volume in volumes:
        path = Path(volume["spec"]["local"]["path"])
        affinity = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]
        assert path.is_dir()
        assert affinity["matchExpressions"][0]["values"] == [path.parent.name]


def test_two_kubelets_never_share_a_control_group(tmp_path: Path) -> None:
    """Each would end the other's pods as orphans."""
    texts = [
        node_files.kubelet(NodePlan(n), tmp_path, client_ca=tmp_path, cgroup="g") for n in (1, 2)
    ]
    roots = {yaml.safe_load(text)["cgroupRoot"] for text in texts}

    assert roots == {"/g/node1", "/g/node2"}


def test_containerd_writes_below_its_node_only(tmp_path: Path) -> None:
    """Nothing of it may be made on the machine itself."""
    text = node_files.containerd(tmp_path, programs=Path("/programs"), runc="/usr/sbin/runc")
    values = tomllib.loads(text)

    assert values["root"] == f"{tmp_path}/containerd"
    assert "io.containerd.internal.v1.opt" in values["disabled_plugins"]
