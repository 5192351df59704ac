"""A BigPeer of 2 x 3 on real nodes, through what happens to nodes, pods and versions.

The operator runs inside as a restricted pod, and is deleted at ten random moments meanwhile. The
tests share one BigPeer, and each leaves it healthy. A witness counts the ready members.
"""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from smbpctl.operand.contract import COMPONENTS
from test.e2e.stage import PARTITION, Floor, Saboteur, Stage
from test.support.conversation import is_ready, operator_writes, sample, wait_for

OLD, NEW, ABSENT = "1.62.4", "1.63.2", "1.63.9"
FLOOR = 2
SEED = 20261121
RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}}
STORE = {
    "partitions": 2,
    "replicas": 3,
    "minimumReplicas": FLOOR,
    "storage": {"size": "1Gi"},
    "resources": RESOURCES,
}


@pytest.fixture(scope="module")
def namespace(stage: Stage) -> str:
    """A namespace that admits restricted pods only, with a BigPeer whose members are ready."""
    name = stage.restricted_namespace("shop")
    stage.create(sample(name, version=OLD, store=STORE))
    stage.healthy(name, seconds=180)
    return name


@pytest.fixture(scope="module")
def saboteur(stage: Stage, namespace: str) -> Iterator[Saboteur]:
    """Somebody who deletes the operator's pod again and again."""
    made = Saboteur(stage, times=10, seed=SEED, gap=(10, 25))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def floor(stage: Stage, namespace: str, saboteur: Saboteur) -> Iterator[Floor]:
    """A witness of the test, in which no partition may fall below its floor."""
    stage.healthy(namespace)
    witness = Floor(stage, namespace)
    with witness.counting():
        yield witness
        stage.healthy(namespace, seconds=180)
    story = "\n".join(witness.seen)
    assert min(witness.lowest.values(), default=3) >= FLOOR, f"{witness.lowest}\n{story}"


def test_members_are_spread_and_available(stage: Stage, namespace: str) -> None:
    """Each partition has a member on every node, as Available says so."""
    nodes: dict[str, set[str]] = {}
    for pod in stage.pods(namespace):
        nodes.setdefault(pod["metadata"]["labels"][PARTITION], set()).add(pod["spec"]["nodeName"])

    assert nodes == {p: {"node1", "node2", "node3"} for p in ("0", "1")}
    assert stage.condition(namespace, "Available")["status"] == "True"


def test_operator_and_operand_run_restricted(stage: Stage, namespace: str) -> None:
    """Both namespaces enforce the profile, and the processes have no root and no capability."""
    for name in (namespace, "smbpctl-system"):
        labels = stage.kubectl("get", "namespace", name, "-o=json").stdout
        enforced = json.loads(labels)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        assert enforced == "restricted"
    code = (
        "print([l for l in open('/proc/1/status') if l.startswith(('Uid', 'CapEff', 'Seccomp:'))])"
    )
    manager = (
        "exec",
        "-n",
        "smbpctl-system",
        "deploy/smbpctl-manager",
        "--",
        "python3",
        "-c",
        code,
    )
    member = ("exec", "-n", namespace, "demo-store-0-0", "--", "python3", "-c", code)
    for command in (manager, member):
        said = stage.kubectl(*command).stdout
        assert "Uid:\\t65532\\t65532\\t65532\\t65532" in said
        assert "CapEff:\\t0000000000000000" in said
        assert "Seccomp:\\t2" in said


def test_every_component_answers_through_its_service(stage: Stage, namespace: str) -> None:
    """From another pod, by the Service's DNS name."""
    services = stage.get_all("services", namespace, selector="app.kubernetes.io/instance=demo")
    asked = set()
    for service in services:
        component = service["metadata"]["labels"]["app.kubernetes.io/component"]
        port = next(p for p in service["spec"]["ports"] if p["name"] == "http")["port"]
        name = f"{service['metadata']['name']}.{namespace}.svc.cluster.local"

        assert stage.ask(namespace, "demo-store-1-0", f"http://{name}:{port}/health/live") == "ok\n"
        asked.add(component)

    assert asked == {component.value for component in COMPONENTS}


def test_nothing_is_written_after_convergence(stage: Stage, namespace: str) -> None:
    """Real pods and kubelets report all the time; none of it makes the operator write."""
    written = [event["requestURI"] for event in operator_writes(stage.audit(), namespace)]
    assert written, "the audit log knows what made the BigPeer"

    assert stage.silence(15) == []


def test_version_change_rolls_within_the_floor(stage: Stage, namespace: str, floor: Floor) -> None:
    """Members are replaced one at a time, front-ends after them."""
    stage.set_version(namespace, NEW)

    stage.at_version(namespace, NEW)


def test_absent_image_stops_the_rollout_and_its_fix_heals(
    stage: Stage, namespace: str, floor: Floor
) -> None:
    """A tag that does not exist costs one member, which returns with the next edit."""
    stage.set_version(namespace, ABSENT)
    stage.wait_condition(namespace, "Degraded", "True", "ImagePullFailed", seconds=120)
    waiting = [pod for pod in stage.pods(namespace) if not is_ready(pod)]

    stage.set_version(namespace, NEW)

    assert len(waiting) == 1
    stage.at_version(namespace, NEW)


@pytest.mark.parametrize("node", ["node1", "node2", "node3"])
def test_drained_node_costs_one_member_a_partition(
    stage: Stage, namespace: str, floor: Floor, node: str
) -> None:
    """Its members wait for their volumes' node; nobody else is disturbed, and they come back."""
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
    stage.kubectl("drain", node, *flags, seconds=130)
    left = [pod for pod in stage.pods(namespace) if is_ready(pod)]

    stage.kubectl("uncordon", node)

    assert len(left) == 4
    assert node not in {pod["spec"]["nodeName"] for pod in left}


def test_lost_node_comes_back(stage: Stage, namespace: str, floor: Floor) -> None:
    """A node without power is NotReady, its pods are lost, and all is well when it returns."""
    stage.cluster.hold("node2", "power")
    command = ("wait", "--for=condition=Ready=Unknown", "node/node2", "--timeout=90s")
    stage.kubectl(*command, seconds=100)

    def lost() -> bool:
        return sum(map(is_ready, stage.pods(namespace))) == 4

    wait_for("its members to count as lost", lost, seconds=60)
    stage.cluster.release("node2", "power")
    stage.kubectl("wait", "--for=condition=Ready", "node/node2", "--timeout=90s", seconds=100)


def test_killed_kubelet_comes_back(stage: Stage, namespace: str, floor: Floor) -> None:
    """Without its kubelet a node is NotReady though its pods run; they are members again after."""
    stage.cluster.hold("node3", "kubelet")
    command = ("wait", "--for=condition=Ready=Unknown", "node/node3", "--timeout=90s")
    stage.kubectl(*command, seconds=100)
    stage.cluster.release("node3", "kubelet")

    stage.kubectl("wait", "--for=condition=Ready", "node/node3", "--timeout=90s", seconds=100)


def test_killed_member_is_restarted(stage: Stage, namespace: str, floor: Floor) -> None:
    """SIGKILL of a member's process costs that member a few seconds."""
    node = stage.node_of(namespace, "demo-store-0-1")
    pattern = "POD_NAME=demo-store-0-1"
    find = ["grep", "-lz", pattern, "-r", "/proc", "--include=environ"]
    found = subprocess.run(
        stage.cluster.inside(find, node=node), capture_output=True, text=True, check=False
    )
    processes = {line.split("/")[2] for line in found.stdout.splitlines()}
    processes = {each for each in processes if each.isdigit()}
    assert processes

    kill = stage.cluster.inside(["kill", "-KILL", *sorted(processes)], node=node)
    subprocess.run(kill, check=True)

    wait_for("the restart", lambda: restarts(stage, namespace, "demo-store-0-1") == 1)


def test_member_out_of_memory_is_restarted(stage: Stage, namespace: str, floor: Floor) -> None:
    """The kernel ends it at its limit, the kubelet says OOMKilled, and it serves again."""
    stage.control(namespace, "demo-store-1-1", "POST", "/fake/allocate?bytes=400000000", 8080)

    def killed() -> bool:
        pod = stage.get("pod", "demo-store-1-1", namespace) or {}
        status = pod["status"]["containerStatuses"][0]
        return bool(status["lastState"].get("terminated", {}).get("reason") == "OOMKilled")

    wait_for("the kernel to end it", killed)


def test_member_that_ends_again_and_again_is_told(
    stage: Stage, namespace: str, floor: Floor
) -> None:
    """Degraded says so, and goes on saying so, through back-offs and restarts."""
    crashes = json.dumps({"crashes": True})
    stage.control(namespace, "demo-store-0-2", "PUT", "/fake/behaviour", 8080, crashes)
    stage.control(namespace, "demo-store-0-2", "POST", "/fake/exit?status=1", 8080)
    stage.wait_condition(namespace, "Degraded", "True", "CrashLooping")

    deadline = time.monotonic() + 15
    said = set()
    while time.monotonic() < deadline:
        condition = stage.condition(namespace, "Degraded")
        said.add((condition["status"], condition["message"]))

    stage.kubectl("delete", "pod", "demo-store-0-2", "-n", namespace)
    assert len(said) == 1, said


def test_operator_was_deleted_ten_times(
    stage: Stage, namespace: str, saboteur: Saboteur, floor: Floor
) -> None:
    """All of the above happened while the operator's pod was deleted at random moments."""
    saboteur.finish(seconds=240)
    stage.kubectl("rollout", "status", "deployment/smbpctl-manager", "-n", "smbpctl-system")
    stage.healthy(namespace)

    assert len(saboteur.moments) == 10
    assert stage.silence(10) == [], "a new operator finds nothing to do"


def restarts(stage: Stage, namespace: str, pod: str) -> int:
    """Return how often the container of a pod was started again."""
    found = stage.get("pod", pod, namespace)
    assert found is not None
    return int(found["status"]["containerStatuses"][0]["restartCount"])
