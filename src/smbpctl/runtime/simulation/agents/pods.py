"""What a node does with the pods bound to it: one decision at a time, and the shell that obeys."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Protocol, final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import NotFound
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    StoredObject,
    is_deleting,
    key_of,
    metadata_of,
    uid_of,
)
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.simulation.agents.failures import Failure, FailureRules
from smbpctl.runtime.simulation.agents.needs import Need, Source, needs_of
from smbpctl.runtime.simulation.agents.pod_status import (
    TERMINAL_PHASES,
    Exit,
    Facts,
    Run,
    covers,
    exits_for_good,
    next_status,
)
from smbpctl.runtime.simulation.agents.sections import entries, section
from smbpctl.runtime.simulation.agents.workload import Health, Workload

POD: Final = GroupVersionKind("", "v1", "Pod")
SECRET: Final = GroupVersionKind("", "v1", "Secret")
CONFIG_MAP: Final = GroupVersionKind("", "v1", "ConfigMap")
CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")

FIELD_OWNER: Final = "node-agent"

_LONGEST_BACKOFF: Final = timedelta(minutes=5)
_KILLED: Final = 137  # 128 + SIGKILL

_log = structlog.get_logger(__name__)


class Action(Enum):
    """What the node does next with a pod's containers, or with the pod."""

    NONE = "none"
    START = "start"
    MOURN = "mourn"
    """The containers exited by themselves: note it."""
    STOP = "stop"
    DELETE = "delete"
    """The containers ended as asked: take the object away."""


@final
@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do: report `status` if there is one, act, and look again `after`."""

    action: Action
    status: Manifest | None = None
    after: timedelta | None = None


@final
@dataclass(frozen=True, slots=True)
class Timing:
    """How often a node looks at its pods, and how long it waits before the second restart."""

    probe_period: timedelta = timedelta(seconds=1)
    crash_backoff: timedelta = timedelta(seconds=10)


def decide(pod: Manifest, facts: Facts, timing: Timing) -> Step:
    """Return the next step for a pod that is bound to the node. Pure."""
    status = next_status(pod, facts)
    again = Step(Action.NONE, status, timing.probe_period)
    if is_deleting(pod):
        return again if facts.stuck else _ending(facts.run, status)
    if section(pod, "status").get("phase") in TERMINAL_PHASES:
        return Step(Action.NONE)
    run = facts.run
    if run is None:
        created = _start_time(pod, facts.now) + facts.start_delay
        waits = facts.blocked or facts.now < created
        return again if waits else Step(Action.START, status)
    if run.exit is None:
        return Step(Action.MOURN) if run.health is Health.EXITED else again
    if exits_for_good(pod, run.exit.code):
        return Step(Action.NONE, status)
    remaining = run.exit.retry_at - facts.now
    if remaining > timedelta(0):
        return Step(Action.NONE, status, remaining)
    return Step(Action.START, status)


def restart_delay(restarts: int, base: timedelta) -> timedelta:
    """Return how long containers stay down: the first restart is at once, then it doubles."""
    if restarts == 0:
        return timedelta(0)
    return min(base * (1 << min(restarts - 1, 30)), _LONGEST_BACKOFF)


def _ending(run: Run | None, status: Manifest) -> Step:
    if run is None:
        return Step(Action.DELETE)
    return Step(Action.STOP if run.alive else Action.DELETE, status)


def _start_time(pod: Manifest, now: datetime) -> datetime:
    text = section(pod, "status").get("startTime")
    return datetime.fromisoformat(str(text)) if text else now


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

    Containers are started when all that the pod refers to exists, and told about in the pod's
    status. A deleted pod is told to be not ready, stopped within its grace period, and deleted
    with grace 0 and its UID. A pod that this process did not start although it runs according to
    its status (the process is new) is restarted. The pods of a node that loses its address stop
    without a word, as on a machine without power.
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
        started = self._started.get(key)
        if started is None or (pod is not None and uid_of(pod) == uid_of(started.pod)):
            return
        await self._workload.stop(started.pod)
        del self._started[key]

    async def _facts(self, pod: Manifest, address: str) -> Facts:
        failures = self._failures.of(pod)
        run = await self._probe(pod, failures)
        needed = needs_of(pod) if run is None else ()
        absent = [need for need in needed if not await self._exists(need, pod)]
        return Facts(
            now=self._clock.now(),
            node_address=address,
            unmounted=tuple(_absence(need) for need in absent if need.volume),
            unreadable=tuple(_absence(need) for need in absent if not need.volume),
            unpullable=self._failures.unpullable(pod),
            start_delay=self._failures.start_delay(pod),
            stuck=Failure.STUCK_TERMINATING in failures,
            run=run,
        )

    async def _exists(self, need: Need, pod: Manifest) -> bool:
        key = ObjectKey(key_of(pod).namespace, need.name)
        if need.source is Source.CLAIM:
            claim = await self._reader.get(CLAIM, key)
            return claim is not None and section(claim, "status").get("phase") == "Bound"
        gvk = SECRET if need.source is Source.SECRET else CONFIG_MAP
        return self._reader.meta(gvk, key) is not None

    async def _probe(self, pod: Manifest, failures: frozenset[Failure]) -> Run | None:
        started = self._started.get(key_of(pod))
        if started is None or not started.run.alive:
            return None if started is None else started.run
        if Failure.CRASH_LOOP in failures:
            health = Health.EXITED
        else:
            health = await self._workload.health(pod)
        if health is Health.READY and Failure.NEVER_READY in failures:
            health = Health.UNREADY
        started.run = replace(started.run, health=health)
        return started.run

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
        if action is Action.START:
            await self._start(pod)
            return
        started = self._started[key_of(pod)]
        code = 1
        if action is Action.STOP:
            code = await self._stop(pod)
        else:
            await self._workload.stop(pod)
        now = self._clock.now()
        retry_at = now + restart_delay(started.run.restarts, self._timing.crash_backoff)
        started.run = replace(started.run, exit=Exit(started.run.started, now, code, retry_at))

    async def _start(self, pod: Manifest) -> None:
        before = self._started.get(key_of(pod))
        restarts = _restarts_told(pod) if before is None else before.run.restarts + 1
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
            retry_at = now + restart_delay(restarts, self._timing.crash_backoff)
            run = replace(run, exit=Exit(now, now, 1, retry_at))
        started.run = replace(run, address=address, health=Health.UNREADY)

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


def _absence(need: Need) -> str:
    what = "is not bound" if need.source is Source.CLAIM else "not found"
    return f'{need.source.value} "{need.name}" {what}'


def _restarts_told(pod: Manifest) -> int:
    """Return the restarts to count from: one more than told when the containers ran before."""
    ran = [item for item in entries(pod, "status", "containerStatuses") if item.get("containerID")]
    return 1 + max(int(item.get("restartCount", 0)) for item in ran) if ran else 0
