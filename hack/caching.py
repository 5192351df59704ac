"""Where everything that is built for tests is kept, and one builder at a time."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path


def cache_root() -> Path:
    """Return the project's folder below the user's cache folder (SMBPCTL_CACHE overrides it)."""
    default = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SMBPCTL_CACHE") or default).absolute() / "smbpctl"


@contextlib.contextmanager
def locked(folder: Path, say: Callable[[str], object]) -> Generator[None, None, None]:
    """Let one process at a time work in `folder`; the kernel unlocks when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
