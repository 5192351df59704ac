"""What a node reports of a pod: the whole status that it owns, from what it knows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast, final

from smbpctl.runtime.meta import Manifest, is_deleting, uid_of
from smbpctl.runtime.simulation.agents.sections import entries, section
from smbpctl.runtime.simulation.agents.workload import Health

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


@final
@dataclass(frozen=True, slots=True)
class Exit:
    """How the containers' last run ended. `retry_at` is when they are started again."""

    started: datetime
    finished: datetime
    code: int
    retry_at: datetime


@final
@dataclass(frozen=True, slots=True)
class Run:
    """The containers of a pod since they were started.

    `exit` is set while they do not run. `previous` is how the run before this one ended.
    """

    address: str
    started: datetime
    health: Health = Health.UNREADY
    restarts: int = 0
    exit: Exit | None = None
    previous: Exit | None = None

    @property
    def alive(self) -> bool:
        """Tell whether the containers run now."""
        return self.exit is None


@final
@dataclass(frozen=True, slots=True)
class Facts:
    """What the node knows about a pod, beside the pod object itself.

    `unmounted` and `unreadable` say what volumes and variables wait for, `unpullable` are the
    images that cannot be had. `stuck` keeps a deleted pod from going.
    """

    now: datetime
    node_address: str
    unmounted: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    unpullable: frozenset[str] = frozenset()
    start_delay: timedelta = timedelta(0)
    stuck: bool = False
    run: Run | None = None

    @property
    def blocked(self) -> bool:
        """Tell whether the containers cannot be created now."""
        return bool(self.unmounted or self.unreadable or self.unpullable)


def timestamp(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def next_status(pod: Manifest, facts: Facts) -> Manifest:
    """Return the status that the node reports: complete for what it owns, others' parts left out.

    The same pod and facts give the same status; `covers` tells whether it needs to be sent.
    """
    old = section(pod, "status")
    run = facts.run
    status: Manifest = {
        "phase": _phase(pod, facts),
        "startTime": old.get("startTime") or timestamp(facts.now),
        "hostIP": facts.node_address,
        "hostIPs": [{"ip": facts.node_address}],
        "conditions": _conditions(pod, facts),
        "containerStatuses": [
            _container(pod, container, facts) for container in entries(pod, "spec", "containers")
        ],
    }
    initial = entries(pod, "spec", "initContainers")
    if initial:
        status["initContainerStatuses"] = [
            _initial_container(pod, container, facts) for container in initial
        ]
    address = run.address if run is not None else old.get("podIP")
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    generation = section(pod, "metadata").get("generation")
    if generation:
        status["observedGeneration"] = generation
    return status


def covers(actual: object, wanted: object) -> bool:
    """Tell whether `actual` says all that `wanted` says; what it says beyond that is others'.

    Lists are compared item by item, except conditions, which are found by their type.
    """
    if isinstance(wanted, Mapping):
        have = _mapping(actual)
        return all(
            _covers_field(key, have.get(key), value)
            for key, value in cast("Mapping[str, object]", wanted).items()
        )
    if isinstance(wanted, list):
        items = cast("list[object]", wanted)
        found = cast("list[object]", actual) if isinstance(actual, list) else []
        return len(found) == len(items) and all(map(covers, found, items))
    return actual == wanted


def conditions_of(manifest: Manifest) -> Mapping[str, Mapping[str, Any]]:
    """Return the conditions in an object's status by their type."""
    return {str(item.get("type")): item for item in entries(manifest, "status", "conditions")}


def exits_for_good(pod: Manifest, code: int) -> bool:
    """Tell whether containers that ended with `code` stay ended."""
    policy = section(pod, "spec").get("restartPolicy", "Always")
    return policy == "Never" or (policy == "OnFailure" and code == 0)


def condition(
    kind: str, value: bool, old: Mapping[str, Any] | None, now: datetime, **detail: str
) -> Manifest:
    """Return a condition; its transition time is kept for as long as its status is."""
    status = "True" if value else "False"
    kept = old is not None and old.get("status") == status and old.get("lastTransitionTime")
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": kept or timestamp(now),
        **({} if value else detail),
    }


def _covers_field(key: str, actual: object, wanted: object) -> bool:
    if key != "conditions" or not isinstance(wanted, list):
        return covers(actual, wanted)
    items = cast("list[object]", actual) if isinstance(actual, list) else []
    have = {_mapping(item).get("type"): item for item in items}
    return all(
        covers(have.get(_mapping(item).get("type")), item) for item in cast("list[object]", wanted)
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _phase(pod: Manifest, facts: Facts) -> str:
    phase = str(section(pod, "status").get("phase") or "Pending")
    run = facts.run
    if phase in TERMINAL_PHASES or run is None:
        return phase
    if run.exit is not None and (is_deleting(pod) or exits_for_good(pod, run.exit.code)):
        return "Failed" if run.exit.code else "Succeeded"
    return "Running"


def _ready(pod: Manifest, facts: Facts) -> bool:
    run = facts.run
    return run is not None and run.alive and run.health is Health.READY and not is_deleting(pod)


def _conditions(pod: Manifest, facts: Facts) -> list[Manifest]:
    old = conditions_of(pod)
    ready = _ready(pod, facts)
    names = " ".join(str(container["name"]) for container in entries(pod, "spec", "containers"))
    not_ready = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{names}]",
    }
    gates = [gate["conditionType"] for gate in section(pod, "spec").get("readinessGates") or ()]
    closed = [gate for gate in gates if old.get(gate, {}).get("status") != "True"]
    waits = {"reason": "ReadinessGatesNotReady", "message": f"waits for {', '.join(closed)}"}
    created = facts.run is not None
    initialized = created or not entries(pod, "spec", "initContainers")
    now = facts.now
    return [
        condition("PodReadyToStartContainers", created, old.get("PodReadyToStartContainers"), now),
        condition("Initialized", initialized, old.get("Initialized"), now),
        condition("ContainersReady", ready, old.get("ContainersReady"), now, **not_ready),
        condition(
            "Ready",
            ready and not closed,
            old.get("Ready"),
            now,
            **(waits if ready else not_ready),
        ),
    ]


def _container(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    run = facts.run
    status: Manifest = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "" if run is None else f"simulated://{container.get('image', '')}",
        "ready": _ready(pod, facts),
        "started": run is not None and run.alive,
        "restartCount": _told(pod, container).get("restartCount", 0),
        "state": _state(pod, container, facts),
    }
    if run is None:
        # The identity of the last container stays: it tells that there was one.
        last = _told(pod, container).get("containerID")
        return {**status, "containerID": last} if last else status
    status |= {
        "containerID": f"simulated://{uid_of(pod)}/{container['name']}/{run.restarts}",
        "restartCount": run.restarts,
    }
    ended = run.exit if "waiting" in status["state"] else run.previous
    return status if ended is None else {**status, "lastState": _terminated(ended)}


def _initial_container(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    status = _container(pod, container, facts)
    run = facts.run
    # A sidecar goes on running beside the main containers; any other has done its work.
    if run is None or container.get("restartPolicy") == "Always":
        return status
    done = Exit(run.started, run.started, 0, run.started)
    status.pop("lastState", None)
    return {**status, "ready": True, "started": False, "state": _terminated(done)}


def _told(pod: Manifest, container: Mapping[str, Any]) -> Mapping[str, Any]:
    told = entries(pod, "status", "containerStatuses")
    nothing: Mapping[str, Any] = {}
    return next((item for item in told if item["name"] == container["name"]), nothing)


def _state(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    run = facts.run
    if run is None:
        return {"waiting": _waiting(pod, container, facts)}
    if run.exit is None:
        return {"running": {"startedAt": timestamp(run.started)}}
    ends = is_deleting(pod) or exits_for_good(pod, run.exit.code)
    if ends or facts.now >= run.exit.retry_at:
        return _terminated(run.exit)
    delay = run.exit.retry_at - run.exit.finished
    message = f"back-off {delay.total_seconds():g}s restarting failed container={container['name']}"
    return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}


def _waiting(pod: Manifest, container: Mapping[str, Any], facts: Facts) -> Manifest:
    image = container.get("image", "")
    if not facts.unmounted and image in facts.unpullable:
        return {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
    if not facts.unmounted and facts.unreadable:
        return {"reason": "CreateContainerConfigError", "message": facts.unreadable[0]}
    initial = bool(entries(pod, "spec", "initContainers"))
    return {"reason": "PodInitializing" if initial else "ContainerCreating"}


def _terminated(ended: Exit) -> Manifest:
    return {
        "terminated": {
            "exitCode": ended.code,
            "reason": "Error" if ended.code else "Completed",
            "startedAt": timestamp(ended.started),
            "finishedAt": timestamp(ended.finished),
        }
    }
