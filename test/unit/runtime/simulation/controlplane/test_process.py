"""Tests of supervised child processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from smbpctl.runtime.simulation.controlplane.process import ProcessDied, SupervisedProcess

HOLD_FIFO = "exec 3>$0; echo ready >&3; exec /bin/sleep 1000"
PARENT = """
import signal, sys
from datetime import timedelta
from pathlib import Path
from smbpctl.runtime.simulation.controlplane.process import SupervisedProcess
process = SupervisedProcess(
    "child", ["/bin/sh", "-c", sys.argv[1], sys.argv[2]], log=Path(sys.argv[3]), environment={}
)
process.start()
signal.pause()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A named pipe; reading it to its end waits for the death of its last writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the process under test writes."""
    return tmp_path / "child.log"


def shell(script: str, log: Path, *arguments: str) -> SupervisedProcess:
    """A process, not yet started, that runs a shell script."""
    return SupervisedProcess(
        "child",
        ["/bin/sh", "-c", script, *arguments],
        log=log,
        environment={},
        grace=timedelta(seconds=30),
    )


@pytest.fixture
def holder(fifo: Path, log: Path) -> Iterator[SupervisedProcess]:
    """A process, not yet started, that holds the fifo open for as long as it lives."""
    process = shell(HOLD_FIFO, log, str(fifo))

    yield process

    process.stop()


def wait_for_end(process: SupervisedProcess) -> None:
    """Wait without polling: the supervisor is our child, and psutil waits for its exit."""
    (supervisor,) = psutil.Process().children()
    # Not reaped here, so that the object under test still sees the exit status.
    os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)
    assert not process.running


def test_stop_ends_the_process_and_waits(holder: SupervisedProcess, fifo: Path) -> None:
    """After stop nothing of the process is left."""
    holder.start()
    with fifo.open() as lines:
        assert lines.readline() == "ready\n"
        assert holder.running

        holder.stop()

        assert lines.read() == ""
    assert not holder.running
    assert psutil.Process().children(recursive=True) == []


def test_start_and_stop_twice_are_harmless(holder: SupervisedProcess, fifo: Path) -> None:
    """A second start starts no second process, a second stop and one before start do nothing."""
    holder.stop()
    holder.start()
    holder.start()
    with fifo.open() as lines:
        assert lines.readline() == "ready\n"
        count = len(psutil.Process().children())

        holder.stop()
        holder.stop()

    assert count == 1


def test_sigkill_of_the_parent_ends_the_process(fifo: Path, log: Path) -> None:
    """A parent that gets no chance to clean up leaves no process behind."""
    command = [sys.executable, "-c", PARENT, HOLD_FIFO, str(fifo), str(log)]
    with subprocess.Popen(command) as parent, fifo.open() as lines:
        assert lines.readline() == "ready\n"

        parent.send_signal(signal.SIGKILL)

        assert lines.read() == ""


@pytest.mark.parametrize("status", [3, 0])
def test_a_dead_process_is_reported_with_its_last_words(log: Path, status: int) -> None:
    """The error names process, status (0 is no excuse) and log, and holds the log's last lines."""
    process = shell(f"echo flag provided but not defined; exit {status}", log)
    process.start()
    wait_for_end(process)

    with pytest.raises(ProcessDied) as caught:
        process.ensure_running()

    assert caught.value.status == status
    assert caught.value.tail.endswith("flag provided but not defined")
    assert str(caught.value).startswith(f"child ended with status {status}; the end of {log}:\n")
    process.stop()


def test_ensure_running_is_silent_about_a_process_that_runs_or_was_stopped(
    holder: SupervisedProcess, fifo: Path
) -> None:
    """Only an end that nobody asked for is an error."""
    holder.ensure_running()
    holder.start()
    with fifo.open() as lines:
        assert lines.readline() == "ready\n"
        holder.ensure_running()

        holder.stop()

    holder.ensure_running()


def test_the_log_starts_with_the_command_and_is_appended_to(log: Path) -> None:
    """A restart keeps the earlier output, and each start is marked by its command line."""
    process = shell("echo out; echo err >&2", log)
    for _ in range(2):
        process.start()
        wait_for_end(process)
        process.stop()

    lines = log.read_text().splitlines()

    assert lines == ["+ /bin/sh -c 'echo out; echo err >&2'", "out", "err"] * 2


def test_the_tail_is_twenty_lines(log: Path) -> None:
    """A long log does not drown the error message."""
    log.write_bytes(b"x" * 100_000 + b"\xff\n" + b"".join(b"%d\n" % n for n in range(100)))

    tail = shell("true", log).tail()

    assert tail.splitlines() == [str(n) for n in range(80, 100)]
