"""A stage for the cluster reconciler: its inputs, and what would run its workloads."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, Condition, ConditionStatus, ConditionType
from smbpctl.operand.client import MemberEndpoint
from smbpctl.operand.members import MemberReport, Unreachable
from smbpctl.reconcilers import cluster
from smbpctl.reconcilers.kinds import CLAIM, DEPLOYMENT, POD, SECRET, STATEFUL_SET, STORAGE_CLASS
from smbpctl.reconcilers.operator import Operator
from smbpctl.resources import naming
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, controller_reference, key_of
from smbpctl.runtime.reconcile import Result
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeManager
from test.support.observations import NOW
from test.support.peers import a_manifest

OPERATOR = Operator(image_prefix="registry.test/server", file_system_group=65532)
FOREIGN = (
    ConditionType.NETWORKING_READY,
    ConditionType.TLS_READY,
    ConditionType.TRANSACTION_LOG_READY,
)


def a_secret(name: str, namespace: str = "shop", **data: bytes | str) -> Manifest:
    """Return a Secret; `_` in the name of a value stands for a dot."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            key.replace("_", "."): base64.b64encode(
                value.encode() if isinstance(value, str) else value
            ).decode()
            for key, value in data.items()
        },
    }


def a_storage_class(name: str = "fast", *, expandable: bool = True) -> Manifest:
    """Return a StorageClass."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "allowVolumeExpansion": expandable,
    }


def is_true(kind: ConditionType, generation: int = 3) -> Manifest:
    """Return a condition that holds at a generation."""
    return Condition(
        type=kind.value,
        status=ConditionStatus.TRUE,
        reason="Fine",
        observed_generation=generation,
        last_transition_time="2026-11-20T00:00:00Z",
    ).to_manifest()


@dataclass
class Answers:
    """Satisfies the part of `AdminClient` that is used: what members say by address."""

    by_address: dict[str, MemberReport | Unreachable] = field(
        default_factory=dict[str, MemberReport | Unreachable]
    )
    asked: list[MemberEndpoint] = field(default_factory=list[MemberEndpoint])

    async def reports(
        self, members: Iterable[MemberEndpoint]
    ) -> dict[MemberEndpoint, MemberReport | Unreachable]:
        """Return the reports; members are as far as the log unless told otherwise."""
        wanted = list(members)
        self.asked += wanted
        return {
            member: self.by_address.get(
                member.address, MemberReport(f"at-{member.address}", 1, None, 7, 1)
            )
            for member in wanted
        }


class Workloads:
    """The built-in controllers, the scheduler and the kubelets: whatever is missing, at once.

    Pods have loopback addresses at which nobody listens.
    """

    def __init__(self, server: FakeCluster) -> None:
        self._server = server
        self._count = 0

    def settle(self, *, since: datetime = NOW - timedelta(hours=1)) -> None:
        """Make every missing pod and claim; pods are ready `since` a while ago."""
        for workload in self._server.all(STATEFUL_SET):
            name, replicas = key_of(workload).name, workload["spec"]["replicas"]
            for ordinal in range(replicas):
                self._claim(workload, f"{naming.DATA_VOLUME}-{name}-{ordinal}")
                self._pod(workload, f"{name}-{ordinal}", since)
        for workload in self._server.all(DEPLOYMENT):
            for ordinal in range(workload["spec"]["replicas"]):
                self._pod(workload, f"{key_of(workload).name}-{ordinal}", since)
            self._deployed(workload)

    def _claim(self, workload: Manifest, name: str) -> None:
        key = ObjectKey(key_of(workload).namespace, name)
        if (CLAIM, key) in self._server.objects:
            return
        (template,) = workload["spec"]["volumeClaimTemplates"]
        self._server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": name,
                    "namespace": key.namespace,
                    "labels": template["metadata"]["labels"],
                },
                "spec": {**template["spec"], "storageClassName": "fast"},
                "status": {"capacity": template["spec"]["resources"]["requests"]},
            }
        )

    def _pod(self, workload: Manifest, name: str, since: datetime) -> None:
        key = ObjectKey(key_of(workload).namespace, name)
        if (POD, key) in self._server.objects:
            return
        self._count += 1
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": since.isoformat()}
        self._server.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": key.namespace,
                    "uid": f"uid-{name}-{self._count}",
                    "labels": workload["spec"]["template"]["metadata"]["labels"],
                    "ownerReferences": [controller_reference(workload).to_manifest()],
                },
                "spec": {},
                "status": {"podIP": f"127.0.1.{self._count}", "conditions": [ready]},
            }
        )

    def _deployed(self, workload: Manifest) -> None:
        count = workload["spec"]["replicas"]
        names = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        status = {
            **dict.fromkeys(names, count),
            "observedGeneration": workload["metadata"]["generation"],
        }
        if workload.get("status") != status:
            self._server.put({**workload, "status": status})


class ClusterStage:
    """A BigPeer `shop/demo`, its Secrets, the other reconcilers' conditions, and its reconciler."""

    def __init__(self, edits: Manifest | None = None, *, base: Manifest | None = None) -> None:
        self.server = FakeCluster()
        self.manager = FakeManager(self.server)
        self.cache = self.manager.cache
        self.clock = self.manager.clock
        self.answers = Answers()
        self.workloads = Workloads(self.server)
        cluster.setup(self.manager, OPERATOR, self.answers)  # type: ignore[arg-type]
        conditions = [is_true(kind) for kind in FOREIGN]
        manifest = {**a_manifest(edits, base=base), "status": {"conditions": conditions}}
        self.server.put(manifest)
        self.server.put(a_storage_class())
        peer = self.peer
        for name in (naming.ca_secret(peer), naming.in_band_secret(peer), naming.jwt_secret(peer)):
            self.server.put(a_secret(name, tls_crt="x"))
        self.server.put(a_secret(naming.connection_secret(peer), topic="x"))

    @property
    def key(self) -> ObjectKey:
        """Return where the BigPeer is."""
        return ObjectKey("shop", "demo")

    @property
    def peer(self) -> BigPeer:
        """Return the BigPeer as the server has it."""
        return BigPeer.parse(self.server.find(BIG_PEER, self.key))

    async def reconcile(self) -> Result:
        """Run the reconciler once."""
        return await self.manager.reconcile()

    async def bring_up(self) -> "ClusterStage":
        """Reconcile until all workloads run and nothing is written any more."""
        for _ in range(10):
            self.workloads.settle()
            self.server.sent()
            await self.reconcile()
            if not self.server.writes:
                return self
        raise AssertionError(f"still writing: {self.server.sent()}")

    def edit(self, change: Manifest) -> None:
        """Replace top-level fields of the spec, as a person would; the generation grows."""
        self.server.edit(BIG_PEER, self.key, lambda manifest: manifest["spec"].update(change))

    def report_again(self) -> None:
        """Let the other reconcilers report on the newest generation."""
        generation = self.peer.generation

        def report(manifest: Manifest) -> None:
            status = manifest["status"]
            kept = [each for each in status["conditions"] if each["type"] not in FOREIGN]
            status["conditions"] = [*kept, *(is_true(kind, generation) for kind in FOREIGN)]

        self.server.edit(BIG_PEER, self.key, report)

    def condition(self, kind: ConditionType) -> Condition:
        """Return a condition that must be there."""
        (found,) = [each for each in self.peer.status.conditions if each.type == kind]
        return found

    def pods(self) -> list[Manifest]:
        """Return the store's pods by name."""
        prefix = f"{self.key.name}-store-"
        return [each for each in self.server.all(POD) if key_of(each).name.startswith(prefix)]

    def names(self, gvk: GroupVersionKind) -> list[str]:
        """Return the names of all objects of a kind."""
        return [key_of(each).name for each in self.server.all(gvk)]

    def forget(self, secret: str) -> None:
        """Take a Secret away."""
        self.server.remove(SECRET, ObjectKey("shop", secret))

    def expandable(self, yes: bool) -> None:
        """Let the StorageClass of the claims be expandable or not."""
        self.server.remove(STORAGE_CLASS, ObjectKey("", "fast"))
        self.server.put(a_storage_class(expandable=yes))
