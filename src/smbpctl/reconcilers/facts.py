"""From manifests to facts: how pods, workloads and claims are read into what plans decide on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.observed import Claim, Member, Partition, Pod, Tier
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.pods import revision_of
from smbpctl.runtime.meta import Manifest, controller_of, is_deleting, metadata_of, uid_of

_FAILED_WAITS = ("ContainerCreating", "PodInitializing")
_CRASH_LOOP = "CrashLoopBackOff"
# A container that ran longer is restarted at once: the kubelet forgets what was before.
_FORGOTTEN_AFTER = timedelta(minutes=10)


def timestamp(text: object) -> datetime | None:
    """Parse a Kubernetes time; None when there is none. Fractions of a second are accepted."""
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object, empty when the value is absent or something else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a JSON list, empty when the value is absent or something else."""
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return [mapping(entry) for entry in entries]


def owned_by(manifest: Mapping[str, Any], peer: BigPeer) -> bool:
    """Tell whether this very BigPeer, not a namesake, controls the object."""
    controller = controller_of(manifest)
    return controller is not None and controller.uid == peer.uid


def pod_fact(manifest: Manifest) -> Pod | None:
    """Return what decisions need of a pod; None for a pod of no known component."""
    metadata = metadata_of(manifest)
    labels = mapping(metadata.get("labels"))
    try:
        component = Component(str(labels.get(naming.LABEL_COMPONENT)))
    except ValueError:
        return None
    status = mapping(manifest.get("status"))
    conditions = {entry.get("type"): entry for entry in items(status.get("conditions"))}
    ready = conditions.get("Ready", {})
    waiting, message = _waiting(manifest, conditions)
    return Pod(
        name=str(metadata.get("name")),
        uid=uid_of(manifest),
        component=component,
        revision=revision_of(manifest),
        version=str(labels.get(naming.LABEL_VERSION, "")),
        ready=ready.get("status") == "True",
        deleting=is_deleting(manifest),
        address=str(status.get("podIP") or ""),
        waiting=waiting,
        message=message,
        ready_since=timestamp(ready.get("lastTransitionTime")),
    )


def _waiting(manifest: Manifest, conditions: Mapping[Any, Mapping[str, Any]]) -> tuple[str, str]:
    """Lift the reason why a pod does not run: from its containers first, then the scheduler."""
    for container in items(mapping(manifest.get("status")).get("containerStatuses")):
        # What is being deleted ends on purpose.
        if not is_deleting(manifest) and (message := _crash_loop(container)):
            return _CRASH_LOOP, message
        waiting = mapping(mapping(container.get("state")).get("waiting"))
        reason = str(waiting.get("reason") or "")
        if reason and reason not in _FAILED_WAITS:
            return reason, str(waiting.get("message") or "")
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return str(scheduled.get("reason") or ""), str(scheduled.get("message") or "")
    return "", ""


def _crash_loop(container: Mapping[str, Any]) -> str:
    """Say how a container ends again and again; nothing for one that does not.

    The kubelet's own word for it, `CrashLoopBackOff`, is there for a moment only: it writes how the
    container ended, sleeps until the back-off is over, and says that it waits when it no longer
    does. Between two ends the container runs without being ready.
    """
    state = mapping(container.get("state"))
    # One that runs may have been restarted for good; twice tells.
    least = 2 if "running" in state else 1
    last = mapping(container.get("lastState"))
    ended = mapping(state.get("terminated")) or mapping(last.get("terminated"))
    restarts = int(container.get("restartCount") or 0)
    if not ended or restarts < least or container.get("ready") is True:
        return ""
    started, finished = timestamp(ended.get("startedAt")), timestamp(ended.get("finishedAt"))
    if started and finished and finished - started > _FORGOTTEN_AFTER:
        return ""
    how = f"{ended.get('reason') or 'Error'} (exit status {ended.get('exitCode')})"
    return f"container {container.get('name')} ends again and again: {how}"


def partition_fact(
    peer: BigPeer, index: int, statefulset: Manifest | None, pods: Iterable[Pod]
) -> Partition:
    """Return a partition as it is; a StatefulSet of somebody else counts as none."""
    by_name = {pod.name: pod for pod in pods}
    members = tuple(
        Member(index, ordinal, by_name.get(naming.member_name(peer, index, ordinal)))
        for ordinal in range(peer.spec.store.replicas)
    )
    if statefulset is None or is_deleting(statefulset) or not owned_by(statefulset, peer):
        return Partition(index, members)
    spec = mapping(statefulset.get("spec"))
    template: Any = spec.get("template") or {}
    return Partition(
        index,
        members,
        revision=revision_of(template) or "unlabelled",
        claim_size=_template_size(spec),
        replicas=int(spec.get("replicas") or 0),
    )


def _template_size(spec: Mapping[str, Any]) -> str:
    for template in items(spec.get("volumeClaimTemplates")):
        requests = mapping(mapping(mapping(template.get("spec")).get("resources")).get("requests"))
        return str(requests.get("storage") or "")
    return ""


def tier_fact(
    peer: BigPeer, component: Component, deployment: Manifest | None, pods: Iterable[Pod]
) -> Tier:
    """Return a stateless tier as it is; a Deployment of somebody else counts as none."""
    name = naming.name_of(peer, component)
    if deployment is None or is_deleting(deployment) or not owned_by(deployment, peer):
        return Tier(component, name)
    spec, status = mapping(deployment.get("spec")), mapping(deployment.get("status"))
    wanted = int(spec.get("replicas") or 0)
    seen = int(status.get("observedGeneration") or 0)
    counts = {
        field: int(status.get(field) or 0)
        for field in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    }
    return Tier(
        component,
        name,
        revision=revision_of(cast("Manifest", spec.get("template") or {})) or "unlabelled",
        replicas=wanted,
        total=counts["replicas"],
        ready=counts["readyReplicas"],
        updated=counts["updatedReplicas"],
        available=counts["availableReplicas"],
        settled=seen >= int(metadata_of(deployment).get("generation") or 0)
        and counts["replicas"]
        == counts["updatedReplicas"]
        == counts["availableReplicas"]
        == wanted,
        pods=tuple(pod for pod in pods if pod.component is component),
    )


def claim_fact(
    peer: BigPeer, partition: int, manifest: Manifest, expandable: Mapping[str, bool]
) -> Claim:
    """Return a claim as it is. `expandable` maps StorageClass names to allowVolumeExpansion."""
    metadata = metadata_of(manifest)
    spec, status = mapping(manifest.get("spec")), mapping(manifest.get("status"))
    requests = mapping(mapping(spec.get("resources")).get("requests"))
    owners = items(metadata.get("ownerReferences"))
    return Claim(
        name=str(metadata.get("name")),
        uid=uid_of(manifest),
        partition=partition,
        peer_uid=str(mapping(metadata.get("labels")).get(naming.LABEL_PEER_UID, "")),
        owned=any(owner.get("uid") == peer.uid for owner in owners),
        requested=str(requests.get("storage") or "0"),
        capacity=str(mapping(status.get("capacity")).get("storage") or ""),
        deleting=is_deleting(manifest),
        expandable=expandable.get(str(spec.get("storageClassName") or ""), False),
    )
