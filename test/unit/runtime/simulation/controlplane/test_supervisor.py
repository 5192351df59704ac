"""Tests of the supervisor script, run as it is in production: by path, without site packages."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from smbpctl.runtime.simulation.controlplane import supervisor

# The child holds the fifo open for writing, so reading to its end means waiting for its death.
POLITE = """
import os, signal, sys
fifo = open(sys.argv[1], "w")
def bye(*_):
    fifo.write("got SIGTERM\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready", file=fifo, flush=True)
while True:
    signal.pause()
"""
STUBBORN_WITH_CHILD = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fifo = open(sys.argv[1], "w")
os.fork()
print("ready", file=fifo, flush=True)
while True:
    signal.pause()
"""
LEAVES_A_CHILD = """
import os, signal, sys
fifo = open(sys.argv[1], "w")
if os.fork() == 0:
    while True:
        signal.pause()
"""


class Supervised:
    """A running supervisor, and the fifo its command writes to."""

    def __init__(self, command: list[str], *, grace: float, environment: Mapping[str, str]) -> None:
        task = {"command": command, "grace": grace, "environment": dict(environment)}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def close_input(self) -> None:
        """Close the pipe, as the death of the parent does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.stdin = None

    def outcome(self) -> tuple[int, str, str]:
        """Wait for the end; return status, output and error output."""
        # communicate() closes standard input at once, which would end the command.
        self.process.wait()
        out, err = self.process.communicate()
        return self.process.returncode, out.decode(), err.decode()


class Supervise:
    """Starts supervisors and ends them after the test."""

    def __init__(self) -> None:
        self.started: list[Supervised] = []

    def __call__(
        self, *command: str, grace: float = 30, environment: Mapping[str, str] | None = None
    ) -> Supervised:
        self.started.append(Supervised([*command], grace=grace, environment=environment or {}))
        return self.started[-1]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """A function that starts a supervisor with a command."""
    start = Supervise()

    yield start

    for supervised in start.started:
        supervised.process.kill()
        supervised.process.communicate()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A named pipe."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_end_of_input_ends_the_command_with_sigterm(supervise: Supervise, fifo: Path) -> None:
    """When the pipe closes, the command gets SIGTERM and time to end by itself."""
    supervised = supervise(sys.executable, "-c", POLITE, str(fifo))
    with fifo.open() as lines:
        assert lines.readline() == "ready\n"

        supervised.close_input()

        assert lines.read() == "got SIGTERM\n"
    assert supervised.outcome()[0] == 0


def test_a_stubborn_command_is_killed_with_its_whole_group(
    supervise: Supervise, fifo: Path
) -> None:
    """A command that ignores SIGTERM is killed after the grace period, its children with it."""
    supervised = supervise(sys.executable, "-c", STUBBORN_WITH_CHILD, str(fifo), grace=0.05)
    with fifo.open() as lines:
        assert [lines.readline(), lines.readline()] == ["ready\n", "ready\n"]

        supervised.close_input()

        assert lines.read() == ""
    assert supervised.outcome()[0] == 128 + signal.SIGKILL


def test_children_left_behind_by_the_command_are_killed(supervise: Supervise, fifo: Path) -> None:
    """When the command ends by itself, what remains of its process group is killed."""
    supervised = supervise(sys.executable, "-c", LEAVES_A_CHILD, str(fifo))

    with fifo.open() as lines:
        assert lines.read() == ""
    assert supervised.outcome()[0] == 0


def test_sigterm_to_the_supervisor_ends_the_command(supervise: Supervise, fifo: Path) -> None:
    """Ending the supervisor itself does not leave its command behind."""
    supervised = supervise(sys.executable, "-c", POLITE, str(fifo))
    with fifo.open() as lines:
        assert lines.readline() == "ready\n"

        supervised.process.terminate()

        assert lines.read() == "got SIGTERM\n"
    assert supervised.outcome()[0] == 0


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -9 $$", 128 + signal.SIGKILL)]
)
def test_the_exit_status_is_passed_on(supervise: Supervise, script: str, status: int) -> None:
    """The supervisor ends with its command's status, in the shell's notation for signals."""
    supervised = supervise("/bin/sh", "-c", script)

    assert supervised.outcome()[0] == status


def test_a_command_that_cannot_be_executed_gives_127(supervise: Supervise, tmp_path: Path) -> None:
    """An absent program is named, and the status is the shell's for it."""
    supervised = supervise(str(tmp_path / "absent"))

    status, _, errors = supervised.outcome()

    assert status == supervisor.CANNOT_EXECUTE
    assert errors == f"{tmp_path / 'absent'}: No such file or directory\n"


def test_the_command_sees_exactly_the_given_environment(supervise: Supervise) -> None:
    """Nothing of the supervisor's own environment reaches the command."""
    script = "import os; print(dict(os.environ))"

    supervised = supervise(
        sys.executable, "-I", "-c", script, environment={"HOME": "/h", "LC_ALL": "C"}
    )

    assert "'HOME': '/h'" in (output := supervised.outcome()[1])
    assert "PATH" not in output
