"""What a node does with the pods bound to it: the shell that obeys one decision after the other."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import NotFound
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    StoredObject,
    key_of,
    metadata_of,
    uid_of,
)
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.simulation.agents.failures import Failure, FailureRules
from smbpctl.runtime.simulation.agents.needs import Need, Source, needs_of
from smbpctl.runtime.simulation.agents.pod_facts import (
    Exit,
    Facts,
    Progress,
    Run,
    has_probe,
    lost_run,
)
from smbpctl.runtime.simulation.agents.pod_status import covers
from smbpctl.runtime.simulation.agents.pod_steps import Action, Timing, decide
from smbpctl.runtime.simulation.agents.retries import PullAttempts, restart_delay
from smbpctl.runtime.simulation.agents.sections import section
from smbpctl.runtime.simulation.agents.workload import Health, Workload

POD: Final = GroupVersionKind("", "v1", "Pod")
SECRET: Final = GroupVersionKind("", "v1", "Secret")
CONFIG_MAP: Final = GroupVersionKind("", "v1", "ConfigMap")
CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")

FIELD_OWNER: Final = "node-agent"

_KILLED: Final = 137  # 128 + SIGKILL

_log = structlog.get_logger(__name__)


class PodWriter(Protocol):
    """The calls that change pods: satisfied by `client.Client`."""

    async def apply(
        self, manifest: Manifest, *, field_owner: str, force: bool = False, subresource: str = ""
    ) -> Manifest:
        """Apply the fields of a manifest; raise NotFound when a status has no object."""
        ...

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        grace_period: timedelta | None = None,
    ) -> bool:
        """Delete an object; return False when it was not there."""
        ...


class PodReader(Protocol):
    """What the node looks up: satisfied by `cache.Cache`."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return an object, None when there is none."""
        ...

    def meta(self, gvk: GroupVersionKind, key: ObjectKey) -> StoredObject | None:
        """Return an object's metadata, None when there is none."""
        ...


@final
@dataclass(slots=True)
class _Started:
    """A pod whose containers were started by this process."""

    pod: Manifest
    run: Run


@final
class PodReconciler:
    """Runs the pods of nodes that `address_of` knows an address of, as their kubelets would.

    Containers are started when all that the pod refers to exists. Each state is told with a write
    of its own, in the order of a kubelet's, though without its delays. A deleted pod is ready
    until its containers have ended, at the latest with its grace period; that is told, then the
    pod is deleted with grace 0 and its UID. A pod that this process did not start although it
    runs according to its status (the process is new) is restarted. The pods of a node that loses
    its address stop without a word, as on a machine without power.
    """

    def __init__(
        self,
        address_of: Callable[[str], str | None],
        *,
        client: PodWriter,
        reader: PodReader,
        workload: Workload,
        failures: FailureRules,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._address_of = address_of
        self._client = client
        self._reader = reader
        self._workload = workload
        self._failures = failures
        self._clock = clock
        self._timing = timing
        self._started: dict[ObjectKey, _Started] = {}
        self._pulls = PullAttempts(base=timing.crash_backoff, told_for=timing.probe_period)

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Bring a pod one or several steps further, until only time or an event can."""
        pod = await self._reader.get(POD, request.key)
        address = (
            None if pod is None else self._address_of(section(pod, "spec").get("nodeName", ""))
        )
        await self._bury(request.key, None if address is None else pod)
        if pod is None or address is None:
            return DONE
        while True:
            step = decide(pod, await self._facts(pod, address), self._timing)
            if step.status is not None and not covers(pod.get("status"), step.status):
                try:
                    pod = await self._report(pod, step.status)
                except NotFound:
                    return DONE  # deleted by force; the event that tells so is on its way
            if step.action is Action.NONE:
                return Result(step.after)
            if step.action is Action.DELETE:
                await self._delete(pod)
                return DONE
            await self._act(step.action, pod)

    async def close(self) -> None:
        """Stop every workload: the nodes are switched off, and the API server is told nothing."""
        async with asyncio.TaskGroup() as group:
            for started in self._started.values():
                group.create_task(self._workload.stop(started.pod))
        self._started.clear()

    async def _bury(self, key: ObjectKey, pod: Manifest | None) -> None:
        """Stop what runs under this name, unless it runs for `pod`."""
        if pod is None:
            self._pulls.forget(key)
        started = self._started.get(key)
        if started is None or (pod is not None and uid_of(pod) == uid_of(started.pod)):
            return
        await self._workload.stop(started.pod)
        del self._started[key]

    async def _facts(self, pod: Manifest, address: str) -> Facts:
        failures = self._failures.of(pod)
        run = await self._probe(pod, failures)
        needed = needs_of(pod) if run is None else ()
        absent = [(need, await self._absence(need, pod)) for need in needed]
        now = self._clock.now()
        unpullable = self._failures.unpullable(pod) if run is None else frozenset[str]()
        return Facts(
            now=now,
            node_address=address,
            unmounted=tuple(text for need, text in absent if text and need.volume),
            unreadable=tuple(text for need, text in absent if text and not need.volume),
            unpullable=unpullable,
            pulled_now=bool(unpullable) and self._pulls.has_just_failed(pod, now),
            start_delay=self._failures.start_delay(pod),
            stuck=Failure.STUCK_TERMINATING in failures,
            run=run,
        )

    async def _absence(self, need: Need, pod: Manifest) -> str:
        """Return what is wrong with something that the pod needs, empty when it is there."""
        key = ObjectKey(key_of(pod).namespace, need.name)
        if need.source is Source.CLAIM:
            claim = await self._reader.get(CLAIM, key)
            bound = claim is not None and section(claim, "status").get("phase") == "Bound"
            return "" if bound else f'{need.source.value} "{need.name}" is not bound'
        gvk = SECRET if need.source is Source.SECRET else CONFIG_MAP
        if self._reader.meta(gvk, key) is None:
            return f'{need.source.value} "{need.name}" not found'
        if not need.key:
            return ""
        found = await self._reader.get(gvk, key) or {}
        has = need.key in section(found, "data") or need.key in section(found, "binaryData")
        return "" if has else f"couldn't find key {need.key} in {gvk.kind} {key}"

    async def _probe(self, pod: Manifest, failures: frozenset[Failure]) -> Run | None:
        key = key_of(pod)
        if key not in self._started:
            lost = lost_run(pod, self._clock.now())
            if lost is None:
                return None
            self._started[key] = _Started(pod, lost)
        started = self._started[key]
        run = started.run
        if run.alive and run.progress is Progress.PROBED:
            started.run = replace(run, health=await self._health(pod, failures))
        return started.run

    async def _health(self, pod: Manifest, failures: frozenset[Failure]) -> Health:
        if Failure.CRASH_LOOP in failures:
            return Health.EXITED
        health = await self._workload.health(pod)
        if health is Health.READY and Failure.NEVER_READY in failures:
            return Health.UNREADY
        return health

    async def _advance(self, pod: Manifest) -> None:
        """Let the startup probe succeed, then go on to ask the others."""
        started = self._started[key_of(pod)]
        health, progress = await self._health(pod, self._failures.of(pod)), Progress.PROBED
        if started.run.progress is Progress.CREATED and health is not Health.EXITED:
            progress = Progress.STARTED
            if has_probe(pod, "readinessProbe"):
                health = Health.UNREADY
        started.run = replace(started.run, health=health, progress=progress)

    async def _report(self, pod: Manifest, status: Manifest) -> Manifest:
        metadata = metadata_of(pod)
        identity = {name: metadata[name] for name in ("name", "namespace", "uid")}
        return await self._client.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": identity, "status": status},
            field_owner=FIELD_OWNER,
            force=True,
            subresource="status",
        )

    async def _delete(self, pod: Manifest) -> None:
        await self._client.delete(POD, key_of(pod), uid=uid_of(pod), grace_period=timedelta(0))
        self._started.pop(key_of(pod), None)

    async def _act(self, action: Action, pod: Manifest) -> None:
        if action is Action.REPORT:
            return
        if action is Action.START:
            await self._start(pod)
            return
        if action is Action.ADVANCE:
            await self._advance(pod)
            return
        started = self._started[key_of(pod)]
        code = 1
        if action is Action.STOP:
            code = await self._stop(pod)
        else:
            await self._workload.stop(pod)
        started.run = replace(started.run, exit=self._exit(started.run, code))

    def _exit(self, run: Run, code: int) -> Exit:
        now = self._clock.now()
        retry_at = now + restart_delay(run.restarts, self._timing.crash_backoff)
        # A kubelet tells of the delay when it looks again: that is soon only the first time.
        looks_again = now + self._timing.probe_period if run.restarts == 1 else retry_at
        return Exit(run.started, now, code, retry_at, min(looks_again, retry_at))

    async def _start(self, pod: Manifest) -> None:
        before = self._started.get(key_of(pod))
        restarts = 0 if before is None else before.run.restarts + 1
        previous = None if before is None else before.run.exit
        # Noted first: a start that is cancelled half-way must still be stopped by `close`.
        now = self._clock.now()
        run = Run("", now, health=Health.EXITED, restarts=restarts, previous=previous)
        started = self._started[key_of(pod)] = _Started(pod, run)
        try:
            address = await self._workload.start(pod)
        except Exception:
            _log.exception("workload failed to start", pod=str(key_of(pod)))
            address = "" if before is None else before.run.address
            run = replace(run, exit=self._exit(run, 1))
        started.run = replace(
            run,
            address=address,
            health=self._first_health(pod),
            progress=Progress.CREATED if has_probe(pod, "startupProbe") else Progress.STARTED,
        )

    def _first_health(self, pod: Manifest) -> Health:
        """Return what is told before any probe: without one, running means ready."""
        probed = has_probe(pod, "startupProbe") or has_probe(pod, "readinessProbe")
        unready = probed or Failure.NEVER_READY in self._failures.of(pod)
        return Health.UNREADY if unready else Health.READY

    async def _stop(self, pod: Manifest) -> int:
        """Stop within what is left of the grace period; return the exit code."""
        until = datetime.fromisoformat(str(metadata_of(pod)["deletionTimestamp"]))
        grace = max(0.0, (until - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(grace):
                await self._workload.stop(pod)
        except TimeoutError:
            _log.info("workload was killed", pod=str(key_of(pod)), grace_seconds=grace)
            return _KILLED
        return 0
