"""`smbpctl run` as a process: probes, metrics, scope, signals, and what it says when it may not."""

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path

from smbpctl.resources.permissions import operator_permissions
from smbpctl.runtime.meta import Manifest
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.conversation import ROOT, sample, wait_for


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get(port: int, path: str) -> tuple[int, str]:
    """Return status and body, or status 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def _lines(operator: Operator) -> list[Manifest]:
    return [json.loads(line) for line in operator.log.read_text().splitlines() if line[:1] == "{"]


def test_probes_metrics_and_an_orderly_end(stage: Stage, namespace: str) -> None:
    """Ready once the caches are synced, metrics under the known names, status 0 after SIGTERM."""
    port = _free_port()
    operator = stage.operator("--probe-address", f"127.0.0.1:{port}", "--log-level", "info")

    with operator:
        wait_for("readiness", lambda: _get(port, "/readyz")[0] == 200)
        alive = _get(port, "/healthz")
        stage.create(sample(namespace))
        stage.wait_condition(namespace, "Available")
        metrics = _get(port, "/metrics")[1]
        status = operator.stop()

    assert alive[0] == 200
    for controller in ("cluster", "networking", "tls", "transaction-log"):
        name = f'controller_runtime_reconcile_total{{controller="{controller}",result="success"}}'
        assert name in metrics
    assert "rest_client_requests_total" in metrics
    assert "workqueue_depth" in metrics
    assert status == 0
    first = _lines(operator)[0]
    assert first["event"] == "operator starting"
    assert str(stage.kubeconfig) in first["source"]
    assert first["server"].startswith("https://")


def test_one_namespace_only(stage: Stage, namespace: str) -> None:
    """With --namespace everything outside it is left alone."""
    other = f"{namespace}-other"
    stage.control_plane.kubectl("create", "namespace", other)
    stage.create(sample(other))
    stage.create(sample(namespace))

    with stage.operator("--namespace", namespace):
        stage.wait_condition(namespace, "Available")

    assert stage.condition(other, "Available") == {}
    assert list(stage.writes(other)) == []
    stage.control_plane.kubectl("delete", "namespace", other, "--wait=false")


def test_a_missing_right_is_named(stage: Stage) -> None:
    """Without its role the operator is alive, not ready, and says what it may not do."""
    account = operator_permissions([], "bare-system")[:2]
    stage.apply(*account)
    port = _free_port()
    operator = stage.operator("--probe-address", f"127.0.0.1:{port}")
    operator.kubeconfig = stage.control_plane.service_account_kubeconfig(
        "bare-system", "smbpctl-manager"
    )

    with operator:
        refusal = 'cannot watch resource "bigpeers"'
        wait_for("the refusal", lambda: refusal in _get(port, "/readyz?verbose")[1])
        ready = _get(port, "/readyz")[0]
        alive = _get(port, "/healthz")[0]

    assert ready != 200
    assert alive == 200


def test_wrong_usage_is_one_line(stage: Stage, tmp_path: Path) -> None:
    """A kubeconfig that does not exist, or a flag of the wrong form, is named; status 1."""
    missing = stage.operator()
    missing.kubeconfig = tmp_path / "none.yaml"
    wrong = stage.operator("--workers", "many")

    for operator, word in ((missing, "none.yaml"), (wrong, "--workers")):
        operator.start()
        assert operator.process is not None
        status = operator.process.wait(30)
        last = operator.log.read_text().strip().splitlines()[-1]

        assert status == 1
        assert last.startswith("smbpctl run:")
        assert word in last


def test_make_install_and_uninstall(stage: Stage) -> None:
    """`make install` puts the CRD into the current context, `make uninstall` takes it away."""
    kubectl = stage.control_plane.binaries.kubectl
    environment = dict(os.environ)
    environment["KUBECONFIG"] = str(stage.control_plane.kubeconfig)
    environment["PATH"] = f"{kubectl.parent}{os.pathsep}{environment['PATH']}"

    def make(target: str) -> str:
        command = ["make", "-s", target]
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        return ran.stdout

    installed = make("install")
    present = stage.names("crds", "default")
    make("uninstall")
    absent = stage.names("crds", "default")
    make("install")
    stage.established()

    assert "bigpeers.smbpctl.dev" in installed
    assert "customresourcedefinition.apiextensions.k8s.io/bigpeers.smbpctl.dev" in present
    assert absent == []
