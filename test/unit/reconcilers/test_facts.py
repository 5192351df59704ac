"""From manifests to facts: whatever the server may say, and whatever it may leave out."""

from datetime import UTC, datetime

import pytest

from smbpctl.observed import Claim, Partition, Tier
from smbpctl.operand.contract import Component
from smbpctl.reconcilers.facts import (
    claim_fact,
    items,
    mapping,
    owned_by,
    partition_fact,
    pod_fact,
    tier_fact,
    timestamp,
)
from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import edited
from test.support.observations import a_pod
from test.support.peers import UID, a_peer

PEER = a_peer()
OWNED = [
    {
        "apiVersion": "smbpctl.dev/v1alpha1",
        "kind": "BigPeer",
        "name": "demo",
        "uid": UID,
        "controller": True,
    }
]


def pod(edits: Manifest | None = None) -> Manifest:
    """Return a store pod that is ready, with values replaced by path."""
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T11:00:00Z"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "demo-store-0-0",
            "uid": "pod-uid",
            "labels": {
                "app.kubernetes.io/component": "store",
                "app.kubernetes.io/version": "1.63.2",
                "smbpctl.dev/revision": "abc",
            },
        },
        "status": {"podIP": "10.0.0.1", "conditions": [ready]},
    }
    return edited(manifest, edits or {})


def workload(edits: Manifest | None = None) -> Manifest:
    """Return a workload of ours with two replicas, settled, with values replaced by path."""
    counts = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    manifest = {
        "metadata": {"name": "w", "generation": 4, "ownerReferences": OWNED},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"smbpctl.dev/revision": "abc"}}},
            "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "7Gi"}}}}],
        },
        "status": {"observedGeneration": 4, **dict.fromkeys(counts, 2)},
    }
    return edited(manifest, edits or {})


ENDED = {
    "reason": "OOMKilled",
    "exitCode": 137,
    "startedAt": "2026-11-21T11:00:00Z",
    "finishedAt": "2026-11-21T11:10:00Z",
}
ENDED_LATE = {**ENDED, "finishedAt": "2026-11-21T11:10:01Z"}
LAST_ENDED = {"lastState": {"terminated": ENDED}}


def waiting(reason: str, message: str = "") -> Manifest:
    """Return the status of a container that waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


class TestReaders:
    """The forgiving readers of JSON."""

    @pytest.mark.parametrize("value", [None, "text", 7, ["a"]])
    def test_what_is_no_object_is_empty(self, value: object) -> None:
        """So that no status of any shape ends a reconcile."""
        assert mapping(value) == {}

    @pytest.mark.parametrize("value", [None, "text", 7, {"a": 1}])
    def test_what_is_no_list_is_empty(self, value: object) -> None:
        """The same for lists."""
        assert list(items(value)) == []

    def test_items_that_are_no_objects_are_empty_ones(self) -> None:
        """Their places are kept."""
        assert list(items([{"a": 1}, None, "x"])) == [{"a": 1}, {}, {}]

    @pytest.mark.parametrize(
        "text", ["2026-11-21T11:00:00Z", "2026-11-21T11:00:00.000000Z", "2026-11-21T12:00:00+01:00"]
    )
    def test_times(self, text: str) -> None:
        """As metav1.Time and metav1.MicroTime write them."""
        assert timestamp(text) == datetime(2026, 11, 21, 11, tzinfo=UTC)

    @pytest.mark.parametrize("value", [None, "", 7])
    def test_no_time(self, value: object) -> None:
        """Absent is None."""
        assert timestamp(value) is None


class TestOwnedBy:
    @pytest.mark.parametrize(
        ("edits", "ours"),
        [
            ({}, True),
            ({"metadata.ownerReferences[0].uid": "former"}, False),
            ({"metadata.ownerReferences[0].controller": False}, False),
            ({"metadata.ownerReferences": []}, False),
        ],
    )
    def test_by_uid_and_as_the_controller(self, edits: Manifest, ours: bool) -> None:
        """A namesake's child is not ours, nor is one that merely refers to us."""
        assert owned_by(workload(edits), PEER) is ours


class TestPod:
    def test_a_ready_pod(self) -> None:
        """Everything that decisions need."""
        fact = pod_fact(pod())

        assert fact is not None
        assert fact.component is Component.STORE
        assert (fact.name, fact.uid, fact.revision) == ("demo-store-0-0", "pod-uid", "abc")
        assert (fact.version, fact.address) == ("1.63.2", "10.0.0.1")
        assert (fact.ready, fact.deleting, fact.waiting) == (True, False, "")
        assert fact.ready_since == datetime(2026, 11, 21, 11, tzinfo=UTC)

    @pytest.mark.parametrize("component", ["sidecar", "", 7])
    def test_a_pod_of_no_known_component_is_none(self, component: object) -> None:
        """Somebody's job with our label is no member."""
        labels = {"app.kubernetes.io/component": component}

        assert pod_fact(pod({"metadata.labels": labels})) is None

    def test_a_pod_that_was_just_created(self) -> None:
        """No status at all yet."""
        fact = pod_fact(pod({"status": {}}))

        assert fact is not None
        assert (fact.ready, fact.address, fact.waiting) == (False, "", "")
        assert fact.ready_since is None

    def test_a_leaving_pod(self) -> None:
        """Ready still, but not healthy any more."""
        fact = pod_fact(pod({"metadata.deletionTimestamp": "2026-11-21T12:00:00Z"}))

        assert fact is not None
        assert (fact.ready, fact.deleting, fact.healthy) == (True, True, False)

    @pytest.mark.parametrize(
        ("status", "reason", "message"),
        [
            (
                {"containerStatuses": [waiting("CrashLoopBackOff", "exit 1")]},
                "CrashLoopBackOff",
                "exit 1",
            ),
            ({"containerStatuses": [waiting("ContainerCreating")]}, "", ""),
            ({"containerStatuses": [waiting("PodInitializing")]}, "", ""),
            (
                {"containerStatuses": [{"state": {"running": {}}}, waiting("ErrImagePull")]},
                "ErrImagePull",
                "",
            ),
            ({"containerStatuses": None}, "", ""),
        ],
    )
    def test_why_a_container_waits(self, status: Manifest, reason: str, message: str) -> None:
        """What is normal while a pod starts is no reason."""
        fact = pod_fact(pod({"status": status}))

        assert fact is not None
        assert (fact.waiting, fact.message) == (reason, message)

    @pytest.mark.parametrize(
        ("state", "restarts", "loops"),
        [
            ({"state": {"terminated": ENDED}}, 1, True),
            ({"state": {"running": {}}, "lastState": {"terminated": ENDED}}, 2, True),
            ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}} | LAST_ENDED, 1, True),
            ({"state": {"terminated": ENDED}}, 0, False),
            ({"state": {"running": {}}} | LAST_ENDED, 1, False),
            ({"state": {"running": {}}, "ready": True} | LAST_ENDED, 9, False),
            ({"state": {"running": {}}}, 9, False),
            ({"state": {"terminated": ENDED_LATE}}, 9, False),
        ],
    )
    def test_a_container_that_ends_again_and_again(
        self, state: Manifest, restarts: int, loops: bool
    ) -> None:
        """Told by how it ended: the kubelet shows its own word for it only for a moment."""
        container = {"name": "store-replica", "restartCount": restarts, **state}
        fact = pod_fact(pod({"status": {"containerStatuses": [container]}}))

        assert fact is not None
        said = "container store-replica ends again and again: OOMKilled (exit status 137)"
        assert (fact.waiting, fact.message) == (("CrashLoopBackOff", said) if loops else ("", ""))

    def test_a_leaving_pod_does_not_loop(self) -> None:
        """Its containers end because they were told to."""
        container = {"name": "c", "restartCount": 5, "state": {"terminated": ENDED}}
        leaving = {
            "metadata.deletionTimestamp": "2026-11-21T12:00:00Z",
            "status": {"containerStatuses": [container]},
        }

        fact = pod_fact(pod(leaving))

        assert fact is not None
        assert fact.waiting == ""

    def test_why_it_is_not_scheduled(self) -> None:
        """The scheduler's words, when no container has any."""
        unscheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available",
        }

        fact = pod_fact(pod({"status": {"conditions": [unscheduled]}}))

        assert fact is not None
        assert (fact.waiting, fact.message) == ("Unschedulable", "0/3 nodes are available")


class TestPartition:
    def test_a_stateful_set_of_ours(self) -> None:
        """Its revision is the template's, its size that of the claim template."""
        pods = [a_pod("demo-store-1-0"), a_pod("demo-store-1-2"), a_pod("demo-store-0-1")]

        fact = partition_fact(PEER, 1, workload(), pods)

        assert (fact.index, fact.revision, fact.claim_size, fact.replicas) == (1, "abc", "7Gi", 2)
        assert [member.ordinal for member in fact.members] == [0, 1, 2]
        assert [member.pod for member in fact.members] == [pods[0], None, pods[1]]

    @pytest.mark.parametrize(
        "statefulset",
        [
            None,
            workload({"metadata.ownerReferences[0].uid": "former"}),
            workload({"metadata.deletionTimestamp": "2026-11-21T12:00:00Z"}),
        ],
        ids=["absent", "of a namesake", "on its way out"],
    )
    def test_none_of_ours(self, statefulset: Manifest | None) -> None:
        """What does not exist has no revision; pods of that name are seen all the same."""
        fact = partition_fact(PEER, 0, statefulset, [a_pod("demo-store-0-0")])

        assert not fact.exists
        assert fact == Partition(0, fact.members)
        assert fact.members[0].pod is not None

    def test_without_a_revision_it_exists_all_the_same(self) -> None:
        """A label that was taken away must not look like an absent StatefulSet."""
        fact = partition_fact(PEER, 0, workload({"spec.template": {}}), [])

        assert fact.exists
        assert fact.revision == "unlabelled"

    def test_without_claim_templates_there_is_no_size(self) -> None:
        """Nothing to keep then."""
        assert (
            partition_fact(PEER, 0, workload({"spec.volumeClaimTemplates": []}), []).claim_size
            == ""
        )


class TestTier:
    def fact(self, edits: Manifest | None = None) -> Tier:
        """Return the tier of a Deployment with values replaced by path."""
        return tier_fact(PEER, Component.API, workload(edits), [])

    def test_a_settled_deployment_of_ours(self) -> None:
        """Every count is what the spec asks for."""
        pods = [a_pod("a", component=Component.API), a_pod("b", component=Component.AUTH)]

        fact = tier_fact(PEER, Component.API, workload(), pods)

        assert fact == Tier(
            Component.API,
            "demo-api",
            revision="abc",
            replicas=2,
            ready=2,
            updated=2,
            available=2,
            total=2,
            settled=True,
            pods=(pods[0],),
        )

    @pytest.mark.parametrize(
        "edits",
        [
            {"status.observedGeneration": 3},
            {"status.replicas": 3},
            {"status.updatedReplicas": 1},
            {"status.availableReplicas": 1},
            {"status": {}},
            {"spec.replicas": 3},
        ],
        ids=lambda edits: next(iter(edits)),
    )
    def test_not_settled(self, edits: Manifest) -> None:
        """An older generation, a surplus pod, an old one, one that is not available."""
        assert not self.fact(edits).settled

    def test_none_of_ours(self) -> None:
        """A Deployment of a namesake counts as none."""
        assert self.fact({"metadata.ownerReferences[0].uid": "former"}) == Tier(
            Component.API, "demo-api"
        )
        assert tier_fact(PEER, Component.API, None, []) == Tier(Component.API, "demo-api")


class TestClaim:
    def claim(self, edits: Manifest | None = None) -> Claim:
        """Return the fact of a bound claim with values replaced by path."""
        manifest = {
            "metadata": {
                "name": "data-demo-store-0-0",
                "uid": "claim-uid",
                "labels": {"smbpctl.dev/bigpeer-uid": UID},
            },
            "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}},
            "status": {"capacity": {"storage": "10Gi"}},
        }
        return claim_fact(PEER, 2, edited(manifest, edits or {}), {"fast": True, "slow": False})

    def test_a_bound_claim(self) -> None:
        """Requested and capacity are quantities as they were written."""
        assert self.claim() == Claim(
            name="data-demo-store-0-0",
            uid="claim-uid",
            partition=2,
            peer_uid=UID,
            owned=False,
            requested="10Gi",
            capacity="10Gi",
            deleting=False,
            expandable=True,
        )

    def test_a_claim_that_waits_for_its_volume(self) -> None:
        """No capacity until it is bound."""
        assert self.claim({"status": {}}).capacity == ""

    @pytest.mark.parametrize("name", ["slow", "unknown", None])
    def test_a_class_that_cannot_grow_or_is_not_known(self, name: str | None) -> None:
        """Unknown means no: the server would refuse."""
        assert not self.claim({"spec.storageClassName": name}).expandable

    def test_owned_by_any_reference_to_us(self) -> None:
        """We never control a claim: its StatefulSet may."""
        reference = {"kind": "BigPeer", "uid": UID}

        assert self.claim({"metadata.ownerReferences": [{"uid": "s"}, reference]}).owned
        assert not self.claim({"metadata.ownerReferences": [{"uid": "s"}]}).owned

    def test_a_claim_without_our_label(self) -> None:
        """Whose it is is not known, so it is not ours."""
        assert self.claim({"metadata.labels": {}}).peer_uid == ""
