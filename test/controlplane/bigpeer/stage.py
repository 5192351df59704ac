"""The stage of the operator's tests: nodes, a fake operand, the operator as its own process."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents import FailureRules
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config
from smbpctl.sandbox.operand import FakeOperand
from smbpctl.sandbox.secrets import referenced_secrets
from smbpctl.sandbox.world import World

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "config" / "samples" / "bigpeer.yaml"
OPERATOR = "system:serviceaccount:smbpctl-system:smbpctl-manager"
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


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


class Nodes:
    """The node agent with the fake operand, on a thread with an event loop of its own."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.failures: FailureRules
        self.operand: FakeOperand
        self._kubeconfig = control_plane.kubeconfig
        self._started = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="nodes")

    def __enter__(self) -> "Nodes":
        self._thread.start()
        assert self._started.wait(30), "the node agent did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        config = await load_config(self._kubeconfig)
        world = World(config, clock=LoopClock(), random=system_random(), node_prefix="stage")
        self.failures, self.operand = world.failures, world.operand
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        self._started.set()
        await world.run()


@dataclass
class Operator:
    """`smbpctl run` as a process of its own, under the rights that config/rbac grants."""

    kubeconfig: Path
    log: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> "Operator":
        """Start the process."""
        assert self.process is None
        command = [sys.executable, "-m", "smbpctl", "run", "--kubeconfig", str(self.kubeconfig)]
        command += ["--probe-address", "", "--log-level", "debug", *self.flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=dict(os.environ))
        return self

    def kill(self) -> None:
        """End it as the kernel would: no handler runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Kubernetes would; return its exit status."""
        return self._end(signal.SIGTERM)

    def __enter__(self) -> "Operator":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(30)
        self.process = None
        return status


class Watch:
    """An outside witness: every state of a namespace's pods, as the API server tells it."""

    def __init__(self, control_plane: ControlPlane, namespace: str, selector: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods?watch=1&labelSelector={selector}"
        command = [str(control_plane.binaries.kubectl), "--kubeconfig"]
        command += [str(control_plane.kubeconfig), "get", "--raw", path]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._pods: dict[str, Manifest] = {}
        self.ready_counts: list[int] = []
        self.started: list[str] = []
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
                self._pods.pop(name, None)
            else:
                if event["type"] == "ADDED":
                    self.started.append(name)
                self._pods[name] = pod
            self.ready_counts.append(sum(map(is_ready, self._pods.values())))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod serves: Ready and not being deleted."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


@dataclass
class Stage:
    """A control plane with CRD, rights and nodes; what a test says to the cluster goes here."""

    control_plane: ControlPlane
    nodes: Nodes
    kubeconfig: Path
    logs: Path

    def operator(self, *flags: str) -> Operator:
        """Return an operator that is not started yet."""
        log = self.logs / f"operator-{secrets.token_hex(3)}.log"
        return Operator(self.kubeconfig, log, flags)

    def established(self) -> None:
        """Wait until the CRD is served."""
        # Right after the CRD was applied it has no conditions, which `kubectl wait` takes amiss.
        command = ("wait", "--for=condition=Established", "crd/bigpeers.smbpctl.dev")
        wait_for(
            "the CRD", lambda: self.control_plane.kubectl(*command, check=False).returncode == 0
        )

    def apply(self, *manifests: Manifest) -> str:
        """Apply as a person would."""
        text = yaml.safe_dump_all(manifests)
        return self.control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=text).stdout

    def refused(self, *manifests: Manifest) -> str:
        """Apply what must be refused; return what the server says."""
        text = yaml.safe_dump_all(manifests)
        command = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        answer = self.control_plane.kubectl(*command, stdin=text, check=False)
        assert answer.returncode != 0, f"the server accepted it: {answer.stdout}"
        return answer.stderr

    def create(self, manifest: Manifest) -> None:
        """Create a BigPeer with the Secrets that it refers to."""
        self.apply(*referenced_secrets(BigPeer.parse(manifest), datetime.now(UTC)), manifest)

    def get(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """Return an object, None when it does not exist."""
        command = ("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        text = self.control_plane.kubectl(*command).stdout
        return json.loads(text) if text.strip() else None

    def get_all(self, kinds: str, namespace: str, *, selector: str = "") -> list[Manifest]:
        """Return all objects of these kinds in a namespace that carry these labels."""
        command = ("get", kinds, "-n", namespace, "-l", selector, "-o", "json")
        items: list[Manifest] = json.loads(self.control_plane.kubectl(*command).stdout)["items"]
        return items

    def names(self, kinds: str, namespace: str) -> list[str]:
        """Return the `kind/name` of all objects of these kinds in a namespace."""
        command = ("get", kinds, "-n", namespace, "-o", "name")
        return self.control_plane.kubectl(*command).stdout.split()

    def condition(self, namespace: str, kind: str, name: str = "demo") -> Manifest:
        """Return a condition of a BigPeer, empty while it is not written."""
        peer = self.get("bigpeer", name, namespace) or {}
        conditions = peer.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

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

    def writes(self, namespace: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the operator's mutating requests so far, Leases excluded."""
        for event in self.control_plane.audit_events():
            reference = event.get("objectRef", {})
            if (
                event["user"]["username"] == OPERATOR
                and event["verb"] in MUTATING
                and reference.get("resource") != "leases"
                and (namespace is None or reference.get("namespace") == namespace)
            ):
                yield event
