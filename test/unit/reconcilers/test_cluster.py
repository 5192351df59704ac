"""The cluster reconciler over a cluster in memory: order, gates, one disruption, and silence."""

from datetime import timedelta

import pytest

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, ConditionStatus, ConditionType
from smbpctl.reconcilers.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    POD,
    SECRET,
    SECURITY_CONTEXT_CONSTRAINTS,
    STATEFUL_SET,
)
from smbpctl.runtime.errors import Conflict, NotFound, TooManyRequests
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of, uid_of
from smbpctl.runtime.reconcile import Result
from test.support.bigpeers import ABSENT
from test.support.cluster_stage import FOREIGN, ClusterStage, a_secret, is_true
from test.support.fake_cluster import serve_optional
from test.support.observations import NOW
from test.support.peers import UID

POLL = Result(requeue_after=timedelta(seconds=5))
REST = Result(requeue_after=timedelta(minutes=1))
MARK = "smbpctl.dev/applied-cluster"
CLAIM_NAME = "data-demo-store-0-0"
NEWER = "1.63.9"


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


def versions(stage: ClusterStage, gvk: GroupVersionKind) -> dict[str, str]:
    """Return the version in the template of each workload."""
    label = "app.kubernetes.io/version"
    return {
        key_of(each).name: each["spec"]["template"]["metadata"]["labels"][label]
        for each in stage.server.all(gvk)
    }


def break_pod(stage: ClusterStage, name: str) -> None:
    """Let a pod fall out of readiness."""

    def unready(pod: Manifest) -> None:
        pod["status"]["conditions"][0]["status"] = "False"

    stage.server.edit(POD, key(name), unready)


async def rolling(stage: ClusterStage) -> ClusterStage:
    """Edit the version of a running BigPeer, and let the template be written."""
    await stage.bring_up()
    stage.edit({"version": NEWER})
    stage.report_again()
    await stage.reconcile()
    stage.server.sent()
    return stage


class TestDeletion:
    """The first branch."""

    async def test_a_deleted_big_peer_is_left_to_garbage_collection(self) -> None:
        """Nothing is read from members and nothing is written: children go with their owner."""
        stage = await ClusterStage().bring_up()
        stage.answers.asked.clear()
        marked = {"deletionTimestamp": "2026-11-21T12:00:00Z", "finalizers": ["example.com/x"]}
        stage.edit({"version": NEWER})
        stage.server.edit(BIG_PEER, stage.key, lambda peer: peer["metadata"].update(marked))

        result = await stage.reconcile()

        assert (result, stage.server.sent(), stage.answers.asked) == (Result(), [], [])

    async def test_a_big_peer_that_is_gone_is_nothing_to_do(self) -> None:
        """The last event of an object finds it gone."""
        stage = ClusterStage()
        stage.server.remove(BIG_PEER, stage.key)

        assert await stage.reconcile() == Result()
        assert stage.server.sent() == []


class TestBringUp:
    """From nothing to Available."""

    async def test_foundation_then_store_then_front_ends(self) -> None:
        """The store comes first; front-ends are created once it serves."""
        stage = ClusterStage()

        first = await stage.reconcile()
        early = stage.server.sent()
        stage.workloads.settle()
        await stage.reconcile()
        late = stage.server.sent()

        assert first == POLL
        assert early == [
            "apply ServiceAccount shop/demo-store",
            "apply ServiceAccount shop/demo-api",
            "apply ServiceAccount shop/demo-subscription",
            "apply ServiceAccount shop/demo-auth-server",
            "apply ConfigMap shop/demo-topology-1",
            "apply ConfigMap shop/demo-topology",
            "apply PodDisruptionBudget shop/demo-store-0",
            "apply StatefulSet shop/demo-store-0",
            "apply BigPeer/status shop/demo",
        ]
        assert late == [
            "apply Deployment shop/demo-api",
            "apply Deployment shop/demo-subscription",
            "apply Deployment shop/demo-auth-server",
            "apply BigPeer/status shop/demo",
        ]

    async def test_the_converged_cluster_is_left_alone(self) -> None:
        """At the fixpoint a pass sends nothing, also of a process that has just started."""
        stage = await ClusterStage().bring_up()

        rested = await stage.reconcile()
        restarted = ClusterStage()
        restarted.server.objects.update(stage.server.objects)
        restarted.server.owned.update(stage.server.owned)
        await restarted.reconcile()

        assert rested == REST
        assert stage.server.sent() == []
        assert restarted.server.sent() == []
        assert stage.condition(ConditionType.READY).status is ConditionStatus.TRUE

    @pytest.mark.parametrize("secret", ["demo-ca-1", "demo-in-band", "demo-jwt"])
    async def test_no_workload_before_every_certificate_exists(self, secret: str) -> None:
        """The condition names the Secret that is waited for."""
        stage = ClusterStage()
        stage.forget(secret)

        result = await stage.reconcile()

        store = stage.condition(ConditionType.STORE_READY)
        assert stage.names(STATEFUL_SET) + stage.names(DEPLOYMENT) == []
        assert (store.reason, store.message) == ("WaitingForTLS", f"waits for Secret {secret}")
        assert result == POLL

    async def test_no_workload_before_the_log_is_connected(self) -> None:
        """Pods mount the connection Secret: they would hang without it."""
        stage = ClusterStage()
        stage.forget("demo-transaction-log")

        await stage.reconcile()

        assert stage.names(STATEFUL_SET) == []
        assert stage.condition(ConditionType.STORE_READY).reason == "WaitingForTransactionLog"

    async def test_no_workload_of_an_unknown_version(self) -> None:
        """What a newer store writes to disk may not be readable by any other."""
        stage = ClusterStage({"spec.version": "9.0.0"})

        await stage.reconcile()

        assert stage.names(STATEFUL_SET) == []
        assert stage.condition(ConditionType.VERSION_SUPPORTED).status is ConditionStatus.FALSE
        assert stage.condition(ConditionType.DEGRADED).reason == "VersionNotSupported"

    async def test_a_running_store_survives_an_unknown_version(self) -> None:
        """Workloads that are closed are neither applied nor pruned."""
        stage = await ClusterStage().bring_up()
        before = versions(stage, STATEFUL_SET) | versions(stage, DEPLOYMENT)
        stage.edit({"version": "9.0.0"})

        await stage.reconcile()

        assert versions(stage, STATEFUL_SET) | versions(stage, DEPLOYMENT) == before
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]

    async def test_openshift_assigns_the_group_of_volumes(self) -> None:
        """Where SecurityContextConstraints are served, a group of our choice would be refused."""
        plain, openshift = ClusterStage(), ClusterStage()
        openshift.server.served_kinds += (serve_optional(SECURITY_CONTEXT_CONSTRAINTS),)

        await plain.reconcile()
        await openshift.reconcile()

        groups = [
            each.server.find(STATEFUL_SET, key("demo-store-0"))["spec"]["template"]["spec"][
                "securityContext"
            ].get("fsGroup")
            for each in (plain, openshift)
        ]
        assert groups == [65532, None]

    async def test_a_budget_that_is_not_wanted_any_more_is_pruned(self) -> None:
        """A budget over a single replica would block every drain."""
        stage = await ClusterStage().bring_up()
        single = {"storage": {"size": "10Gi"}, "replicas": 1}
        stage.edit({"store": single})

        await stage.reconcile()

        assert stage.names(DISRUPTION_BUDGET) == []


class TestOpenWorkloads:
    """The gate is on writing the template."""

    async def test_a_new_version_opens_the_store_alone(self) -> None:
        """Front-ends keep their template while the store has not rolled."""
        stage = await ClusterStage().bring_up()
        stage.edit({"version": NEWER})
        stage.report_again()

        await stage.reconcile()

        assert stage.server.sent() == [
            "apply StatefulSet shop/demo-store-0",
            "apply BigPeer/status shop/demo",
        ]
        assert set(versions(stage, DEPLOYMENT).values()) == {"1.63.2"}

    async def test_only_the_partition_whose_turn_it_is(self) -> None:
        """The second partition keeps its template until the first has settled."""
        stage = ClusterStage({"spec.store.partitions": 2})
        await stage.bring_up()
        stage.edit({"version": NEWER})
        stage.report_again()

        await stage.reconcile()

        assert versions(stage, STATEFUL_SET) == {"demo-store-0": NEWER, "demo-store-1": "1.63.2"}

    async def test_the_whole_roll_one_pod_at_a_time(self) -> None:
        """Every pod goes by eviction, in order; then front-ends, one tier after another."""
        stage = await rolling(ClusterStage({"spec.update": {"settleSeconds": 0}}))
        requests: list[str] = []

        for _ in range(12):
            await stage.reconcile()
            requests += [each for each in stage.server.sent() if "BigPeer" not in each]
            stage.workloads.settle()

        assert requests == [
            "evict Pod shop/demo-store-0-0",
            "evict Pod shop/demo-store-0-1",
            "evict Pod shop/demo-store-0-2",
            "apply Deployment shop/demo-api",
            "apply Deployment shop/demo-subscription",
            "apply Deployment shop/demo-auth-server",
        ]
        assert stage.peer.status.version == NEWER
        assert stage.condition(ConditionType.READY).status is ConditionStatus.TRUE

    async def test_settling_comes_back_when_it_is_over(self) -> None:
        """Only time can unblock it, so the requeue is exactly the rest of that time."""
        stage = await rolling(ClusterStage({"spec.update": {"settleSeconds": 600}}))
        await stage.reconcile()
        stage.workloads.settle(since=NOW - timedelta(minutes=4))

        result = await stage.reconcile()

        assert result == Result(requeue_after=timedelta(minutes=6))
        assert stage.condition(ConditionType.ROLLING_UPDATE_SUCCEEDED).reason == "Settling"


class TestDisruption:
    """At most one pod, and only after a live reading."""

    async def test_an_eviction_names_the_uid(self) -> None:
        """The pod that was planned, never its successor of the same name."""
        stage = await rolling(ClusterStage())
        uid = uid_of(stage.server.find(POD, key("demo-store-0-0")))

        result = await stage.reconcile()

        (eviction,) = [each for each in stage.server.writes if each.verb == "evict"]
        assert (str(eviction), eviction.body) == ("evict Pod shop/demo-store-0-0", {"uid": uid})
        assert result == POLL

    async def test_no_disruption_when_the_pod_was_replaced_meanwhile(self) -> None:
        """The cache shows a pod that is gone; the live reading plans another step: wait."""
        stage = await rolling(ClusterStage())
        stage.cache.freeze()
        stage.server.remove(POD, key("demo-store-0-0"))
        stage.workloads.settle()

        await stage.reconcile()

        assert [each for each in stage.server.sent() if " Pod " in each] == []

    async def test_no_disruption_when_another_member_broke_meanwhile(self) -> None:
        """What the cache does not show yet would have made it the second pod away."""
        stage = await rolling(ClusterStage())
        stage.cache.freeze()
        break_pod(stage, "demo-store-0-2")

        await stage.reconcile()

        assert stage.server.sent() == []

    async def test_a_budget_that_refuses_is_shown(self) -> None:
        """429 is no error: the condition says so, and the eviction is tried again."""
        stage = await rolling(ClusterStage())
        refusal = TooManyRequests("the budget needs 2 healthy pods", code=429)
        stage.server.refusals["evict Pod"] = refusal

        result = await stage.reconcile()

        blocked = stage.condition(ConditionType.ROLLING_UPDATE_SUCCEEDED)
        assert blocked.reason == "EvictionBlocked"
        assert "demo-store-0-0" in blocked.message
        assert "the budget needs 2 healthy pods" in blocked.message
        assert result == POLL

    @pytest.mark.parametrize(
        "error", [NotFound("gone", code=404), Conflict("another uid", code=409)]
    )
    async def test_a_pod_that_went_in_the_last_moment_is_no_error(self, error: Exception) -> None:
        """The next pass sees what there is; this one still reports."""
        stage = await rolling(ClusterStage())
        stage.server.refusals["evict Pod"] = error

        assert await stage.reconcile() == POLL

    async def test_a_broken_pod_is_healed_by_delete_with_its_uid(self) -> None:
        """A budget must not keep a pod that serves nobody; its UID keeps a namesake safe."""
        stage = await rolling(ClusterStage())
        break_pod(stage, "demo-store-0-1")
        uid = uid_of(stage.server.find(POD, key("demo-store-0-1")))

        await stage.reconcile()

        (deletion,) = [each for each in stage.server.writes if each.kind == "Pod"]
        assert str(deletion) == "delete Pod shop/demo-store-0-1"
        assert deletion.body == {"uid": uid}

    async def test_none_while_a_name_is_taken(self) -> None:
        """Conflicts are for people to solve first; nothing is disrupted beside them."""
        stage = await rolling(ClusterStage())
        taken(stage, CONFIG_MAP, "demo-topology")

        await stage.reconcile()

        assert [each for each in stage.server.sent() if "evict" in each] == []


def taken(stage: ClusterStage, gvk: GroupVersionKind, name: str) -> None:
    """Let an object of that name be somebody else's."""
    if (gvk, key(name)) in stage.server.objects:
        stage.server.remove(gvk, key(name))
    stage.server.put(
        {
            "apiVersion": gvk.api_version,
            "kind": gvk.kind,
            "metadata": {"name": name, "namespace": "shop", "uid": "somebody-else"},
        }
    )


class TestNameConflict:
    """Names that belong to somebody else."""

    async def test_it_is_reported_with_all_the_rest(self) -> None:
        """Degraded names the object; counts, effective defaults and members are still shown."""
        stage = await ClusterStage().bring_up()
        taken(stage, CONFIG_MAP, "demo-topology")

        result = await stage.reconcile()

        degraded = stage.condition(ConditionType.DEGRADED)
        status = stage.peer.status
        assert (degraded.status, degraded.reason) == (ConditionStatus.TRUE, "NameConflict")
        assert "ConfigMap shop/demo-topology" in degraded.message
        assert status.store is not None
        assert status.store.summary == "3/3"
        assert status.effective is not None
        assert stage.condition(ConditionType.AVAILABLE).status is ConditionStatus.TRUE
        assert result == POLL

    async def test_the_object_is_left_alone(self) -> None:
        """It is neither applied over nor deleted."""
        stage = ClusterStage()
        taken(stage, STATEFUL_SET, "demo-store-0")
        before = stage.server.find(STATEFUL_SET, key("demo-store-0"))

        await stage.reconcile()

        assert stage.server.find(STATEFUL_SET, key("demo-store-0")) == before
        assert stage.condition(ConditionType.DEGRADED).reason == "NameConflict"

    async def test_it_ends_when_the_object_is_gone(self) -> None:
        """Nothing remembers a conflict."""
        stage = await ClusterStage().bring_up()
        taken(stage, CONFIG_MAP, "demo-topology")
        await stage.reconcile()
        stage.server.remove(CONFIG_MAP, key("demo-topology"))

        await stage.bring_up()

        assert stage.condition(ConditionType.DEGRADED).status is ConditionStatus.FALSE


class TestClaims:
    """Claims are the StatefulSet controller's: only patched, never applied."""

    def owners(self, stage: ClusterStage) -> list[Manifest]:
        """Return the owner references of the first claim."""
        claim = stage.server.find(CLAIM, key(CLAIM_NAME))
        references: list[Manifest] = claim["metadata"].get("ownerReferences", [])
        return references

    async def test_growth_is_a_patch_that_tests_the_uid(self) -> None:
        """A claim that was replaced meanwhile is not touched."""
        stage = await ClusterStage().bring_up()
        stage.edit({"store": {"storage": {"size": "20Gi"}}})

        await stage.reconcile()

        patches = [each for each in stage.server.writes if each.kind == "PersistentVolumeClaim"]
        uid = uid_of(stage.server.find(CLAIM, key(CLAIM_NAME)))
        assert patches[0].body == [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/spec/resources/requests/storage", "value": "20Gi"},
        ]
        assert [each.key.name for each in patches] == [f"data-demo-store-0-{n}" for n in range(3)]
        assert stage.condition(ConditionType.STORAGE_READY).reason == "Resizing"

    async def test_growth_leaves_the_template_of_the_stateful_set(self) -> None:
        """Claim templates are immutable: an apply of the new size would be refused for ever."""
        stage = await ClusterStage().bring_up()
        stage.edit({"store": {"storage": {"size": "20Gi"}}})
        stage.report_again()

        await stage.reconcile()

        assert not [each for each in stage.server.sent() if "StatefulSet" in each]

    async def test_a_class_that_cannot_grow_is_named_and_nothing_is_tried(self) -> None:
        """The server would refuse the patch of every claim, again and again."""
        stage = await ClusterStage().bring_up()
        stage.expandable(False)
        stage.edit({"store": {"storage": {"size": "20Gi"}}})

        await stage.reconcile()

        assert not [each for each in stage.server.sent() if "Claim" in each]
        assert stage.condition(ConditionType.DEGRADED).reason == "StorageNotExpandable"

    async def test_delete_makes_the_big_peer_an_owner_beside_others(self) -> None:
        """Never the controller; foreign references and the StatefulSet's own stay."""
        stage = await ClusterStage().bring_up()
        others: list[Manifest] = [
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-store-0", "uid": "s"},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c", "controller": True},
        ]
        stage.server.edit(
            CLAIM, key(CLAIM_NAME), lambda claim: claim["metadata"].update(ownerReferences=others)
        )
        stage.edit({"deletionPolicy": "Delete"})

        await stage.reconcile()

        ours = {
            "apiVersion": "smbpctl.dev/v1alpha1",
            "kind": "BigPeer",
            "name": "demo",
            "uid": UID,
            "blockOwnerDeletion": True,
        }
        assert self.owners(stage) == [*others, ours]

    async def test_retain_takes_only_our_reference_away(self) -> None:
        """A change of the policy is undone as it was done; then nothing is written any more."""
        stage = await ClusterStage({"spec.deletionPolicy": "Delete"}).bring_up()
        other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c"}
        stage.server.edit(
            CLAIM, key(CLAIM_NAME), lambda claim: claim["metadata"]["ownerReferences"].append(other)
        )
        assert len(self.owners(stage)) == 2
        stage.edit({"deletionPolicy": "Retain"})
        stage.report_again()

        await stage.reconcile()
        stage.server.sent()
        await stage.reconcile()

        assert self.owners(stage) == [other]
        assert stage.server.sent() == []

    async def test_a_cache_that_is_behind_repeats_no_patch(self) -> None:
        """Whether we own a claim already is read live, at the moment of the patch."""
        stage = await ClusterStage().bring_up()
        stage.edit({"deletionPolicy": "Delete"})
        stage.cache.freeze()
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()

        assert not [each for each in stage.server.sent() if "Claim" in each]
        assert len(self.owners(stage)) == 1

    async def test_a_concurrent_change_of_the_owners_is_not_overwritten(self) -> None:
        """The patch tests the list it was made for."""
        stage = await ClusterStage({"spec.deletionPolicy": "Delete"}).bring_up()
        stage.edit({"deletionPolicy": "Retain"})

        await stage.reconcile()

        (patch, *_) = [each for each in stage.server.writes if each.kind == CLAIM.kind]
        tested = [each["path"] for each in patch.body if each["op"] == "test"]
        assert tested == ["/metadata/uid", "/metadata/ownerReferences"]

    async def test_a_claim_of_another_big_peer_blocks_its_partition(self) -> None:
        """A StatefulSet binds claims by name: the data of a namesake would be mixed in.

        The claim carries no label of ours here, so only a live reading can find it.
        """
        stage = ClusterStage()
        stage.server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": CLAIM_NAME, "namespace": "shop"},
                "spec": {"resources": {"requests": {"storage": "10Gi"}}},
            }
        )
        before = stage.server.find(CLAIM, key(CLAIM_NAME))

        await stage.reconcile()

        assert stage.names(STATEFUL_SET) == []
        assert stage.condition(ConditionType.STORAGE_READY).reason == "StaleClaim"
        assert CLAIM_NAME in stage.condition(ConditionType.DEGRADED).message
        assert stage.server.find(CLAIM, key(CLAIM_NAME)) == before


class TestInvalidSpec:
    """A spec that breaks a rule, on a server without the rules."""

    async def test_it_is_named_and_what_runs_is_still_reported(self) -> None:
        """Degraded, Progressing and Ready say what is wrong; nothing else is pretended."""
        stage = await ClusterStage().bring_up()
        before = {each.type: each for each in stage.peer.status.conditions}
        stage.edit({"api": {"replicas": 2, "resources": {}}, "tls": {"type": "Secrets"}})

        result = await stage.reconcile()

        conditions = {each.type: each for each in stage.peer.status.conditions}
        told = {name for name, each in conditions.items() if "spec.tls.secrets" in each.message}
        assert result == Result()
        assert told == {"Degraded", "Progressing", "Ready"}
        assert conditions["Degraded"].status is ConditionStatus.TRUE
        assert conditions["Degraded"].reason == "InvalidSpec"
        assert conditions["Ready"].status is ConditionStatus.FALSE
        assert conditions["StoreReady"].status is before["StoreReady"].status
        assert conditions["ApiReady"].status is before["ApiReady"].status
        assert conditions.keys() == before.keys()

    async def test_nothing_is_applied(self) -> None:
        """Not even what the broken rule is not about."""
        stage = ClusterStage({"spec.tls": {"type": "Secrets"}})

        await stage.reconcile()

        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]

    async def test_it_is_reported_once(self) -> None:
        """A person needs a while: until then nothing is written."""
        stage = ClusterStage({"spec.tls": {"type": "Secrets"}})
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()

        assert stage.server.sent() == []


class TestStatus:
    """What is reported, and when it changes."""

    async def test_transition_times_move_with_the_status_alone(self) -> None:
        """A later pass with another message keeps the time at which the condition turned."""
        stage = ClusterStage()
        stage.forget("demo-jwt")
        await stage.reconcile()
        first = stage.condition(ConditionType.STORE_READY)
        stage.clock.advance(timedelta(minutes=5))
        stage.forget("demo-in-band")
        await stage.reconcile()
        second = stage.condition(ConditionType.STORE_READY)
        for name in ("demo-jwt", "demo-in-band"):
            stage.server.put(a_secret(name, tls_crt="x"))
        await stage.bring_up()

        turned = stage.condition(ConditionType.STORE_READY)

        assert first.message != second.message
        assert first.last_transition_time == second.last_transition_time == "2026-11-21T12:00:00Z"
        assert turned.last_transition_time == "2026-11-21T12:05:00Z"

    async def test_observed_generation_is_that_of_the_slowest_writer(self) -> None:
        """It promises that every part of the operator has looked."""
        stage = await ClusterStage().bring_up()
        known = stage.peer.status.observed_generation
        stage.edit({"version": NEWER})
        await stage.reconcile()
        early = stage.peer.status.observed_generation
        stage.report_again()
        await stage.reconcile()

        assert (known, early, stage.peer.status.observed_generation) == (3, 3, 4)

    async def test_the_conditions_of_others_stay_theirs(self) -> None:
        """They are read, and never written."""
        stage = await ClusterStage().bring_up()

        conditions = {each["type"]: each for each in raw_conditions(stage)}

        assert [conditions[kind.value] for kind in FOREIGN] == [is_true(kind) for kind in FOREIGN]
        assert not [write for write in stage.server.writes if "TLSReady" in str(write.body)]


def raw_conditions(stage: ClusterStage) -> list[Manifest]:
    """Return the conditions as the server has them."""
    conditions: list[Manifest] = stage.server.find(BIG_PEER, stage.key)["status"]["conditions"]
    return conditions


class TestWakes:
    """Who wakes the controller, and who does not."""

    async def test_a_condition_of_another_reconciler_wakes(self) -> None:
        """The aggregates depend on it; its own status does not wake it."""
        stage = await ClusterStage().bring_up()
        woken = await stage.manager.listen()
        stage.report_again()
        nothing_new = woken.take()

        def turn(manifest: Manifest) -> None:
            kept = [each for each in manifest["status"]["conditions"] if each["type"] != "TLSReady"]
            turned = {**is_true(ConditionType.TLS_READY), "status": "False"}
            manifest["status"]["conditions"] = [*kept, turned]

        stage.server.edit(BIG_PEER, stage.key, turn)

        assert (nothing_new, woken.take()) == ([], ["shop/demo"])

    async def test_a_spec_wakes_and_a_status_does_not(self) -> None:
        """Else every status we write would lead to the next pass."""
        stage = await ClusterStage().bring_up()
        woken = await stage.manager.listen()
        stage.server.edit(BIG_PEER, stage.key, lambda p: p["status"].update(version="1.0.0"))
        by_status = woken.take()
        stage.edit({"version": NEWER})

        assert (by_status, woken.take()) == ([], ["shop/demo"])

    async def test_children_pods_claims_and_secrets_wake(self) -> None:
        """Whatever decides on the next step; a Secret wakes those whose spec names it."""
        stage = await ClusterStage().bring_up()
        woken = await stage.manager.listen()
        seen: dict[str, list[str]] = {}
        for gvk, name in (
            (POD, "demo-store-0-0"),
            (CLAIM, CLAIM_NAME),
            (STATEFUL_SET, "demo-store-0"),
            (DEPLOYMENT, "demo-api"),
            (SECRET, "demo-jwt"),
        ):
            stage.server.edit(gvk, key(name), lambda each: each.update(status={"x": 1}))
            seen[gvk.kind] = woken.take()
        stage.server.put(a_secret("unrelated", x="y"))

        assert set(map(tuple, seen.values())) == {("shop/demo",)}
        assert woken.take() == []

    async def test_it_reads_only_what_it_registered(self) -> None:
        """A kind that no informer feeds cannot be read: the fake cache is as strict about it."""
        stage = ClusterStage()

        assert stage.cache.registered() == {
            "BigPeer",
            "ConfigMap",
            "Deployment",
            "PersistentVolumeClaim",
            "Pod",
            "PodDisruptionBudget",
            "Secret",
            "ServiceAccount",
            "StatefulSet",
            "StorageClass",
        }


def test_the_stage_is_a_big_peer() -> None:
    """What the tests above rest on."""
    peer = ClusterStage({"spec.store.minimumReplicas": ABSENT}).peer

    assert isinstance(peer, BigPeer)
    assert peer.uid == UID
