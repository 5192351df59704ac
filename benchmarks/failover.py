"""Benchmark `failover`: how long nobody leads, after a stop in order and after a sudden death."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, final

from benchmarks.access import Access
from benchmarks.comparison import Comparison, Measure, Reading, Variant, say
from benchmarks.errors import Refused
from benchmarks.run import Run
from benchmarks.subjects.candidate import ELECTION
from benchmarks.subjects.delays import now

_ROOT: Final = Path(__file__).parent.parent
_LONGEST_SECONDS: Final = 60
GRACEFUL: Final = Variant("graceful", "the leader is asked to stop")
KILLED: Final = Variant("killed", "the leader is killed")
_SIGNALS: Final = {GRACEFUL: signal.SIGTERM, KILLED: signal.SIGKILL}
_ROUNDS: Final = 2


@final
class _Candidate:
    """A process that stands by or leads."""

    def __init__(self, access: Access) -> None:
        command = [sys.executable, "-m", "benchmarks.subjects.candidate"]
        command += [f"--server={access.server}", f"--credentials={access.folder}"]
        self.process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)

    def said(self, word: str) -> int:
        """Wait until it prints this word; return the moment that it printed with it."""
        if self.process.stdout is None:
            raise ValueError("the process has no pipe")
        for line in self.process.stdout:
            found, _, moment = line.partition(" ")
            if found == word:
                return int(moment)
        raise Refused(f"a candidate ended before it was {word}")


def run(run: Run) -> Comparison:
    """Let two candidates compete, end the one that leads, and see when the other does."""
    access = run.server()
    rounds = run.options.some_rounds(_ROUNDS if run.options.full else 1)
    readings: dict[Variant, list[Reading]] = {variant: [] for variant in _SIGNALS}
    for number in range(1, rounds + 1):
        for variant, ending in _SIGNALS.items():
            seconds = _failed_over(access, ending)
            readings[variant].append(Reading(1, "", 0, seconds, 0, 0))
            say(f"round {number} of {rounds}: {variant.title}: {seconds:.1f} s")
    lease, retry = ELECTION.lease_duration, ELECTION.retry_period
    return Comparison(
        name="failover",
        title="from the end of a leader to the start of the next one's controllers",
        baseline=GRACEFUL,
        measures=(
            Measure("wall_seconds", "s", lambda r: r.wall_seconds, decimals=2, compared=False),
        ),
        readings=list(readings.items()),
        remarks=[
            f"Lease of {lease.total_seconds():.0f} s, tried every {retry.total_seconds():.0f} s; "
            "on a real API server, two processes."
        ],
        facts={"lease_seconds": lease.total_seconds(), "retry_seconds": retry.total_seconds()},
    )


def _failed_over(access: Access, ending: signal.Signals) -> float:
    with _candidate(access) as leader:
        leader.said("leading")
        with _candidate(access) as standby:
            standby.said("ready")
            begun = now()
            os.kill(leader.process.pid, ending)
            return (standby.said("leading") - begun) / 1e9


@contextmanager
def _candidate(access: Access) -> Generator[_Candidate]:
    with ExitStack() as stack:
        candidate = _Candidate(access)
        stack.callback(candidate.process.wait)
        stack.callback(candidate.process.terminate)
        yield candidate
