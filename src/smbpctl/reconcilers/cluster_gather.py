"""One reading of everything the cluster reconciler decides on, and the objects it wants."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.api.v1alpha1.defaults import effective
from smbpctl.observed import Claim, ClusterObserved, Member, Partition, Pod, Tier
from smbpctl.operand.client import AdminClient, MemberEndpoint
from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.reconcilers.facts import (
    claim_fact,
    partition_fact,
    pod_fact,
    tier_fact,
)
from smbpctl.reconcilers.kinds import (
    CLAIM,
    DEPLOYMENT,
    POD,
    SECRET,
    SECURITY_CONTEXT_CONSTRAINTS,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from smbpctl.reconcilers.operator import Operator
from smbpctl.resources import naming
from smbpctl.resources.desired import foundation_objects, front_end_objects, store_objects
from smbpctl.resources.frontends import FRONT_ENDS
from smbpctl.resources.inputs import Inputs
from smbpctl.resources.pods import revision_of
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client, Reader
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.discovery import Discovery
from smbpctl.runtime.meta import Manifest, ObjectKey, labels_equal, metadata_of


@final
@dataclass(frozen=True, slots=True)
class ClusterDesired:
    """The complete objects that the spec asks for, by what gates them."""

    foundation: tuple[Manifest, ...]
    stores: Mapping[int, Manifest]
    tiers: Mapping[Component, Manifest]


@final
@dataclass(frozen=True, slots=True)
class ClusterGatherer:
    """Reads the cluster once into frozen facts.

    With `live` the objects that decide on a disruption are read from the API server instead of
    the cache, so that no step is ever taken on a stale view.
    """

    cache: Cache
    client: Client
    discovery: Discovery
    admin: AdminClient
    clock: Clock
    operator: Operator

    async def gather(
        self, peer: BigPeer, *, live: bool = False
    ) -> tuple[ClusterObserved, ClusterDesired]:
        """Return the facts and the desired objects of one pass."""
        reader: Reader = self.client if live else self.cache
        pods = await self._pods(reader, peer)
        partitions = await self._partitions(reader, peer, pods)
        claims, stale = await self._claims(reader, peer, partitions)
        missing, inputs = await self._inputs(peer)
        desired = _desired(peer, inputs, partitions)
        observed = ClusterObserved(
            peer=peer,
            effective=effective(peer, image_prefix=self.operator.image_prefix),
            now=self.clock.now(),
            partitions=await self._with_reports(peer, partitions),
            tiers=await self._tiers(reader, peer, pods),
            claims=claims,
            stale_claims=stale,
            missing_certificates=tuple(n for n in missing if n != naming.connection_secret(peer)),
            missing_connection=next(
                (n for n in missing if n == naming.connection_secret(peer)), ""
            ),
            store_revisions={i: _revision(m) for i, m in desired.stores.items()},
            tier_revisions={c: _revision(m) for c, m in desired.tiers.items()},
        )
        return observed, desired

    async def _pods(self, reader: Reader, peer: BigPeer) -> list[Pod]:
        selector = labels_equal({naming.LABEL_PEER: peer.name})
        manifests = await reader.list(POD, namespace=peer.namespace, selector=selector)
        facts = (pod_fact(manifest) for manifest in manifests)
        return [pod for pod in facts if pod is not None]

    async def _partitions(
        self, reader: Reader, peer: BigPeer, pods: list[Pod]
    ) -> tuple[Partition, ...]:
        partitions: list[Partition] = []
        for index in range(peer.spec.store.partitions):
            key = ObjectKey(peer.namespace, naming.partition_name(peer, index))
            manifest = await reader.get(STATEFUL_SET, key)
            partitions.append(partition_fact(peer, index, manifest, pods))
        return tuple(partitions)

    async def _tiers(self, reader: Reader, peer: BigPeer, pods: list[Pod]) -> tuple[Tier, ...]:
        tiers: list[Tier] = []
        for component in FRONT_ENDS:
            key = ObjectKey(peer.namespace, naming.name_of(peer, component))
            manifest = await reader.get(DEPLOYMENT, key)
            tiers.append(tier_fact(peer, component, manifest, pods))
        return tuple(tiers)

    async def _claims(
        self, reader: Reader, peer: BigPeer, partitions: tuple[Partition, ...]
    ) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
        """Return the claims, and the names of those that hold somebody else's data.

        A StatefulSet binds claims by name alone. Where one is about to be created the claims are
        therefore read live: the cache holds only claims that carry our labels.
        """
        classes = await self.cache.list(STORAGE_CLASS)
        expandable = {
            str(metadata_of(c).get("name")): bool(c.get("allowVolumeExpansion")) for c in classes
        }
        claims: list[Claim] = []
        for partition in partitions:
            source = reader if partition.exists else self.client
            for member in partition.members:
                name = naming.claim_name(peer, partition.index, member.ordinal)
                manifest = await source.get(CLAIM, ObjectKey(peer.namespace, name))
                if manifest is not None:
                    claims.append(claim_fact(peer, partition.index, manifest, expandable))
        stale = tuple(claim.name for claim in claims if claim.peer_uid != peer.uid)
        return tuple(claims), stale

    async def _inputs(self, peer: BigPeer) -> tuple[list[str], Inputs]:
        """Return the Secrets that are missing, and the plain values the objects depend on."""
        names = [
            naming.ca_secret(peer),
            naming.in_band_secret(peer),
            naming.jwt_secret(peer),
            naming.connection_secret(peer),
        ]
        digests = {
            name: await self.cache.digests(SECRET, ObjectKey(peer.namespace, name))
            for name in names
        }
        served = await self.discovery.served(SECURITY_CONTEXT_CONSTRAINTS)
        inputs = self.operator.inputs(
            peer,
            tls_digest=naming.digest([digests[name] for name in names[:3]]),
            log_digest=naming.digest(digests[names[3]]),
            platform_assigns_groups=served is not None,
        )
        return [name for name, found in digests.items() if found is None], inputs

    async def _with_reports(
        self, peer: BigPeer, partitions: tuple[Partition, ...]
    ) -> tuple[Partition, ...]:
        """Ask every member that has an address for its state, all at once."""
        endpoints = {
            _endpoint(peer, member.pod)
            for partition in partitions
            for member in partition.members
            if member.pod is not None and member.pod.address and not member.pod.deleting
        }
        reports = await self.admin.reports(sorted(endpoints))

        def answered(member: Member) -> Member:
            pod = member.pod
            return replace(member, report=reports.get(_endpoint(peer, pod)) if pod else None)

        return tuple(
            replace(partition, members=tuple(answered(member) for member in partition.members))
            for partition in partitions
        )


def _endpoint(peer: BigPeer, pod: Pod) -> MemberEndpoint:
    port = COMPONENTS[Component.STORE].port
    return MemberEndpoint(ObjectKey(peer.namespace, pod.name), pod.address, port)


def _desired(peer: BigPeer, inputs: Inputs, partitions: tuple[Partition, ...]) -> ClusterDesired:
    sizes = {p.index: p.claim_size for p in partitions if p.exists and p.claim_size}
    computed = effective(peer)
    return ClusterDesired(
        foundation=tuple(foundation_objects(peer, computed)),
        stores=dict(enumerate(store_objects(peer, inputs, sizes))),
        tiers=dict(zip(FRONT_ENDS, front_end_objects(peer, inputs), strict=True)),
    )


def _revision(workload: Manifest) -> str:
    template: Manifest = workload["spec"]["template"]
    return revision_of(template)
