"""Programs that are kept running, as an init system would, and can be held down by a marker."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PAUSE_SECONDS = 1.0


@dataclass
class Program:
    """A command that is started again when it ends, unless its marker `hold` exists.

    The marker also ends it, by SIGKILL: nothing is said good-bye to, as in a crash. `before` is
    called before each start.
    """

    name: str
    command: Sequence[str]
    log: Path
    hold: Path
    before: Callable[[], None] | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _ended: float = field(default=float("-inf"), init=False)

    def tend(self) -> None:
        """Bring the process to the state that it should be in; call it again and again."""
        if self._process is not None and self._process.poll() is not None:
            self._process, self._ended = None, time.monotonic()
        if self.hold.exists():
            self.kill()
        elif self._process is None and time.monotonic() - self._ended >= _PAUSE_SECONDS:
            self._start()

    def kill(self) -> None:
        """End the process; harmless when it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process, self._ended = None, float("-inf")

    def _start(self) -> None:
        if self.before is not None:
            self.before()
        with self.log.open("ab") as log:
            log.write(f"+ {shlex.join(self.command)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )


def _environment() -> dict[str, str]:
    # A proxy, a KUBE* or a CONTAINERD_* variable of the caller must not change what runs.
    return {"PATH": os.environ["PATH"], "HOME": "/root"}
