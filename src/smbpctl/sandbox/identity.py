"""Who a fake member is: an identity made from a name, or one that is kept with the data."""

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from smbpctl.runtime.clock import Random
from smbpctl.runtime.errors import ConfigurationError

FILE: Final = "server-id"
"""The file in the data folder that holds the identity."""

# One name for what is being written: what a crash leaves behind is overwritten, not collected.
_UNFINISHED: Final = f".{FILE}.new"
_IDENTITY: Final = re.compile(r"[0-9A-Za-z._-]{1,64}\n?")


def identity_of(text: str) -> str:
    """Return the identity that always belongs to this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept_identity(folder: Path, random: Random) -> str:
    """Return the identity that a data folder holds; give it one when it is new.

    The file is written in either case, which proves that the folder can be. It is complete on
    disk, or as it was before, whenever the machine stops. Raises ConfigurationError, naming the
    folder or the file, when that fails or when the file holds no identity.
    """
    file = folder / FILE
    try:
        identity = _known(file) or f"{random.getrandbits(64):016x}"
        _write(file, f"{identity}\n")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from error
    return identity


def _known(file: Path) -> str | None:
    try:
        text = file.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return None
    if not _IDENTITY.fullmatch(text):
        raise ConfigurationError(f"{file} holds no server id")
    return text.rstrip("\n")


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(_UNFINISHED)
    with unfinished.open("w", encoding="ascii") as writing:
        writing.write(text)
        writing.flush()
        os.fsync(writing.fileno())
    unfinished.replace(file)
    # The new name itself is on disk only when its folder is.
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
