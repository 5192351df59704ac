"""Installs, on Debian and its relatives, the programs a cluster needs that are not built here.

Usage: python -m hack.cluster.tools. Does nothing when all are there. Exit status 3 where it cannot.
"""

import os
import shutil
import subprocess
import sys

from hack.cluster.prerequisites import PACKAGES, missing_programs

UNAVAILABLE = 3


def main() -> int:
    """Install what is missing; say what is done and what cannot be."""
    missing = missing_programs()
    if not missing:
        return 0
    packages = sorted({PACKAGES[name] for name in missing})
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        say(f"{', '.join(missing)} not installed, and this is not root on Debian: install them")
        return UNAVAILABLE
    say(f"installing {', '.join(packages)}")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], install):
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if answer.returncode != 0:
            say(f"{' '.join(command)} failed: {answer.stderr.strip()[-500:]}")
            return UNAVAILABLE
    return 0


def say(message: str) -> None:
    """Print one line for people."""
    print(f"cluster: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
