"""The examples for embedders, run as the programs they are against a real API server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from smbpctl.runtime.simulation.controlplane import ControlPlane

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "embedding"
PATIENCE = timedelta(seconds=30)


@contextmanager
def running(name: str, control_plane: ControlPlane) -> Iterator[subprocess.Popen[str]]:
    """Run an example for the length of the block; kill it if it is still there after."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env={**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class TestConfigMapMirror:
    """`configmap_mirror.py`."""

    def test_it_mirrors_repairs_and_cleans_up(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """A Secret for each labelled ConfigMap, kept so, and gone with label or ConfigMap."""

        def kubectl(*args: str) -> str:
            return control_plane.kubectl("--namespace", namespace, *args).stdout

        def wait(condition: str, name: str = "a") -> None:
            seconds = int(PATIENCE.total_seconds())
            kubectl("wait", f"--for={condition}", f"secret/{name}", f"--timeout={seconds}s")

        def secret() -> object:
            return json.loads(kubectl("get", "secret", "a", "--output=json"))["data"]

        one, two = "jsonpath={.data.key}=b25l", "jsonpath={.data.key}=dHdv"
        kubectl("create", "configmap", "a", "--from-literal=key=one")
        kubectl("create", "configmap", "plain", "--from-literal=key=one")
        kubectl("label", "configmap", "a", "mirror=true")

        with running("configmap_mirror", control_plane) as process:
            wait("create")
            wait(one)
            kubectl("patch", "configmap", "a", "--patch", '{"data": {"key": "two"}}')
            wait(two)
            kubectl("patch", "secret", "a", "--patch", '{"data": {"key": "aGFuZA=="}}')
            wait(two)
            kubectl("delete", "secret", "a")
            wait("create")
            before = secret()
            kubectl("label", "configmap", "a", "mirror-")
            wait("delete")
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE.total_seconds())

        secrets = kubectl("get", "secrets", "--output=name").split()
        assert before == {"key": "dHdv"}
        assert secrets == []
        assert process.returncode == 0, output
        assert "manager stopped" in output
