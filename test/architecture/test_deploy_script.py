"""Tests of hack/deploy.py that need no cluster; test/controlplane/test_deploy.py has the others."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hack import deploy

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("reference", "override"),
    [
        ("registry.test/x/manager:1.2", {"newName": "registry.test/x/manager", "newTag": "1.2"}),
        ("registry.test/x/manager", {"newName": "registry.test/x/manager"}),
        ("host:5000/manager", {"newName": "host:5000/manager"}),
        ("host:5000/manager:1.2", {"newName": "host:5000/manager", "newTag": "1.2"}),
        ("manager:1.2", {"newName": "manager", "newTag": "1.2"}),
        (f"host:5000/manager@{DIGEST}", {"newName": "host:5000/manager", "digest": DIGEST}),
        (f"manager:1.2@{DIGEST}", {"newName": "manager", "digest": DIGEST}),
    ],
)
def test_a_reference_is_split(reference: str, override: dict[str, str]) -> None:
    """Registry port, tag and digest are told apart; a digest wins over a tag."""
    assert deploy.image_override(reference) == {"name": deploy.IMAGE, **override}


def test_an_overlay_without_settings_changes_the_image_only() -> None:
    """Nothing is patched that nobody asked for."""
    made = deploy.overlay("../base", "manager:1", {})

    assert set(made) == {"apiVersion", "kind", "resources", "images"}
    assert made["resources"] == ["../base"]


def test_settings_become_variables_of_the_manager() -> None:
    """Values are taken as they are, whatever YAML would make of them."""
    made = deploy.overlay("base", "manager:1", {"SMBPCTL_WORKERS": "5", "SMBPCTL_NAMESPACE": "no"})

    patch = json.loads(made["patches"][0]["patch"])
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert patch["metadata"] == {"name": deploy.NAME, "namespace": deploy.NAMESPACE}
    assert container["name"] == "manager"
    assert container["env"] == [
        {"name": "SMBPCTL_WORKERS", "value": "5"},
        {"name": "SMBPCTL_NAMESPACE", "value": "no"},
    ]


def pod(*, state: dict[str, Any], ready: bool = False, **container: Any) -> deploy.Manifest:
    """Return a pod with one container in that state."""
    statuses = [{"name": "manager", "ready": ready, "state": state, **container}]
    return {"metadata": {"name": "one"}, "status": {"containerStatuses": statuses}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}),
            ["ImagePullBackOff: no such tag"],
        ),
        (
            pod(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            ),
            ["CrashLoopBackOff", "ended before: OOMKilled, exit status 137"],
        ),
        (pod(state={"running": {}}), ["runs, but /readyz does not pass"]),
        (pod(state={"running": {}}, ready=True), []),
        ({"metadata": {"deletionTimestamp": "now"}}, ["is being deleted"]),
    ],
)
def test_a_pod_says_why_it_does_not_serve(given: deploy.Manifest, said: list[str]) -> None:
    """Waiting, crashed, not ready, going: each in a line; a pod that serves says nothing."""
    assert list(deploy.pod_states(given)) == said


@pytest.mark.parametrize(
    ("crd", "conditions"),
    [
        ({}, {}),
        ({"status": {"conditions": None}}, {}),
        (
            {"status": {"conditions": [{"type": "Established", "status": "False"}]}},
            {"Established": "False"},
        ),
    ],
)
def test_a_crd_without_conditions_is_one_to_wait_for(
    crd: deploy.Manifest, conditions: dict[str, str]
) -> None:
    """The server writes null for a moment: neither an error nor a CRD that is served."""
    assert deploy.crd_conditions(crd) == conditions


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["up", "--image", ""], "IMG="),
        (["up", "--image", "x", "--set", "SMBPCTL_WORKERS"], "NAME=VALUE"),
        (["up", "--image", "x", "--set", "two words=x"], "NAME=VALUE"),
    ],
)
def test_wrong_usage_is_named(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is run; the message says what to write."""
    with pytest.raises(SystemExit) as ended:
        deploy.main(arguments)

    assert ended.value.code == 2
    assert word in capsys.readouterr().err


def test_without_kubectl_a_line_says_so(tmp_path: Path) -> None:
    """As people run it, with nothing but the interpreter: no traceback."""
    command = [sys.executable, "-IS", str(deploy.ROOT / "hack" / "deploy.py"), "down"]

    ran = subprocess.run(
        command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "deploy: kubectl is not on the PATH\n"
