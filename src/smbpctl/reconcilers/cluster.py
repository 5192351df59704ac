"""The cluster reconciler: the store, the tiers in front of it, and the aggregate conditions."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

import structlog

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer
from smbpctl.api.v1alpha1.errors import FieldError
from smbpctl.api.v1alpha1.validation import validate
from smbpctl.observed import ClusterObserved
from smbpctl.operand.client import AdminClient
from smbpctl.plans.rollout import Disruption, Rollout, eviction_refused, plan_rollout
from smbpctl.plans.storage import ClaimChange, plan_claims
from smbpctl.reconcilers.cluster_gather import ClusterDesired, ClusterGatherer
from smbpctl.reconcilers.cluster_report import FOREIGN, cluster_status, invalid_status
from smbpctl.reconcilers.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from smbpctl.reconcilers.operator import Operator, new_applier
from smbpctl.reconcilers.references import add_indexes, by_label, users_of_secret
from smbpctl.reconcilers.reporting import write_status
from smbpctl.resources import naming
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.builder import controller
from smbpctl.runtime.cache import Cache, Selection
from smbpctl.runtime.client import Client
from smbpctl.runtime.errors import Conflict, NameConflict, NotFound, TooManyRequests
from smbpctl.runtime.event import Event, Updated
from smbpctl.runtime.handler import map_func
from smbpctl.runtime.manager import Manager
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    StoredObject,
    controller_reference,
    gvk_of,
    is_deleting,
    key_of,
    labels_exist,
)
from smbpctl.runtime.predicate import Predicate, spec_changed
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.source import KindSource

FIELD_OWNER: Final = "smbpctl/cluster"

_POLL: Final = Result(requeue_after=timedelta(seconds=5))
"""While something is under way that no watch tells of: what members say of themselves."""

_REST: Final = Result(requeue_after=timedelta(minutes=1))
"""At rest: members are asked now and then, so that status stays honest."""

log = structlog.get_logger()


@final
@dataclass(frozen=True, slots=True)
class ClusterReconciler:
    """Brings the workloads of a BigPeer one safe step closer to its spec."""

    cache: Cache
    client: Client
    applier: Applier
    gatherer: ClusterGatherer

    async def reconcile(self, request: Request) -> Result:
        """Gather, plan, apply, take at most one pod away, report."""
        manifest = await self.cache.get(BIG_PEER, request.key)
        if manifest is None or is_deleting(manifest):
            return DONE  # children go with their owner references
        peer = BigPeer.parse(manifest)
        observed, desired = await self.gatherer.gather(peer)
        errors = validate(peer)
        if errors:
            return await self._refuse(manifest, observed, errors)

        rollout = plan_rollout(observed)
        conflict = await self._apply(manifest, desired, rollout)
        for change in plan_claims(observed):
            await self._change_claim(manifest, change)
        if rollout.disruption is not None and not conflict:
            rollout = await self._disrupt(peer, rollout.disruption)
        await self._report(manifest, cluster_status(observed, rollout.blocked, conflict))
        return _next(rollout, conflict)

    async def _refuse(
        self, manifest: Manifest, observed: ClusterObserved, errors: Collection[FieldError]
    ) -> Result:
        message = f"BigPeer {observed.peer.key}: " + "; ".join(str(error) for error in errors)
        await self._report(manifest, invalid_status(observed.peer, message, observed))
        return DONE

    async def _apply(self, manifest: Manifest, desired: ClusterDesired, rollout: Rollout) -> str:
        """Apply what may be written now; return the conflict that stopped it, or an empty text."""
        stores = [m for i, m in desired.stores.items() if i in rollout.open_partitions]
        tiers = [m for c, m in desired.tiers.items() if c in rollout.open_tiers]
        workloads = [*desired.stores.values(), *desired.tiers.values()]
        try:
            await self.applier.apply_set(
                manifest,
                [*desired.foundation, *stores, *tiers],
                prune=[DISRUPTION_BUDGET],
                keep=[_identity(workload) for workload in workloads],
            )
        except NameConflict as conflict:
            return conflict.message
        return ""

    async def _change_claim(self, owner: Manifest, change: ClaimChange) -> None:
        """Change a claim that the StatefulSet controller made: a patch that tests its UID."""
        key = ObjectKey(key_of(owner).namespace, change.claim.name)
        test = {"op": "test", "path": "/metadata/uid", "value": change.claim.uid}
        operations: list[Manifest] = [test]
        if change.owned is not None:
            reference = controller_reference(owner).to_manifest()
            claim = await self.client.get(CLAIM, key)
            operations += _ownership(claim or {}, reference, wanted=change.owned)
        if change.grow_to is not None:
            path = "/spec/resources/requests/storage"
            operations.append({"op": "replace", "path": path, "value": change.grow_to})
        if len(operations) > 1:
            await self.client.patch_json(CLAIM, key, operations, field_owner=FIELD_OWNER)
            log.info("claim changed", claim=str(key), owned=change.owned, size=change.grow_to)

    async def _disrupt(self, peer: BigPeer, planned: Disruption) -> Rollout:
        """Take the planned pod away, if a live reading still plans the very same step."""
        observed, _ = await self.gatherer.gather(peer, live=True)
        rollout = plan_rollout(observed)
        step = rollout.disruption
        if step is None or step.pod.uid != planned.pod.uid:
            return rollout
        key = ObjectKey(peer.namespace, step.pod.name)
        try:
            if step.healing:
                await self.client.delete(POD, key, uid=step.pod.uid)
            else:
                await self.client.evict(key, uid=step.pod.uid)
        except TooManyRequests as refusal:
            return eviction_refused(rollout, step, refusal.message)
        except (NotFound, Conflict):
            return rollout  # the pod is another one by now: the next pass sees it
        log.info("pod replaced", pod=str(key), partition=step.partition, healing=step.healing)
        return rollout

    async def _report(self, manifest: Manifest, status: Manifest) -> None:
        await write_status(self.cache, self.applier, manifest, status)


def setup(manager: Manager, operator: Operator, admin: AdminClient, *, workers: int = 10) -> None:
    """Add the cluster reconciler to a manager."""
    cache, client = manager.cache, manager.client
    ours = Selection(selector=labels_exist(naming.LABEL_PEER))
    pods, claims = cache.register(POD, selection=ours), cache.register(CLAIM, selection=ours)
    cache.register(STORAGE_CLASS, namespaced=False)
    gatherer = ClusterGatherer(cache, client, manager.discovery, admin, manager.clock, operator)
    applier = new_applier(manager, FIELD_OWNER)
    (
        controller("cluster")
        .for_(BIG_PEER, spec_changed() | Predicate(_others_reported))
        .owns(STATEFUL_SET)
        .owns(DEPLOYMENT)
        .owns(DISRUPTION_BUDGET, spec_changed())
        .owns(CONFIG_MAP)
        .owns(SERVICE_ACCOUNT)
        .watches(SECRET, map_func(users_of_secret(cache)))
        .watches_source(KindSource(pods, map_func(by_label), kind=str(POD)))
        .watches_source(KindSource(claims, map_func(by_label), kind=str(CLAIM)))
        .with_options(workers=workers)
        .build(manager, ClusterReconciler(cache, client, applier, gatherer))
    )
    add_indexes(cache)


def _others_reported(event: Event) -> bool:
    """Pass when another reconciler's condition changed: the aggregates depend on them."""
    if not isinstance(event, Updated) or event.old.raw == event.object.raw:
        return False
    return _foreign(event.old) != _foreign(event.object)


def _foreign(stored: StoredObject) -> list[Manifest]:
    conditions: list[Manifest] = stored.manifest().get("status", {}).get("conditions") or []
    return [condition for condition in conditions if condition.get("type") in FOREIGN]


def _next(rollout: Rollout, conflict: str) -> Result:
    if rollout.blocked is not None and rollout.blocked.retry_in is not None:
        return Result(requeue_after=rollout.blocked.retry_in)
    return _REST if rollout.complete and not conflict else _POLL


def _identity(manifest: Manifest) -> tuple[GroupVersionKind, ObjectKey]:
    return gvk_of(manifest), key_of(manifest)


def _ownership(claim: Manifest, reference: Manifest, *, wanted: bool) -> list[Manifest]:
    """Return the patch that adds or removes our owner reference; empty when nothing is to do.

    A claim is never *controlled* by the BigPeer: its controller, if it has one, is its StatefulSet.
    """
    present: list[Manifest] = claim.get("metadata", {}).get("ownerReferences") or []
    others = [entry for entry in present if entry.get("uid") != reference["uid"]]
    if wanted == (len(others) != len(present)):
        return []
    plain = {name: value for name, value in reference.items() if name != "controller"}
    references = [*others, plain] if wanted else others
    path = "/metadata/ownerReferences"
    tests = [{"op": "test", "path": path, "value": present}] if present else []
    return [*tests, {"op": "add", "path": path, "value": references}]
