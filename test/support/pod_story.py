"""The story of a pod as its status tells it: what a kubelet and the node agent must agree on."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from smbpctl.runtime.meta import Manifest

GOLDEN = Path(__file__).parents[1] / "golden" / "fidelity"
LABEL = "scenario"
IMAGE_ABSENT = "127.0.0.1:1/absent:1"
"""Nobody listens there, so a pull fails at once."""

Story = list[Manifest]


def moment_of(pod: Manifest) -> Manifest:
    """Return what one version of a pod tells: phase, true conditions, and the container's state."""
    status = pod.get("status", {})
    told = (status.get("containerStatuses") or [{}])[0]
    conditions = status.get("conditions", [])
    moment: Manifest = {
        "phase": status.get("phase"),
        "conditions": sorted(each["type"] for each in conditions if each["status"] == "True"),
        "container": _state(told.get("state", {})),
        "last": _state(told.get("lastState", {})),
        "ready": told.get("ready", False),
        "started": told.get("started", False),
        "restarts": told.get("restartCount", 0),
    }
    if "deletionTimestamp" in pod["metadata"]:
        moment["deleting"] = True
    return moment


def _state(state: Mapping[str, Any]) -> str:
    for kind, detail in state.items():
        code = detail.get("exitCode", "")
        return " ".join(filter(None, (kind, detail.get("reason", ""), str(code))))
    return ""


@dataclass(frozen=True)
class Scenario:
    """A pod to create, and what to do and to wait for.

    `delete_at` is the container state at which the pod is deleted; `ends` tells the last moment
    of the story, None the pod's disappearance.
    """

    name: str
    code: str = "import time; time.sleep(3600)"
    delete_at: str = ""
    ends: Callable[[Manifest], bool] | None = None
    container: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def pod(self, namespace: str, image: str, *, number: int = 0) -> Manifest:
        """Return the pod; several of one scenario differ by their number."""
        main: Manifest = {"name": "main", "image": image, "command": ["python3", "-c", self.code]}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{self.name}-{number}",
                "namespace": namespace,
                "labels": {LABEL: self.name},
            },
            "spec": {
                "terminationGracePeriodSeconds": 5,
                "containers": [{**main, **self.container}],
            },
        }

    def recorded(self) -> Story:
        """Return the story that a kubelet told, as recorded in the golden file."""
        text = (GOLDEN / f"{self.name}.yaml").read_text(encoding="utf-8")
        return list(yaml.safe_load_all(text))


def _is_ready(moment: Manifest) -> bool:
    return "Ready" in moment["conditions"]


def _waits(reason: str) -> Callable[[Manifest], bool]:
    return lambda moment: moment["container"] == f"waiting {reason}"


_SERVER = """
import http.server
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8000), Healthy).serve_forever()
"""
_STOPS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
_PROBE = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1, "failureThreshold": 30}
_SECRET = {"secretKeyRef": {"name": "absent", "key": "key"}}

SCENARIOS: Sequence[Scenario] = (
    Scenario("start", ends=_is_ready),
    Scenario(
        "probes",
        code=_SERVER,
        container={"startupProbe": _PROBE, "readinessProbe": _PROBE},
        ends=_is_ready,
    ),
    Scenario(
        "crash",
        code="import time; time.sleep(1); raise SystemExit(1)",
        ends=lambda moment: bool(moment["restarts"] == 2),
    ),
    Scenario("deletion", code=_STOPS, delete_at="running"),
    Scenario(
        "absent-image",
        container={"image": IMAGE_ABSENT, "imagePullPolicy": "IfNotPresent"},
        ends=_waits("ImagePullBackOff"),
    ),
    Scenario(
        "absent-secret",
        container={"env": [{"name": "VALUE", "valueFrom": _SECRET}]},
        ends=_waits("CreateContainerConfigError"),
    ),
)


class Stories:
    """Collects the story of each pod from the events of a watch; threads may ask meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stories: dict[str, Story] = {}
        self._over: set[str] = set()

    def listen(self, kind: str, pod: Manifest, _pods: object = None) -> None:
        """Hear of an event of a pod with a scenario's label."""
        name, label = pod["metadata"]["name"], pod["metadata"]["labels"][LABEL]
        scenario = next(each for each in SCENARIOS if each.name == label)
        moment = moment_of(pod)
        with self._lock:
            story = self._stories.setdefault(name, [])
            if name not in self._over and moment not in story[-1:]:
                story.append(moment)
            gone = kind == "DELETED"
            if gone if scenario.ends is None else scenario.ends(moment):
                self._over.add(name)

    def is_over(self, name: str) -> bool:
        """Tell whether the last moment of a pod's story has come."""
        with self._lock:
            return name in self._over

    def of(self, name: str) -> Story:
        """Return the moments of a pod so far, each once."""
        with self._lock:
            return list(self._stories.get(name, []))


def selector_since(version: str) -> str:
    """Return what a watch selects by to hear of every event after a resource version."""
    return f"{LABEL}&resourceVersion={version}"


def is_abridged(story: Story, whole: Story) -> bool:
    """Tell whether a story leaves moments of another out, and is the same in all else."""
    rest = iter(whole)
    return all(moment in rest for moment in story)
