"""Tests of the control plane itself: that it is a real one, complete and closed."""

import http.client
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from smbpctl.runtime.simulation.controlplane.readiness import Deadline

PATIENCE = timedelta(seconds=60)
FORBIDDEN = "Error from server (Forbidden)"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.test/web:1}]}
"""
PARENT = """
import signal, sys
from pathlib import Path
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
built, assets, directory = map(Path, sys.argv[1:])
control_plane = ControlPlane(Binaries.in_directory(built, assets), directory)
control_plane.start()
print("ready", flush=True)
signal.pause()
"""


def eventually(holds: Callable[[], bool]) -> None:
    """Ask until the answer is yes; fail after a minute."""
    with Deadline(PATIENCE) as deadline:
        while not holds():
            assert deadline.pause(), f"still not so after {PATIENCE}"


def refusal(control_plane: ControlPlane, *args: str, kubeconfig: Path) -> str:
    """Run kubectl, expecting a refusal; return its words."""
    answer = control_plane.kubectl(*args, kubeconfig=kubeconfig, check=False)
    assert answer.returncode != 0
    return answer.stderr


def names(control_plane: ControlPlane, kind: str, namespace: str) -> list[str]:
    """The names of all objects of a kind in a namespace."""
    query = ("get", kind, "--namespace", namespace, "--output", "name")
    return control_plane.kubectl(*query).stdout.split()


def audited(control_plane: ControlPlane, user: str) -> list[Mapping[str, Any]]:
    """All audit events of one user."""
    return [e for e in control_plane.audit_events() if e["user"]["username"] == user]


def test_all_checks_of_the_server_pass(control_plane: ControlPlane) -> None:
    """The API server is ready in its own opinion, its connection to etcd included."""
    answer = control_plane.kubectl("get", "--raw", "/readyz?verbose").stdout

    assert "[+]etcd ok" in answer
    assert "[-]" not in answer


def test_server_and_kubectl_are_of_the_version_built(
    control_plane: ControlPlane, binaries: Binaries
) -> None:
    """The version stamps are in, so that clients see a real release."""
    answer = json.loads(control_plane.kubectl("version", "--output", "json").stdout)

    expected = f"v{binaries.kubernetes_version()}"
    assert answer["clientVersion"]["gitVersion"] == expected
    assert answer["serverVersion"]["gitVersion"] == expected
    assert f"v1.{answer['serverVersion']['minor']}." in expected


def test_anonymous_requests_are_refused(control_plane: ControlPlane) -> None:
    """Without credentials nothing but health and version can be read."""
    address = urlsplit(control_plane.url)
    context = ssl.create_default_context(cafile=control_plane.ca_path)
    connection = http.client.HTTPSConnection(address.netloc, context=context)

    connection.request("GET", "/api/v1/namespaces")

    status = json.loads(connection.getresponse().read())
    connection.close()
    assert status["code"] == 403
    assert 'User "system:anonymous" cannot list' in status["message"]


def test_a_user_without_rights_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    """An authenticated user may do nothing until RBAC allows it."""
    user = control_plane.kubeconfig_for("ann")

    words = refusal(control_plane, "get", "pods", "-n", namespace, kubeconfig=user)

    assert words.startswith(FORBIDDEN)
    assert 'User "ann" cannot list resource "pods"' in words


def test_a_role_gives_a_group_exactly_its_rights(
    control_plane: ControlPlane, namespace: str
) -> None:
    """RBAC grants by group, and no more than the role says."""
    here = ("--namespace", namespace)
    control_plane.kubectl("create", "role", "r", "--verb=list", "--resource=pods", *here)
    control_plane.kubectl("create", "rolebinding", "r", "--role=r", "--group=readers", *here)
    user = control_plane.kubeconfig_for("bob", ["readers"])

    # The authorizer learns of the binding by a watch, a moment after the write.
    eventually(
        lambda: (
            control_plane.kubectl("get", "pods", *here, kubeconfig=user, check=False).returncode
            == 0
        )
    )

    words = refusal(control_plane, "delete", "pod", "web", *here, kubeconfig=user)
    assert words.startswith(FORBIDDEN)
    words = refusal(control_plane, "get", "pods", "-n", "default", kubeconfig=user)
    assert words.startswith(FORBIDDEN)


def test_a_service_account_token_is_that_account(
    control_plane: ControlPlane, namespace: str
) -> None:
    """The controller manager made the account, and the API server signed its token."""
    user = control_plane.service_account_kubeconfig(namespace, "default")

    answer = control_plane.kubectl("auth", "whoami", "--output", "json", kubeconfig=user).stdout

    info = json.loads(answer)["status"]["userInfo"]
    assert info["username"] == f"system:serviceaccount:{namespace}:default"
    assert f"system:serviceaccounts:{namespace}" in info["groups"]


def test_pods_get_a_service_account_by_admission(
    control_plane: ControlPlane, namespace: str
) -> None:
    """ServiceAccount admission is on: a pod gets account and token volume."""
    here = ("--namespace", namespace)

    control_plane.kubectl("run", "lonely", "--image=registry.test/web:1", *here)

    pod = json.loads(control_plane.kubectl("get", "pod", "lonely", *here, "-o", "json").stdout)
    assert pod["spec"]["serviceAccountName"] == "default"
    assert any("projected" in volume for volume in pod["spec"]["volumes"])


def test_the_scheduler_finds_no_node(control_plane: ControlPlane, namespace: str) -> None:
    """A scheduler looks at each pod; without nodes it says so in the pod's condition."""
    here = ("--namespace", namespace)

    control_plane.kubectl("run", "lonely", "--image=registry.test/web:1", *here)

    control_plane.kubectl(
        "wait", "pod/lonely", *here, "--for=condition=PodScheduled=False", "--timeout=60s"
    )
    pod = json.loads(control_plane.kubectl("get", "pod", "lonely", *here, "-o", "json").stdout)
    (condition,) = pod["status"]["conditions"]
    assert condition["reason"] == "Unschedulable"
    assert "no nodes available" in condition["message"]


def test_a_replica_set_appears_and_goes_with_its_deployment(
    control_plane: ControlPlane, namespace: str
) -> None:
    """The Deployment and ReplicaSet controllers and the garbage collector run."""
    here = ("--namespace", namespace)
    control_plane.kubectl("apply", "--filename", "-", *here, stdin=DEPLOYMENT)
    eventually(lambda: len(names(control_plane, "pods", namespace)) == 2)
    replica_sets = names(control_plane, "replicasets", namespace)

    control_plane.kubectl("delete", "deployment", "web", *here)

    assert len(replica_sets) == 1
    eventually(lambda: names(control_plane, "replicasets,pods", namespace) == [])


def test_a_namespace_goes_with_everything_in_it(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Deleting a namespace ends: no API group keeps it terminating for ever."""
    here = ("--namespace", namespace)
    control_plane.kubectl("create", "configmap", "c", *here)
    control_plane.kubectl("apply", "--filename", "-", *here, stdin=DEPLOYMENT)

    control_plane.kubectl("delete", "namespace", namespace, "--timeout=60s")

    query = ("get", "namespace", namespace, "--ignore-not-found", "--output", "name")
    assert control_plane.kubectl(*query).stdout == ""
    # The fixture deletes it again.
    control_plane.kubectl("create", "namespace", namespace)


def test_the_audit_log_names_who_wrote_what(control_plane: ControlPlane, namespace: str) -> None:
    """Each write is one event with user, verb, object and answer, refused ones included."""
    user = control_plane.kubeconfig_for("carl", ["system:masters"])

    control_plane.kubectl("create", "configmap", "c", "-n", namespace, kubeconfig=user)
    control_plane.kubectl("create", "configmap", "c", "-n", namespace, kubeconfig=user, check=False)

    def creations() -> list[Mapping[str, Any]]:
        return [e for e in audited(control_plane, "carl") if e["verb"] == "create"]

    eventually(lambda: len(creations()) >= 2)
    facts = [
        (e["objectRef"]["resource"], e["objectRef"]["namespace"], e["responseStatus"]["code"])
        for e in creations()
    ]
    assert facts == [("configmaps", namespace, 201), ("configmaps", namespace, 409)]
    assert {e["stage"] for e in creations()} == {"ResponseComplete"}
    assert {e["level"] for e in creations()} == {"Metadata"}


def test_controllers_write_under_names_of_their_own(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Each built-in controller is a service account, so that the audit log tells them apart."""
    here = ("--namespace", namespace)

    control_plane.kubectl("apply", "--filename", "-", *here, stdin=DEPLOYMENT)

    account = "system:serviceaccount:kube-system:deployment-controller"
    eventually(
        lambda: any(
            event["verb"] == "create" and event["objectRef"].get("namespace") == namespace
            for event in audited(control_plane, account)
        )
    )


def test_everything_listens_on_the_loopback_only(control_plane: ControlPlane) -> None:
    """No server of the control plane can be reached from another machine."""
    addresses = {
        connection.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert addresses == {"127.0.0.1"}


def test_the_store_refuses_clients_of_the_api(control_plane: ControlPlane) -> None:
    """A certificate for the Kubernetes API, even an administrator's, does not open etcd."""
    log = (control_plane.logs / "etcd.log").read_text()
    url = urlsplit(log.partition("--listen-client-urls=")[2].split(maxsplit=1)[0])
    pki = control_plane.ca_path.parent

    def ask(client: str) -> int:
        context = ssl.create_default_context(cafile=pki / "etcd-ca.crt")
        context.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
        with closing(http.client.HTTPSConnection(url.netloc, context=context)) as connection:
            connection.request("GET", "/version")
            return connection.getresponse().status

    assert ask("etcd-client") == 200
    # With TLS 1.3 the refusal comes with the first write or read, as an alert or as a plain end.
    with pytest.raises(OSError, match=r"(?i)ssl|eof|reset|closed"):
        ask("readiness-probe")


def test_an_outage_keeps_data_ports_and_credentials(binaries: Binaries, tmp_path: Path) -> None:
    """stop and start, each of them twice, is an outage after which old kubeconfigs work."""
    with ControlPlane(binaries, tmp_path / "cluster", controllers=False) as control_plane:
        control_plane.start()
        control_plane.kubectl("create", "configmap", "kept")
        user = control_plane.kubeconfig_for("dora", ["system:masters"])
        control_plane.stop()
        control_plane.stop()
        down = control_plane.kubectl("get", "configmaps", kubeconfig=user, check=False)

        control_plane.start()

        up = control_plane.kubectl("get", "configmap", "kept", "-o", "name", kubeconfig=user)
    assert "refused" in down.stderr
    assert up.stdout == "configmap/kept\n"


def test_sigkill_of_the_owner_ends_every_process(binaries: Binaries, tmp_path: Path) -> None:
    """A test run killed by force leaves no server behind."""
    folders = [binaries.kube_scheduler.parent, binaries.etcd.parent, tmp_path / "cluster"]
    command = [sys.executable, "-c", PARENT, *map(str, folders)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        processes = psutil.Process(owner.pid).children(recursive=True)

        owner.send_signal(signal.SIGKILL)

        gone, alive = psutil.wait_procs(processes, timeout=30)
    # A supervisor and a server for each of the four programs.
    assert len(gone) == 8
    assert alive == []
