"""Stand between a process and its command: end the command when standard input closes.

Run as a script with the standard library alone, before anything of this distribution is imported:
`python -I -S supervisor.py '{"command": [...], "environment": {...}, "grace": 5.0}'`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

CANNOT_EXECUTE = 127


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _end(child: subprocess.Popen[bytes], exited: threading.Event, grace: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)
    if not exited.wait(grace):
        _signal_group(child, signal.SIGKILL)


def supervise(command: list[str], environment: dict[str, str], grace: float) -> int:
    """Run `command` with exactly `environment` until it exits or standard input ends.

    Standard input carries no data: its end is the sign that the process holding the other end
    asked for a stop or died in any way, SIGKILL included. The command then gets SIGTERM and,
    `grace` seconds later, its whole process group SIGKILL. SIGTERM to this process does the same.

    Returns the command's exit status, 128 + n after signal n, 127 when it cannot be executed.
    """
    try:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return CANNOT_EXECUTE
    exited = threading.Event()

    def end_at_eof() -> None:
        sys.stdin.buffer.read()
        _end(child, exited, grace)

    def end_on_signal(_number: int, _frame: object) -> None:
        # A thread of its own: the handler runs inside wait() below, which has to go on.
        threading.Thread(target=_end, args=(child, exited, grace), daemon=True).start()

    signal.signal(signal.SIGTERM, end_on_signal)
    threading.Thread(target=end_at_eof, daemon=True).start()
    status = child.wait()
    exited.set()
    _signal_group(child, signal.SIGKILL)
    return status if status >= 0 else 128 - status


def main(argument: str) -> None:
    """Supervise the command that the JSON `argument` describes; does not return."""
    task: dict[str, Any] = json.loads(argument)
    # os._exit: the thread that reads standard input would make an ordinary exit wait for it.
    os._exit(supervise(task["command"], task["environment"], task["grace"]))


if __name__ == "__main__":
    main(sys.argv[1])
