"""The entry point of the container: ready to be ended before it has loaded anything."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the member until it is told to end; exit with 0, a status asked for, or 2.

    2 stands for a wrong environment: a line on standard error names what is missing.
    """
    # The first process of a container ignores signals that it does not handle, and what follows
    # takes a while to load: without this, a pod deleted meanwhile would stay its grace period.
    signal.signal(signal.SIGTERM, _end)
    from smbpctl.sandbox.member.process import run

    sys.exit(run(sys.argv[1:], os.environ))


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
