"""What a node knows about a pod beside the pod object: what it waits for, and how its run goes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, final

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents.sections import entries, section
from smbpctl.runtime.simulation.agents.workload import Health

EXIT_UNKNOWN: Final = 255
"""What is told of containers of which nobody saw the end."""


class Progress(Enum):
    """How far a pod's probes have come since its containers were started."""

    CREATED = "created"
    """The startup probe has not succeeded yet."""
    STARTED = "started"
    """Readiness was not asked for yet."""
    PROBED = "probed"
    """Every probe is asked."""


@final
@dataclass(frozen=True, slots=True)
class Exit:
    """How the containers' last run ended.

    `retry_at` is when they are started again, `backs_off_at` from when on that delay is told in
    place of the end itself; it equals `finished` where there is no delay.
    """

    started: datetime
    finished: datetime
    code: int
    retry_at: datetime
    backs_off_at: datetime


@final
@dataclass(frozen=True, slots=True)
class Run:
    """The containers of a pod since they were started.

    `exit` is set while they do not run. `previous` is how the run before this one ended.
    """

    address: str
    started: datetime
    health: Health = Health.UNREADY
    progress: Progress = Progress.PROBED
    restarts: int = 0
    exit: Exit | None = None
    previous: Exit | None = None

    @property
    def alive(self) -> bool:
        """Tell whether the containers run now."""
        return self.exit is None


@final
@dataclass(frozen=True, slots=True)
class Facts:
    """What the node knows about a pod, beside the pod object itself.

    `unmounted` and `unreadable` say what volumes and variables wait for, `unpullable` are the
    images that cannot be had; `pulled_now` tells that this was found out just now. `stuck` keeps
    a deleted pod from going.
    """

    now: datetime
    node_address: str
    unmounted: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    unpullable: frozenset[str] = frozenset()
    pulled_now: bool = False
    start_delay: timedelta = timedelta(0)
    stuck: bool = False
    run: Run | None = None

    @property
    def blocked(self) -> bool:
        """Tell whether the containers cannot be created now."""
        return bool(self.unmounted or self.unreadable or self.unpullable)


def timestamp(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def exits_for_good(pod: Manifest, code: int) -> bool:
    """Tell whether containers that ended with `code` stay ended."""
    policy = section(pod, "spec").get("restartPolicy", "Always")
    return policy == "Never" or (policy == "OnFailure" and code == 0)


def has_probe(pod: Manifest, probe: str) -> bool:
    """Tell whether any main container has a probe of that name, `readinessProbe` for example."""
    return any(probe in container for container in entries(pod, "spec", "containers"))


def lost_run(pod: Manifest, now: datetime) -> Run | None:
    """Return the run that a pod's status tells of, ended in a way that nobody saw; None if none.

    So a node finds its pods when it returns from a loss of power.
    """
    ran = [item for item in entries(pod, "status", "containerStatuses") if item.get("containerID")]
    if not ran or section(pod, "status").get("phase") != "Running":
        return None
    told = section(ran[0], "state", "running").get("startedAt")
    started = datetime.fromisoformat(str(told)) if told else now
    return Run(
        str(section(pod, "status").get("podIP", "")),
        started,
        restarts=max(int(item.get("restartCount", 0)) for item in ran),
        exit=Exit(started, now, EXIT_UNKNOWN, now, now),
    )
