"""Tests of the shell that carries out what a node decides about its pods."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock, TimerHandle
from smbpctl.runtime.errors import Conflict
from smbpctl.runtime.meta import Manifest, ObjectKey, uid_of
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.simulation.agents.failures import Failure, FailureRule, FailureRules
from smbpctl.runtime.simulation.agents.pod_steps import Timing
from smbpctl.runtime.simulation.agents.pods import POD, SECRET, PodReconciler
from smbpctl.runtime.simulation.agents.workload import Health
from test.support.virtual_time import run_virtual
from test.unit.runtime.simulation.agents.builders import (
    KEY,
    NODE,
    NODE_ADDRESS,
    FakeCluster,
    container,
    deleted,
    pod,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing()
PROBE = Result(TIMING.probe_period)


SANDBOX = "PodReadyToStartContainers"


def told(status: Manifest) -> tuple[str, list[str], str]:
    """Return the phase, which of two conditions are true, and why the container waits."""
    conditions = [each["type"] for each in status["conditions"] if each["status"] == "True"]
    state = status["containerStatuses"][0]["state"]
    true = [each for each in conditions if each in (SANDBOX, "Ready")]
    return status["phase"], true, state.get("waiting", {}).get("reason", "")


class FakeClock:
    """Satisfies `Clock`: intervals are the virtual loop's, and so is the wall clock."""

    def __init__(self) -> None:
        self._loop = LoopClock()

    def monotonic(self) -> float:
        return self._loop.monotonic()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.monotonic() - 1000)

    async def sleep(self, delay: timedelta) -> None:
        await self._loop.sleep(delay)

    def call_later(self, delay: timedelta, callback: Any) -> TimerHandle:
        return self._loop.call_later(delay, callback)


class FakeWorkload:
    """Satisfies `Workload`: healthy unless told otherwise, and remembers what it was told to do."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.state = Health.READY
        self.refuses = False
        self.stops_after: timedelta | None = timedelta(0)
        self._clock = LoopClock()

    async def start(self, pod: Manifest) -> str:
        self.calls.append(f"start {uid_of(pod)}")
        if self.refuses:
            raise OSError("no address left")
        return "10.244.9.9"

    async def health(self, pod: Manifest) -> Health:
        return self.state

    async def stop(self, pod: Manifest) -> None:
        self.calls.append(f"stop {uid_of(pod)}")
        if self.stops_after is None:
            await asyncio.Event().wait()
        elif self.stops_after:
            await self._clock.sleep(self.stops_after)


class Bench:
    """A reconciler over fakes."""

    def __init__(self, *objects: Manifest, rules: FailureRules | None = None) -> None:
        self.nodes = {NODE: NODE_ADDRESS}
        self.cluster = FakeCluster(*objects)
        self.workload = FakeWorkload()
        self.rules = rules or FailureRules()
        self.clock = FakeClock()
        self.reconciler = self.another()

    def another(self) -> PodReconciler:
        """Return a reconciler that knows nothing yet: what a new process has."""
        return PodReconciler(
            self.nodes.get,
            client=self.cluster,
            reader=self.cluster,
            workload=self.workload,
            failures=self.rules,
            clock=self.clock,
            timing=TIMING,
        )

    async def reconcile(self) -> Result:
        """Reconcile the one pod."""
        return await self.reconciler.reconcile(Request(KEY))

    def pod(self) -> Manifest:
        """Return the pod as stored."""
        return self.cluster.objects[POD, KEY]

    def statuses(self) -> list[Manifest]:
        """Return every status that was written."""
        written = [what for verb, _, what in self.cluster.writes if verb == "apply"]
        return [what["status"] for what in written]

    def state(self) -> dict[str, Any]:
        """Return the state of the pod's container."""
        found: dict[str, Any] = self.pod()["status"]["containerStatuses"][0]["state"]
        return found

    def restarts(self) -> int:
        """Return how often the pod's container was restarted."""
        return int(self.pod()["status"]["containerStatuses"][0]["restartCount"])

    def is_ready(self) -> bool:
        """Tell whether the pod says that it is ready."""
        conditions = self.pod()["status"]["conditions"]
        return {"Ready": "True"} in [{each["type"]: each["status"]} for each in conditions]


def test_a_pod_is_started_and_told_of() -> None:
    """A bound pod is told to be created, started, and told to run with the address it got."""

    async def scenario() -> tuple[Bench, Result]:
        bench = Bench(pod())
        return bench, await bench.reconcile()

    bench, result = run_virtual(scenario())

    assert result == PROBE
    assert bench.workload.calls == ["start uid-1"]
    assert bench.pod()["status"]["podIP"] == "10.244.9.9"
    assert bench.is_ready()
    assert bench.cluster.verbs() == ["apply Pod/status"] * 3
    assert [told(status) for status in bench.statuses()] == [
        ("Pending", [], "ContainerCreating"),
        ("Pending", [SANDBOX], "ContainerCreating"),
        ("Running", [SANDBOX, "Ready"], ""),
    ]


def test_probes_are_told_one_after_the_other() -> None:
    """With probes a container runs, then it is started, then the pod is ready: three writes."""
    probed = pod(containers=[container(startupProbe={}, readinessProbe={})])

    async def scenario() -> Bench:
        bench = Bench(probed)
        await bench.reconcile()
        return bench

    bench = run_virtual(scenario())

    states = [status["containerStatuses"][0] for status in bench.statuses()[2:]]
    assert [(each["started"], each["ready"]) for each in states] == [
        *((False, False), (True, False), (True, True))
    ]


def test_a_container_that_ends_at_once_was_never_started() -> None:
    """A startup probe that meets nobody is no success."""
    probed = pod(containers=[container(startupProbe={})])

    async def scenario() -> Bench:
        bench = Bench(probed, rules=FailureRules([FailureRule(Failure.CRASH_LOOP)]))
        await bench.reconcile()
        return bench

    statuses = run_virtual(scenario()).statuses()

    assert not any(status["containerStatuses"][0]["started"] for status in statuses)


def test_a_steady_pod_causes_no_writes() -> None:
    """However often a pod is probed, nothing is written while nothing changes."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        bench.cluster.writes.clear()
        for _ in range(5):
            await bench.clock.sleep(timedelta(seconds=1))
            await bench.reconcile()
        return bench

    assert run_virtual(scenario()).cluster.writes == []


@pytest.mark.parametrize("node", [None, "elsewhere"])
def test_pods_of_other_nodes_are_left_alone(node: str | None) -> None:
    """An unscheduled pod, or another node's, is none of our business."""

    async def scenario() -> tuple[Bench, Result]:
        bench = Bench(pod(nodeName=node))
        return bench, await bench.reconcile()

    bench, result = run_virtual(scenario())

    assert result == DONE
    assert bench.cluster.writes == []
    assert bench.workload.calls == []


def test_a_pod_waits_for_what_it_mounts() -> None:
    """Without its Secret a pod is ContainerCreating and asked about again; with it, it starts."""
    needy = pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}])
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ns"}}

    async def scenario() -> tuple[Bench, dict[str, Any], Result]:
        bench = Bench(needy)
        result = await bench.reconcile()
        state = bench.state()
        bench.cluster.put(secret)
        await bench.reconcile()
        return bench, state, result

    bench, before, result = run_virtual(scenario())

    assert before == {"waiting": {"reason": "ContainerCreating"}}
    assert result == PROBE
    assert bench.is_ready()


@pytest.mark.parametrize(("phase", "starts"), [("Pending", False), ("Bound", True)])
def test_a_pod_waits_until_its_claim_is_bound(phase: str, starts: bool) -> None:
    """A claim that exists is not enough: it must have a volume."""
    needy = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "namespace": "ns"},
        "status": {"phase": phase},
    }

    async def scenario() -> Bench:
        bench = Bench(needy, claim)
        await bench.reconcile()
        return bench

    assert bool(run_virtual(scenario()).workload.calls) is starts


def test_a_missing_variable_source_is_a_config_error() -> None:
    """A container that reads a missing ConfigMap into a variable cannot be created."""
    reads = container(envFrom=[{"configMapRef": {"name": "c"}}])

    async def scenario() -> Bench:
        bench = Bench(pod(containers=[reads]))
        await bench.reconcile()
        return bench

    waiting = run_virtual(scenario()).state()["waiting"]
    assert waiting == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "c" not found',
    }


def test_a_missing_key_is_a_config_error() -> None:
    """A variable names one entry; that the Secret is there is not enough."""
    source = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "ns"},
        "data": {"other": ""},
    }

    async def scenario() -> tuple[Bench, dict[str, Any]]:
        bench = Bench(pod(containers=[container(env=[source])]), secret)
        await bench.reconcile()
        state = bench.state()
        bench.cluster.objects[SECRET, ObjectKey("ns", "s")]["data"]["k"] = ""
        await bench.reconcile()
        return bench, state

    bench, state = run_virtual(scenario())

    assert state["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": "couldn't find key k in Secret ns/s",
    }
    assert bench.is_ready()


def test_a_pull_failure_ends_when_the_rule_is_lifted() -> None:
    """The image cannot be had until the rule goes; a running pod is not affected by a new one."""

    async def scenario() -> tuple[list[str], bool, bool]:
        bench = Bench(pod())
        rule = bench.rules.add(FailureRule(Failure.IMAGE_PULL))
        reasons: list[str] = []
        for wait in (1, 9, 1):
            await bench.reconcile()
            reasons.append(bench.state()["waiting"]["reason"])
            await bench.clock.sleep(timedelta(seconds=wait))
        bench.rules.remove(rule)
        await bench.reconcile()
        started = bench.is_ready()
        bench.rules.add(rule)
        await bench.reconcile()
        return reasons, started, bench.is_ready()

    reasons, started, ready = run_virtual(scenario())

    assert reasons == ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"]
    assert (started, ready) == (True, True)


def test_a_crash_loop_backs_off_and_heals() -> None:
    """The first restart is at once, the next after ten seconds; lifted, the pod comes up again."""

    async def scenario() -> tuple[Bench, list[Result]]:
        bench = Bench(pod(), rules=FailureRules([FailureRule(Failure.CRASH_LOOP)]))
        results = [await bench.reconcile()]
        await bench.clock.sleep(timedelta(seconds=1))
        results.append(await bench.reconcile())
        bench.rules.clear()
        await bench.clock.sleep(timedelta(seconds=9))
        await bench.reconcile()
        return bench, results

    bench, results = run_virtual(scenario())

    assert results == [Result(timedelta(seconds=1)), Result(timedelta(seconds=9))]
    states = [status["containerStatuses"][0] for status in bench.statuses()[2:]]
    seen = [(*each["state"], each["restartCount"]) for each in states]
    assert seen == [
        *(("running", 0), ("terminated", 0), ("running", 1)),
        *(("terminated", 1), ("waiting", 1), ("running", 2)),
    ]
    assert bench.is_ready()


def test_a_later_delay_is_told_only_when_it_is_over() -> None:
    """While a kubelet waits for the third restart it tells how the container ended, not why."""

    async def scenario() -> Bench:
        bench = Bench(pod(), rules=FailureRules([FailureRule(Failure.CRASH_LOOP)]))
        for wait in (1, 9, 19, 1):
            await bench.reconcile()
            await bench.clock.sleep(timedelta(seconds=wait))
        assert "terminated" in bench.state()
        bench.cluster.writes.clear()
        await bench.reconcile()
        return bench

    first = run_virtual(scenario()).statuses()[0]["containerStatuses"][0]["state"]

    assert first["waiting"]["reason"] == "CrashLoopBackOff"


def test_an_exited_workload_is_restarted_and_counted() -> None:
    """A program that ends by itself is started again, with the end before on record."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        bench.workload.state = Health.EXITED
        await bench.reconcile()
        bench.workload.state = Health.READY
        await bench.clock.sleep(timedelta(seconds=10))
        await bench.reconcile()
        return bench

    bench = run_virtual(scenario())

    assert bench.is_ready()
    assert bench.restarts() == 2
    told = bench.pod()["status"]["containerStatuses"][0]
    assert told["lastState"]["terminated"]["exitCode"] == 1
    # Every end is told to the workload, so that it frees what the containers held.
    assert bench.workload.calls == [
        *("start uid-1", "stop uid-1", "start uid-1", "stop uid-1", "start uid-1")
    ]


def test_a_workload_that_cannot_start_is_a_crash() -> None:
    """An error of the workload shows in the pod and is retried with growing delay."""

    async def scenario() -> tuple[Bench, Result]:
        bench = Bench(pod())
        bench.workload.refuses = True
        return bench, await bench.reconcile()

    bench, result = run_virtual(scenario())

    assert bench.state()["terminated"]["exitCode"] == 1
    assert bench.workload.calls == ["start uid-1", "start uid-1"]
    assert result == PROBE


def test_never_ready_overrides_a_healthy_workload() -> None:
    """With the rule a pod runs and never becomes ready."""

    async def scenario() -> Bench:
        bench = Bench(pod(), rules=FailureRules([FailureRule(Failure.NEVER_READY)]))
        await bench.reconcile()
        return bench

    bench = run_virtual(scenario())
    assert "running" in bench.state()
    assert not bench.is_ready()


def test_deletion_tells_stops_and_deletes_in_this_order() -> None:
    """A deleted pod is stopped while it is ready, told ended, and deleted by UID with grace 0."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        doomed = deleted(bench.pod())
        doomed["metadata"]["generation"] = 2
        bench.cluster.put(doomed)
        bench.cluster.writes.clear()
        await bench.reconcile()
        return bench

    bench = run_virtual(scenario())

    assert bench.cluster.verbs() == ["apply Pod/status", "apply Pod/status", "delete Pod"]
    assert [told(status) for status in bench.statuses()] == [
        ("Running", [SANDBOX, "Ready"], ""),
        ("Succeeded", [], ""),
    ]
    assert [status["observedGeneration"] for status in bench.statuses()] == [2, 2]
    _, _, deletion = bench.cluster.writes[-1]
    assert deletion == {"uid": "uid-1", "grace_period": timedelta(0)}
    assert bench.workload.calls == ["start uid-1", "stop uid-1"]


def test_a_pod_without_containers_fails_as_it_is_deleted() -> None:
    """What could not be started ends as containers that nobody could locate."""
    needy = pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}])

    async def scenario() -> Bench:
        bench = Bench(needy)
        await bench.reconcile()
        bench.cluster.put(deleted(bench.pod()))
        await bench.reconcile()
        return bench

    bench = run_virtual(scenario())

    assert bench.cluster.verbs()[-2:] == ["apply Pod/status", "delete Pod"]
    assert bench.statuses()[-1]["phase"] == "Failed"
    assert bench.workload.calls == []


@pytest.mark.parametrize(
    ("stops_after", "code", "lasts"), [(timedelta(seconds=20), 0, 20), (None, 137, 30)]
)
def test_the_grace_period_is_honoured_and_no_more(
    stops_after: timedelta | None, code: int, lasts: int
) -> None:
    """A workload may take its grace period to stop; at its end it is killed."""

    async def scenario() -> tuple[Bench, float]:
        bench = Bench(pod())
        await bench.reconcile()
        bench.workload.stops_after = stops_after
        bench.cluster.put(deleted(bench.pod(), at="2026-01-01T00:00:30Z"))
        begun = bench.clock.monotonic()
        await bench.reconcile()
        return bench, bench.clock.monotonic() - begun

    bench, elapsed = run_virtual(scenario())

    assert elapsed == pytest.approx(lasts)
    _, _, told = bench.cluster.writes[-2]
    assert told["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code


def test_a_stuck_pod_stays_until_the_rule_is_lifted() -> None:
    """A stuck pod stays ready and is not deleted however long it takes; it goes once released."""

    async def scenario() -> tuple[bool, bool, bool]:
        bench = Bench(pod())
        await bench.reconcile()
        bench.rules.add(FailureRule(Failure.STUCK_TERMINATING))
        bench.cluster.put(deleted(bench.pod()))
        await bench.reconcile()
        await bench.clock.sleep(timedelta(minutes=10))
        await bench.reconcile()
        stayed, ready = (POD, KEY) in bench.cluster.objects, bench.is_ready()
        bench.rules.clear()
        await bench.reconcile()
        return stayed, ready, (POD, KEY) in bench.cluster.objects

    assert run_virtual(scenario()) == (True, True, False)


@pytest.mark.parametrize("successor", [None, "uid-2"])
def test_a_pod_deleted_by_force_loses_its_workload(successor: str | None) -> None:
    """When the pod is gone, or another has its name, what ran for it is stopped first."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        bench.cluster.remove(POD, KEY)
        if successor is not None:
            bench.cluster.put(pod(successor))
        await bench.reconcile()
        return bench

    calls = run_virtual(scenario()).workload.calls

    assert calls[:2] == ["start uid-1", "stop uid-1"]
    assert calls[2:] == ([] if successor is None else ["start uid-2"])


def test_a_pod_that_vanishes_before_its_report_is_forgotten() -> None:
    """A status that has no object any more is not an error: the event is on its way."""

    class Stale(FakeCluster):
        async def get(self, gvk: Any, key: Any) -> Manifest | None:
            return pod() if gvk == POD else await super().get(gvk, key)

    async def scenario() -> Result:
        bench = Bench()
        bench.cluster = Stale()
        return await bench.another().reconcile(Request(KEY))

    assert run_virtual(scenario()) == DONE


def test_a_report_never_hits_a_namesake() -> None:
    """A status computed for one pod is refused for another of the same name."""

    class Stale(FakeCluster):
        async def get(self, gvk: Any, key: Any) -> Manifest | None:
            return pod("uid-1") if gvk == POD else await super().get(gvk, key)

    async def scenario() -> None:
        bench = Bench()
        bench.cluster = Stale(pod("uid-2"))
        await bench.another().reconcile(Request(KEY))

    with pytest.raises(Conflict):
        run_virtual(scenario())


def test_a_new_process_restarts_what_it_finds_running() -> None:
    """Workloads die with the agent: the next one starts them again and counts a restart."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        await bench.another().reconcile(Request(KEY))
        return bench

    bench = run_virtual(scenario())

    assert bench.restarts() == 1
    assert bench.is_ready()
    last = bench.pod()["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("Unknown", 255)


def test_a_node_without_power_runs_nothing() -> None:
    """When the node goes, its pods stop and nobody is told; when it returns, they are restarted."""

    async def scenario() -> tuple[Bench, Result]:
        bench = Bench(pod())
        await bench.reconcile()
        bench.cluster.writes.clear()
        del bench.nodes[NODE]
        result = await bench.reconcile()
        assert bench.cluster.writes == []
        bench.nodes[NODE] = NODE_ADDRESS
        await bench.reconcile()
        return bench, result

    bench, result = run_virtual(scenario())

    assert result == DONE
    assert bench.workload.calls == ["start uid-1", "stop uid-1", "start uid-1"]
    assert bench.restarts() == 1


def test_closing_stops_every_workload_and_writes_nothing() -> None:
    """A node that is switched off frees what runs, and tells nobody."""

    async def scenario() -> Bench:
        bench = Bench(pod())
        await bench.reconcile()
        bench.cluster.writes.clear()
        await bench.reconciler.close()
        return bench

    bench = run_virtual(scenario())

    assert bench.workload.calls == ["start uid-1", "stop uid-1"]
    assert bench.cluster.writes == []
