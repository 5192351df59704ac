"""What a node does next with a pod: one decision at a time, from what it knows. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import final

from smbpctl.runtime.meta import Manifest, is_deleting
from smbpctl.runtime.simulation.agents.container_status import SANDBOX
from smbpctl.runtime.simulation.agents.pod_facts import Exit, Facts, Progress, Run, exits_for_good
from smbpctl.runtime.simulation.agents.pod_status import (
    TERMINAL_PHASES,
    conditions_of,
    has_sandbox,
    next_status,
)
from smbpctl.runtime.simulation.agents.sections import section
from smbpctl.runtime.simulation.agents.workload import Health


class Action(Enum):
    """What the node does next with a pod's containers, or with the pod."""

    NONE = "none"
    REPORT = "report"
    """Nothing but the status; then look again at once."""
    START = "start"
    ADVANCE = "advance"
    """A probe has succeeded: go on with the next."""
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
    ended = section(pod, "status").get("phase") in TERMINAL_PHASES
    if is_deleting(pod):
        return again if facts.stuck else _ending(facts.run, None if ended else status)
    if ended:
        return Step(Action.NONE)
    run = facts.run
    if run is None:
        return _creation(pod, facts, again)
    if run.exit is not None:
        return _restart(pod, run.exit, facts.now, status)
    if run.progress is not Progress.PROBED:
        return Step(Action.ADVANCE, status)
    return Step(Action.MOURN) if run.health is Health.EXITED else again


def _creation(pod: Manifest, facts: Facts, again: Step) -> Step:
    """Go to the start by the states that a kubelet tells: known, then with a sandbox."""
    told = conditions_of(pod).get(SANDBOX, {}).get("status")
    if told is None or (told != "True" and has_sandbox(pod, facts)):
        return replace(again, action=Action.REPORT, after=None)
    created = _start_time(pod, facts.now) + facts.start_delay
    waits = facts.blocked or facts.now < created
    return again if waits else replace(again, action=Action.START, after=None)


def _restart(pod: Manifest, ended: Exit, now: datetime, status: Manifest) -> Step:
    if exits_for_good(pod, ended.code):
        return Step(Action.NONE, status)
    if ended.retry_at <= now:
        return Step(Action.START, status)
    told_next = ended.backs_off_at if now < ended.backs_off_at else ended.retry_at
    return Step(Action.NONE, status, told_next - now)


def _ending(run: Run | None, status: Manifest | None) -> Step:
    return Step(Action.STOP if run is not None and run.alive else Action.DELETE, status)


def _start_time(pod: Manifest, now: datetime) -> datetime:
    text = section(pod, "status").get("startTime")
    return datetime.fromisoformat(str(text)) if text else now
