"""Child processes that never outlive this one, with their output in a file."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import final

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024


class ProcessDied(Exception):
    """A process that should run has ended; the message holds the last lines of its log.

    `status` is its exit status, 128 + n after signal n, 127 when it could not be executed.
    """

    def __init__(self, name: str, *, status: int, log: Path, tail: str) -> None:
        super().__init__(f"{name} ended with status {status}; the end of {log}:\n{tail}")
        self.name = name
        self.status = status
        self.log = log
        self.tail = tail


@final
class SupervisedProcess:
    """One command, run below a supervisor that ends it when this process ends for any reason.

    The guarantee covers SIGKILL of this process: the supervisor holds the reading end of a pipe
    whose writing end lives here alone. A child of this process made by a bare `os.fork` inherits
    the writing end, and the command then lasts until that child has ended too.

    The command sees exactly `environment`, an empty standard input, no terminal and no signal
    sent to this process's group (Ctrl-C). Output is appended to `log`. Not thread-safe.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        grace: timedelta = timedelta(seconds=5),
    ) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = dict(environment)
        self._grace = grace
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the command; nothing happens when it was started already and not stopped."""
        if self._supervisor is not None:
            return
        task = {
            "command": self._command,
            "environment": self._environment,
            "grace": self._grace.total_seconds(),
        }
        with self.log.open("ab") as output:
            output.write(f"+ {shlex.join(self._command)}\n".encode())
            output.flush()
            self._supervisor = subprocess.Popen(
                # Neither site packages nor PYTHON* variables: the supervisor starts in 20 ms.
                [sys.executable, "-I", "-S", str(_SUPERVISOR), json.dumps(task)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the command was started and has not ended."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def ensure_running(self) -> None:
        """Raise `ProcessDied` when the command was started and has ended by itself."""
        if self._supervisor is None:
            return
        status = self._supervisor.poll()
        if status is not None:
            raise ProcessDied(self.name, status=status, log=self.log, tail=self.tail())

    def tail(self) -> str:
        """Return the last lines of the log, at most twenty."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def stop(self) -> None:
        """End the command and wait until it is gone; harmless when it does not run.

        SIGTERM first, SIGKILL to its process group after the grace period.
        """
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None or supervisor.stdin is None:
            return
        supervisor.stdin.close()
        supervisor.wait()
