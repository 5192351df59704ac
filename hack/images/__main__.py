"""Build the images of the operator and of the fake operand: `python -m hack.images`.

Prints progress and each image's digest to stderr and, as the last line of stdout, the folder with
manager.tar, operand.tar and, if asked for, pause.tar. Exit status: 0 done, 1 not built, 2 wrong
usage, 3 this machine or its network lacks something, which is named.

SMBPCTL_CACHE   cache folder; $XDG_CACHE_HOME or ~/.cache unless set. Any folder below its
                smbpctl/images, smbpctl/images-root and smbpctl/images-dependencies may be deleted
                at any time.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hack.images import contents
from hack.images.archives import build
from hack.images.cache import say
from hack.images.refusals import Refused


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m hack.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pause", type=Path, metavar="PATH", help="program for pause.tar")
    parser.add_argument(
        "--version",
        dest="versions",
        action="append",
        metavar="X.Y.Z",
        help=f"a tag of the fake operand, repeatable ({' and '.join(contents.OPERAND_VERSIONS)})",
    )
    parser.add_argument("--refresh", action="store_true", help="get Debian's packages again")
    options = parser.parse_args(arguments)
    try:
        images = build(
            versions=options.versions or contents.OPERAND_VERSIONS,
            pause=options.pause,
            refresh=options.refresh,
        )
    except Refused as refusal:
        say(str(refusal))
        return refusal.status
    for name, digest in sorted(images.digests.items()):
        say(f"{name}@{digest}")
    print(images.folder)
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that scratch folders, lock and programs are cleared away."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
