"""The stage of the tests with real pods: a cluster, the operator inside, and an outside witness."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hack.cluster.cluster import Cluster
from smbpctl.runtime.meta import Manifest
from test.support.conversation import (
    Conversation,
    Watch,
    is_ready,
    operator_writes,
    wait_for,
)

NAMESPACE = "smbpctl-system"
MANAGER = "smbpctl-manager"
STORE = "app.kubernetes.io/component=store"
PARTITION = "smbpctl.dev/partition"
VERSION = "app.kubernetes.io/version"


class Stage(Conversation):
    """A cluster with the operator inside."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.kubectl)
        self.cluster = cluster

    @property
    def command(self) -> list[str]:
        """kubectl with the administrator's credentials, for a process of its own."""
        kubectl = Path(self.cluster.plan.control_plane) / "kubectl"
        return [str(kubectl), f"--kubeconfig={self.cluster.kubeconfig}"]

    def restricted_namespace(self, name: str) -> str:
        """Create a namespace in which only restricted pods are admitted."""
        self.kubectl("create", "namespace", name)
        profile = "pod-security.kubernetes.io/enforce=restricted"
        self.kubectl("label", "namespace", name, profile)
        wait_for("its account", lambda: self.get("serviceaccount", "default", name))
        return name

    def pods(self, namespace: str, selector: str = STORE) -> list[Manifest]:
        """Return pods, sorted by name."""
        found = self.get_all("pods", namespace, selector=selector)
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def set_version(self, namespace: str, version: str, name: str = "demo") -> None:
        """Edit the version as a person would."""
        patch = json.dumps({"spec": {"version": version}})
        self.kubectl("patch", f"bigpeer/{name}", "-n", namespace, "--type=merge", "-p", patch)

    def at_version(
        self, namespace: str, version: str, *, members: int = 6, seconds: float = 240
    ) -> None:
        """Wait until every pod runs a version and the BigPeer says so and is available."""

        def arrived() -> bool:
            pods = self.pods(namespace, "app.kubernetes.io/instance=demo")
            peer = self.get("bigpeer", "demo", namespace) or {}
            return (
                {pod["metadata"]["labels"][VERSION] for pod in pods} == {version}
                and all(map(is_ready, pods))
                and peer.get("status", {}).get("version") == version
            )

        wait_for(f"every pod at {version}", arrived, seconds=seconds)
        self.healthy(namespace, members=members)

    def healthy(self, namespace: str, *, members: int = 6, seconds: float = 120) -> None:
        """Wait until every store member is ready and the BigPeer says all is well."""

        def well() -> bool:
            return sum(map(is_ready, self.pods(namespace))) == members

        wait_for(f"{members} ready members", well, seconds=seconds)
        self.settled(namespace, seconds=seconds)
        self.wait_condition(namespace, "Degraded", "False", seconds=seconds)

    def ask(self, namespace: str, pod: str, url: str) -> str:
        """Fetch a URL from inside a pod that has Python; return its body."""
        code = f"import urllib.request as u; print(u.urlopen({url!r}, timeout=5).read().decode())"
        return self.kubectl("exec", "-n", namespace, pod, "--", "python3", "-c", code).stdout

    def control(
        self, namespace: str, pod: str, method: str, path: str, port: int, body: str = ""
    ) -> None:
        """Tell a fake operand to misbehave; that it dies of the request is no error."""
        code = (
            "import urllib.request as u;"
            f"r = u.Request('http://127.0.0.1:{port}{path}', {body.encode()!r}, method={method!r});"
            "u.urlopen(r, timeout=20).read()"
        )
        command = ("exec", "-n", namespace, pod, "--", "python3", "-c", code)
        self.kubectl(*command, check=False)

    def silence(self, seconds: float) -> list[Mapping[str, Any]]:
        """Listen that long; return what the operator wrote meanwhile."""
        before = len(list(operator_writes(self.audit())))
        time.sleep(seconds)
        return list(operator_writes(self.audit()))[before:]

    def audit(self) -> Iterator[Mapping[str, Any]]:
        """Yield the API server's audit events, a line half written left out."""
        log = self.cluster.files.control_plane / "logs" / "audit.log"
        with log.open("rb") as lines:
            yield from (json.loads(line) for line in lines if line.endswith(b"\n"))

    def node_of(self, namespace: str, pod: str) -> str:
        """Return the node that a pod runs on."""
        found = self.get("pod", pod, namespace)
        assert found is not None
        return str(found["spec"]["nodeName"])


@dataclass
class Floor:
    """Counts ready members per partition at every change, and remembers the lowest counts."""

    stage: Stage
    namespace: str
    partitions: int = 2
    replicas: int = 3
    lowest: dict[str, int] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    @contextmanager
    def counting(self) -> Iterator["Floor"]:
        """Count from the moment at which all members are ready."""
        with Watch(self.stage.command, self.namespace, STORE, listen=self._count):
            wait_for("all members to be seen ready", lambda: self.lowest)
            yield self

    def _count(self, kind: str, changed: Manifest, pods: Mapping[str, Manifest]) -> None:
        counts: dict[str, int] = {}
        for pod in pods.values():
            partition = pod["metadata"]["labels"][PARTITION]
            counts[partition] = counts.get(partition, 0) + is_ready(pod)
        complete = [self.replicas] * self.partitions
        if not self.lowest and sorted(counts.values()) != complete:
            return
        for partition, count in counts.items():
            self.lowest[partition] = min(count, self.lowest.get(partition, count))
        name = changed["metadata"]["name"]
        self.seen.append(f"{time.monotonic():.1f} {kind} {name} {counts}")


@dataclass
class Saboteur:
    """Deletes the operator's pod at random moments, a fixed number of times."""

    stage: Stage
    times: int
    seed: int
    gap: tuple[float, float]
    moments: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="saboteur")
        self._thread.start()

    def finish(self, *, seconds: float) -> None:
        """Wait until the last time; fail when it does not come."""
        assert self._thread is not None
        self._thread.join(seconds)
        alive = self._thread.is_alive()
        self._over.set()
        self._thread.join(30)
        assert not alive, f"only {len(self.moments)} of {self.times} times"

    def stop(self) -> None:
        """Stop, wherever it is."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(30)

    def _work(self) -> None:
        random = Random(self.seed)
        while len(self.moments) < self.times and not self._over.wait(random.uniform(*self.gap)):
            selector = "app.kubernetes.io/component=manager"
            command: Sequence[Any] = ("delete", "pod", "-n", NAMESPACE, "-l", selector)
            gone = self.stage.kubectl(*command, "--wait=false", "--now", check=False)
            if "deleted" in gone.stdout:
                self.moments.append(time.monotonic())
