"""Process 1 of a PID namespace: runs one command, buries the orphans, ends with the command.

Run as a script with the standard library alone: `python -I -S init.py COMMAND ARGUMENT…`. When it
ends, the kernel ends every other process of the namespace.
"""

import os
import signal
import subprocess
import sys


def main(command: list[str]) -> int:
    """Run `command` until it ends; return its status, 128 + n after signal n."""
    # What was handed to this process, such as a listening socket, is meant for the command.
    child = subprocess.Popen(command, close_fds=False)
    # Process 1 gets only the signals that it handles; these are for the command to answer.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child.pid, received))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # os._exit: nothing here may wait for a child that is somebody else's.
    os._exit(main(sys.argv[1:]))
