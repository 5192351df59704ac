"""The operator on a developer's machine, against the cluster: what `make run` does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from test.e2e.conftest import OPERAND_IMAGES
from test.e2e.stage import MANAGER, NAMESPACE, Stage
from test.support.conversation import ROOT, sample, wait_for

OLD, NEW = "1.62.4", "1.63.2"
DEVELOPER = "developer"
STORE = {"partitions": 1, "replicas": 2, "minimumReplicas": 1, "storage": {"size": "1Gi"}}


@pytest.fixture
def nobody_inside(stage: Stage) -> Iterator[None]:
    """The operator inside does not run meanwhile."""
    scale = ("scale", f"deployment/{MANAGER}", "-n", NAMESPACE)
    stage.kubectl(*scale, "--replicas=0")
    selector = "app.kubernetes.io/component=manager"
    wait_for("its end", lambda: not stage.pods(NAMESPACE, selector))
    yield
    stage.kubectl(*scale, "--replicas=1")
    stage.kubectl("rollout", "status", f"deployment/{MANAGER}", "-n", NAMESPACE)


@pytest.fixture
def kubeconfig(stage: Stage, tmp_path: Path) -> Path:
    """A kubeconfig of somebody who has the developer's role and no other right."""
    stage.kubectl("apply", "--server-side", "-f", str(ROOT / "config" / "rbac" / "developer.yaml"))
    stage.kubectl("create", "serviceaccount", DEVELOPER, "-n", "default")
    account = f"--serviceaccount=default:{DEVELOPER}"
    role = "--clusterrole=smbpctl-developer"
    stage.kubectl("create", "clusterrolebinding", DEVELOPER, role, account)
    token = stage.kubectl("create", "token", DEVELOPER, "-n", "default").stdout.strip()
    values = yaml.safe_load(stage.cluster.kubeconfig.read_text())
    values["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def outside(nobody_inside: None, kubeconfig: Path, tmp_path: Path) -> Iterator[Path]:
    """The operator as a process on this machine; its log."""
    log = tmp_path / "operator.log"
    command = [sys.executable, "-m", "smbpctl", "run", "--log-level=debug", "--probe-address="]
    command += [f"--image-prefix={OPERAND_IMAGES}", f"--operator-namespace={NAMESPACE}"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output, env=environment)
    yield log
    process.terminate()
    assert process.wait(30) == 0


def test_members_are_asked_by_port_forward(stage: Stage, outside: Path) -> None:
    """From outside, members answer through the API server, so that a version change proceeds."""
    namespace = stage.restricted_namespace("outside")
    stage.create(sample(namespace, version=OLD, store=STORE, exposure=[]))
    stage.healthy(namespace, members=2)

    stage.set_version(namespace, NEW)

    stage.at_version(namespace, NEW, members=2)
    peer = stage.get("bigpeer", "demo", namespace) or {}
    members = [m for p in peer["status"]["store"]["partitions"] for m in p["members"]]
    assert [member["caughtUp"] for member in members] == [True, True]
    stage.kubectl("delete", "namespace", namespace, "--wait=false")
