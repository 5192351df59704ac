"""The networking reconciler: Services, NetworkPolicies and the ways in from outside."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from smbpctl.api.v1alpha1 import (
    BIG_PEER,
    BigPeer,
    ConditionType,
    ExposureSpec,
    ExposureTlsMode,
    NetworkingReadyReason,
    validate,
)
from smbpctl.conditions.networking_ready import (
    endpoint_reason,
    networking_ready,
)
from smbpctl.conditions.verdict import stamped, verdict
from smbpctl.observed import Endpoint, NetworkingObserved
from smbpctl.reconcilers.facts import items, mapping, owned_by
from smbpctl.reconcilers.kinds import INGRESS, INGRESS_CLASS, NETWORK_POLICY, SERVICE
from smbpctl.reconcilers.operator import Operator, new_applier
from smbpctl.reconcilers.references import add_indexes, users_of_class
from smbpctl.reconcilers.reporting import write_status
from smbpctl.resources import naming
from smbpctl.resources.desired import networking_objects
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.builder import controller
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import NameConflict
from smbpctl.runtime.handler import map_func
from smbpctl.runtime.manager import Manager
from smbpctl.runtime.meta import Manifest, ObjectKey, is_deleting
from smbpctl.runtime.predicate import spec_changed
from smbpctl.runtime.reconcile import DONE, Request, Result

FIELD_OWNER: Final = "smbpctl/networking"

_RETRY: Final = timedelta(seconds=15)
"""How soon to look again whether a name that is taken has become free."""


@final
@dataclass(frozen=True, slots=True)
class NetworkingReconciler:
    """Gives a BigPeer its names inside the cluster and its ways in from outside."""

    cache: Cache
    applier: Applier
    clock: Clock
    operator: Operator

    async def reconcile(self, request: Request) -> Result:
        """Apply the objects, then report what became of each exposure."""
        manifest = await self.cache.get(BIG_PEER, request.key)
        if manifest is None or is_deleting(manifest):
            return DONE
        peer = BigPeer.parse(manifest)
        errors = validate(peer)
        if errors:
            await self._report(manifest, peer, invalid="; ".join(str(error) for error in errors))
            return DONE
        conflict = ""
        try:
            await self.applier.apply_set(
                manifest,
                networking_objects(peer, self.operator.inputs(peer)),
                prune=[INGRESS, NETWORK_POLICY, SERVICE],
            )
        except NameConflict as error:
            conflict = error.message
        await self._report(manifest, peer, conflict=conflict)
        # No event of ours tells that somebody else's object has gone.
        return Result(requeue_after=_RETRY) if conflict else DONE

    async def _report(
        self, manifest: Manifest, peer: BigPeer, *, invalid: str = "", conflict: str = ""
    ) -> None:
        endpoints = [await self._endpoint(peer, exposure) for exposure in peer.spec.exposure]
        observed = NetworkingObserved(peer, tuple(endpoints))
        why = invalid or conflict
        reason = (
            NetworkingReadyReason.NAME_CONFLICT if conflict else NetworkingReadyReason.INVALID_SPEC
        )
        condition = (
            verdict(peer, ConditionType.NETWORKING_READY, False, reason, why)
            if why
            else networking_ready(observed)
        )
        status = {
            "conditions": stamped(peer, [condition], self.clock.now()),
            "endpoints": [_endpoint_status(endpoint) for endpoint in endpoints],
        }
        await write_status(self.cache, self.applier, manifest, status)

    async def _endpoint(self, peer: BigPeer, exposure: ExposureSpec) -> Endpoint:
        name = naming.exposure_name(peer, exposure)
        found = await self.cache.get(INGRESS, ObjectKey(peer.namespace, name))
        ingress = found if found is not None and owned_by(found, peer) else None
        class_name = exposure.ingress.class_name if exposure.ingress is not None else ""
        served_by = await self.cache.get(INGRESS_CLASS, ObjectKey("", class_name))
        return Endpoint(
            name=exposure.name,
            type=exposure.type.value,
            object_name=name,
            hosts=exposure.hosts,
            secure=exposure.tls.mode is ExposureTlsMode.TERMINATE,
            exists=ingress is not None,
            addresses=_addresses(ingress or {}),
            class_found=served_by is not None,
            class_name=class_name,
        )


def setup(manager: Manager, operator: Operator, *, workers: int = 10) -> None:
    """Add the networking reconciler to a manager."""
    cache = manager.cache
    applier = new_applier(manager, FIELD_OWNER)
    (
        controller("networking")
        .for_(BIG_PEER, spec_changed())
        .owns(SERVICE)
        .owns(NETWORK_POLICY)
        .owns(INGRESS)
        .watches(INGRESS_CLASS, map_func(users_of_class(cache)))
        .with_options(workers=workers)
        .build(manager, NetworkingReconciler(cache, applier, manager.clock, operator))
    )
    add_indexes(cache)


def _addresses(ingress: Manifest) -> tuple[str, ...]:
    balancer = mapping(mapping(ingress.get("status")).get("loadBalancer"))
    found = (entry.get("hostname") or entry.get("ip") for entry in items(balancer.get("ingress")))
    return tuple(sorted(str(address) for address in found if address))


def _endpoint_status(endpoint: Endpoint) -> Manifest:
    scheme = "https" if endpoint.secure else "http"
    status: Manifest = {
        "name": endpoint.name,
        "type": endpoint.type,
        "urls": [f"{scheme}://{host}" for host in endpoint.hosts],
        "addresses": list(endpoint.addresses),
    }
    reason = endpoint_reason(endpoint)
    return {**status, "reason": reason.value} if reason is not None else status
