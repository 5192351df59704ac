"""Storage that really grows, and storage that cannot."""

import pytest

from test.e2e.stage import Stage
from test.support.conversation import sample, wait_for

MIB = 1024**2


def store(size: str, storage_class: str) -> dict[str, object]:
    """A store of two members with claims of this size and class."""
    storage = {"size": size, "storageClassName": storage_class}
    return {"partitions": 1, "replicas": 2, "minimumReplicas": 1, "storage": storage}


@pytest.fixture
def namespace(stage: Stage) -> str:
    """A namespace that admits restricted pods only."""
    return stage.restricted_namespace("storage")


def space(stage: Stage, namespace: str, pod: str) -> int:
    """Return the bytes of the file system that a member's data is on, as the member sees it."""
    code = "import os; s = os.statvfs('/hydra-data'); print(s.f_blocks * s.f_frsize)"
    return int(stage.kubectl("exec", "-n", namespace, pod, "--", "python3", "-c", code).stdout)


def written(stage: Stage, namespace: str, pod: str, mebibytes: int) -> str:
    """Write that much into a member's data folder; return what the member says of it."""
    code = (
        f"import os; f = open('/hydra-data/ballast', 'wb'); chunk = os.urandom({MIB});"
        f"[f.write(chunk) for _ in range({mebibytes})]; f.flush(); os.fsync(f.fileno());"
        "print('fits')"
    )
    command = ("exec", "-n", namespace, pod, "--", "python3", "-c", code)
    answer = stage.kubectl(*command, check=False)
    return answer.stdout.strip() or answer.stderr


def resize_pending(stage: Stage, namespace: str, pod: str) -> bool:
    """Tell whether a member's disk has grown, and its file system has not."""
    claim = stage.get("persistentvolumeclaim", f"data-{pod}", namespace) or {}
    conditions = claim["status"].get("conditions", [])
    return any(condition["type"] == "FileSystemResizePending" for condition in conditions)


def test_an_expandable_volume_grows_under_a_running_member(stage: Stage, namespace: str) -> None:
    """The file system is larger afterwards, holds what did not fit before, and no pod restarted."""
    stage.create(sample(namespace, store=store("320Mi", "expandable"), exposure=[]))
    stage.healthy(namespace, members=2)
    before = {pod: space(stage, namespace, pod) for pod in ("demo-store-0-0", "demo-store-0-1")}
    refused = written(stage, namespace, "demo-store-0-0", 400)
    pods = {pod["metadata"]["uid"] for pod in stage.pods(namespace)}

    patch = '{"spec":{"store":{"storage":{"size":"640Mi"}}}}'
    stage.kubectl("patch", "bigpeer/demo", "-n", namespace, "--type=merge", "-p", patch)
    for pod in before:
        wait_for(f"the disk of {pod}", lambda p=pod: resize_pending(stage, namespace, p))
        # The kubelet looks at a running pod's volumes once a minute, or when the pod changes.
        stage.kubectl("annotate", "pod", pod, "-n", namespace, "test/nudge=1")
        wait_for(f"{pod} to see it", lambda p=pod: space(stage, namespace, p) > 500 * MIB)

    assert max(before.values()) < 320 * MIB
    assert "No space left on device" in refused
    assert written(stage, namespace, "demo-store-0-0", 400) == "fits"
    assert {pod["metadata"]["uid"] for pod in stage.pods(namespace)} == pods
    stage.wait_condition(namespace, "StorageReady", "True")
    stage.kubectl("delete", "namespace", namespace, "--wait=false")
