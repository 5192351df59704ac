"""What a node reports of a pod: the whole status that it owns, from what it knows. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from smbpctl.runtime.meta import Manifest, is_deleting
from smbpctl.runtime.simulation.agents.container_status import (
    SANDBOX,
    container_status,
    has_vanished,
    initial_container_status,
    is_ready,
)
from smbpctl.runtime.simulation.agents.pod_facts import Facts, exits_for_good, timestamp
from smbpctl.runtime.simulation.agents.sections import entries, section

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


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
            container_status(pod, container, facts)
            for container in entries(pod, "spec", "containers")
        ],
    }
    initial = entries(pod, "spec", "initContainers")
    if initial:
        status["initContainerStatuses"] = [
            initial_container_status(pod, container, facts) for container in initial
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


def has_sandbox(pod: Manifest, facts: Facts) -> bool:
    """Tell whether the pod has its volumes and network, in which containers can be started.

    The node says so only after it has said that it knows the pod.
    """
    if _has_ended(pod, facts):
        return False
    known = bool(section(pod, "status").get("startTime"))
    return facts.run is not None or (known and not facts.unmounted)


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
    if phase in TERMINAL_PHASES:
        return phase
    if has_vanished(pod, facts):
        return "Failed"
    if run is None:
        return phase
    if _has_ended(pod, facts) and run.exit is not None:
        return "Failed" if run.exit.code else "Succeeded"
    return "Running"


def _has_ended(pod: Manifest, facts: Facts) -> bool:
    run = facts.run
    if run is None or run.exit is None:
        return has_vanished(pod, facts)
    return is_deleting(pod) or exits_for_good(pod, run.exit.code)


def _conditions(pod: Manifest, facts: Facts) -> list[Manifest]:
    old = conditions_of(pod)
    ready = is_ready(facts)
    gates = [gate["conditionType"] for gate in section(pod, "spec").get("readinessGates") or ()]
    closed = [gate for gate in gates if old.get(gate, {}).get("status") != "True"]
    waits = {"reason": "ReadinessGatesNotReady", "message": f"waits for {', '.join(closed)}"}
    not_ready = _not_ready(pod, facts)
    initial = entries(pod, "spec", "initContainers")
    truths: Mapping[str, tuple[bool, Mapping[str, str]]] = {
        SANDBOX: (has_sandbox(pod, facts), {}),
        "Initialized": (facts.run is not None or not initial, _not_initialized(initial)),
        "Ready": (ready and not closed, waits if ready else not_ready),
        "ContainersReady": (ready, not_ready),
    }
    generation = section(pod, "metadata").get("generation")
    seen = {"observedGeneration": generation} if generation else {}
    return [
        condition(kind, value, old.get(kind), facts.now, **detail) | seen
        for kind, (value, detail) in truths.items()
    ]


def _not_ready(pod: Manifest, facts: Facts) -> Mapping[str, str]:
    run = facts.run
    if run is not None and _has_ended(pod, facts):
        succeeded = run.exit is not None and run.exit.code == 0
        return {"reason": "PodCompleted" if succeeded else "PodFailed"}
    names = _names(entries(pod, "spec", "containers"))
    return {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{names}]",
    }


def _not_initialized(initial: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    return {
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{_names(initial)}]",
    }


def _names(containers: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(str(container["name"]) for container in containers)
