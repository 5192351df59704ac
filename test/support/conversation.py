"""What a test says to a cluster and hears from it, through kubectl, as a person would."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.runtime.meta import Manifest
from smbpctl.sandbox.secrets import referenced_secrets

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "samples" / "bigpeer.yaml"
OPERATOR = "system:serviceaccount:smbpctl-system:smbpctl-manager"
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Kubectl(Protocol):
    """Runs kubectl as the administrator: satisfied by the methods of that name."""

    def __call__(
        self, *arguments: str, stdin: str = ..., check: bool = ...
    ) -> subprocess.CompletedProcess[str]:
        """Return what it said; with `check` a failure is an exception."""
        ...


def wait_for(what: str, probe: Callable[[], T | None], *, seconds: float = 60) -> T:
    """Return the first true answer of `probe`; fail with `what` when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


def sample(namespace: str, name: str = "demo", **spec: Any) -> Manifest:
    """Return the sample BigPeer with top-level fields of its spec replaced."""
    manifest: Manifest = yaml.safe_load(SAMPLE.read_text())
    manifest["metadata"] = {"name": name, "namespace": namespace}
    manifest["spec"]["update"] = {"settleSeconds": 1}
    manifest["spec"].update(spec)
    return manifest


def operator_writes(
    audit: Iterable[Mapping[str, Any]], namespace: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield the operator's mutating requests of an audit log, Leases excluded.

    A review is a question that travels as a create: it stores nothing.
    """
    for event in audit:
        reference = event.get("objectRef", {})
        if (
            event["user"]["username"] == OPERATOR
            and event["verb"] in MUTATING
            and reference.get("resource") not in {"leases", "selfsubjectaccessreviews"}
            and (namespace is None or reference.get("namespace") == namespace)
        ):
            yield event


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod serves: Ready and not being deleted."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


class Watch:
    """An outside witness: every state of a namespace's pods, as the API server tells it.

    `kubectl` is the command with its credentials. `listen` hears of each event: its type, the pod,
    and all pods there are.
    """

    def __init__(
        self,
        kubectl: Sequence[str],
        namespace: str,
        selector: str,
        *,
        listen: Callable[[str, Manifest, Mapping[str, Manifest]], object] | None = None,
    ) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods?watch=1&labelSelector={selector}"
        self._process = subprocess.Popen(
            [*kubectl, "get", "--raw", path], stdout=subprocess.PIPE, text=True
        )
        self.pods: dict[str, Manifest] = {}
        self.ready_counts: list[int] = []
        self.started: list[str] = []
        self._listen = listen
        self._thread = threading.Thread(target=self._read, name="watch")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            pod = event["object"]
            name = pod["metadata"]["name"]
            if event["type"] == "DELETED":
                self.pods.pop(name, None)
            else:
                if event["type"] == "ADDED":
                    self.started.append(name)
                self.pods[name] = pod
            if self._listen is not None:
                self._listen(event["type"], pod, self.pods)
            self.ready_counts.append(sum(map(is_ready, self.pods.values())))


class Conversation:
    """Questions and orders; `kubectl` is who carries them."""

    kubectl: Kubectl

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def established(self) -> None:
        """Wait until the CRD is served."""
        # Right after the CRD was applied it has no conditions, which `kubectl wait` takes amiss.
        command = ("wait", "--for=condition=Established", "crd/bigpeers.smbpctl.dev")
        wait_for("the CRD", lambda: self.kubectl(*command, check=False).returncode == 0)

    def apply(self, *manifests: Manifest) -> str:
        """Apply as a person would."""
        text = yaml.safe_dump_all(manifests)
        return self.kubectl("apply", "--server-side", "-f", "-", stdin=text).stdout

    def refused(self, *manifests: Manifest) -> str:
        """Apply what must be refused; return what the server says."""
        text = yaml.safe_dump_all(manifests)
        command = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        answer = self.kubectl(*command, stdin=text, check=False)
        assert answer.returncode != 0, f"the server accepted it: {answer.stdout}"
        return answer.stderr

    def create(self, manifest: Manifest) -> None:
        """Create a BigPeer with the Secrets that it refers to."""
        self.apply(*referenced_secrets(BigPeer.parse(manifest), datetime.now(UTC)), manifest)

    def get(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """Return an object, None when it does not exist."""
        command = ("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        text = self.kubectl(*command).stdout
        return json.loads(text) if text.strip() else None

    def get_all(self, kinds: str, namespace: str, *, selector: str = "") -> list[Manifest]:
        """Return all objects of these kinds in a namespace that carry these labels."""
        command = ("get", kinds, "-n", namespace, "-l", selector, "-o", "json")
        items: list[Manifest] = json.loads(self.kubectl(*command).stdout)["items"]
        return items

    def names(self, kinds: str, namespace: str) -> list[str]:
        """Return the `kind/name` of all objects of these kinds in a namespace."""
        return self.kubectl("get", kinds, "-n", namespace, "-o", "name").stdout.split()

    def condition(self, namespace: str, kind: str, name: str = "demo") -> Manifest:
        """Return a condition of a BigPeer, empty while it is not written."""
        return next((c for c in self._conditions(namespace, name) if c["type"] == kind), {})

    def wait_condition(
        self,
        namespace: str,
        kind: str,
        status: str = "True",
        reason: str = "",
        *,
        name: str = "demo",
        seconds: float = 90,
    ) -> Manifest:
        """Return a condition as soon as it has this status, and this reason if one is given."""
        seen: Manifest = {}

        def probe() -> Manifest | None:
            nonlocal seen
            seen = self.condition(namespace, kind, name)
            fits = seen.get("status") == status and (not reason or seen.get("reason") == reason)
            return seen if fits else None

        try:
            return wait_for(f"{kind}={status} {reason}", probe, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}") from None

    def settled(self, namespace: str, name: str = "demo", *, seconds: float = 120) -> None:
        """Wait until the BigPeer is available and nothing is under way in its workloads."""
        self.wait_condition(namespace, "Available", name=name, seconds=seconds)
        self.wait_condition(namespace, "RollingUpdateSucceeded", name=name, seconds=seconds)

    def _conditions(self, namespace: str, name: str) -> Iterator[Manifest]:
        peer = self.get("bigpeer", name, namespace) or {}
        yield from peer.get("status", {}).get("conditions", [])
