"""Runs other programs: quiet when they succeed, ended with us, plain words when they fail."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.images.refusals import FAILED, UNAVAILABLE, Refused

_TAIL_LINES = 6
_GRACE_SECONDS = 10
# What apt and pip say when the network is at fault, and not what was asked for.
_UNREACHABLE = re.compile(
    r"could not connect|could not resolve|temporary failure|failed to establish|timed out"
    r"|unreachable|connection (refused|reset|failed)|name or service not known|no route to host",
    re.IGNORECASE,
)


def run(
    command: Sequence[str | Path],
    *,
    purpose: str,
    package: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run `command` to its end and return what it wrote to standard output.

    `purpose` completes the sentence "cannot ..." and `package` names what to install when there is
    no such program. Raises `Refused`; `UNAVAILABLE` when the program is missing or says that the
    network is. Whatever interrupts the wait, the program and its children end first.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
    except FileNotFoundError as error:
        hint = f": install {package}" if package else ""
        raise Refused(f"cannot {purpose}: {command[0]} is missing{hint}", UNAVAILABLE) from error
    try:
        output, complaints = process.communicate()
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        raise _failure(f"cannot {purpose}: {command[0]}", process.returncode, complaints or output)
    return output


def _failure(what: str, status: int, said: str) -> Refused:
    tail = [line for line in said.splitlines() if line.strip()][-_TAIL_LINES:]
    kind = UNAVAILABLE if _UNREACHABLE.search(said) else FAILED
    return Refused("\n  ".join([f"{what} ended with status {status}", *tail]), kind)


def _end(process: subprocess.Popen[str]) -> None:
    """End the program's whole group: mmdebstrap, for one, clears up when it is asked to end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.communicate(timeout=_GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return
