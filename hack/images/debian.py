"""Gets Debian packages from the mirror that this machine's apt uses, checked by apt."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.images import programs
from hack.images.contents import LEFT_OUT, PACKAGES, SUITE
from hack.images.refusals import UNAVAILABLE, Refused

_POCKETS = ("", "-updates", "-security")
"""A Debian release comes in three parts; the names of the last two end so."""


@dataclass(frozen=True, slots=True)
class Package:
    """One downloaded package."""

    name: str
    version: str
    file: Path


def download(scratch: Path) -> list[Package]:
    """Download `PACKAGES` into `scratch` and return them by name.

    Raises `Refused` when mmdebstrap is missing, when the mirror cannot be reached, and when Debian
    wants a package that is neither in the image's list nor knowingly left out.
    """
    if shutil.which("mmdebstrap") is None:
        raise Refused("mmdebstrap is missing: install the package mmdebstrap", UNAVAILABLE)
    programs.run(
        [
            "mmdebstrap",
            # Nothing is installed and no script runs, so that rights are not needed either.
            f"--mode={'root' if os.geteuid() == 0 else 'chrootless'}",
            "--variant=extract",
            "--skip=cleanup/apt",
            f"--include={','.join(PACKAGES)}",
            SUITE,
            str(scratch / "unused"),
            *sources(),
        ],
        purpose=f"get Debian {SUITE}",
        package="mmdebstrap",
    )
    found = [_described(file) for file in (scratch / "unused").glob("var/cache/apt/archives/*.deb")]
    return chosen(found)


def chosen(found: Iterable[Package]) -> list[Package]:
    """Return those that belong into the image, by name; refuse what nobody decided on."""
    by_name = {package.name: package for package in found}
    unknown = by_name.keys() - {*PACKAGES, *LEFT_OUT}
    missing = set(PACKAGES) - by_name.keys()
    if unknown or missing:
        raise Refused(
            f"Debian {SUITE} has other packages than hack/images/contents.py: "
            f"new {sorted(unknown)}, missing {sorted(missing)}"
        )
    return [by_name[name] for name in sorted(PACKAGES)]


def sources() -> list[str]:
    """Return apt source lines for `SUITE` from this machine's mirrors.

    An empty list, where apt has no Debian mirror, makes mmdebstrap use the one it knows.
    """
    if shutil.which("apt-get") is None:
        return []
    targets = programs.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        purpose="read apt's sources",
    )
    return source_lines(targets.splitlines(), _release_of_host())


def source_lines(targets: Sequence[str], release: str) -> list[str]:
    """Return source lines for `SUITE` from lines "mirror suite" of a host that runs `release`."""
    mirrors = {suite: mirror for mirror, suite in map(str.split, targets)}
    if release not in mirrors:
        return []
    return [
        f"deb {mirrors[release + pocket]} {SUITE}{pocket} main"
        for pocket in _POCKETS
        if release + pocket in mirrors
    ]


def _release_of_host(file: Path = Path("/etc/os-release")) -> str:
    fields = dict(
        line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines() if "=" in line
    )
    if fields.get("ID", "") != "debian":
        return ""
    return fields.get("VERSION_CODENAME", "").strip('"')


def _described(file: Path) -> Package:
    fields = programs.run(
        ["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", str(file)],
        purpose=f"read {file.name}",
        package="dpkg",
    )
    name, version = fields.split()
    return Package(name, version, file)


def unpack(package: Package, tree: Path) -> None:
    """Put the package's files into `tree`; its scripts do not run."""
    programs.run(
        ["dpkg-deb", "--extract", str(package.file), str(tree)],
        purpose=f"unpack {package.name}",
        package="dpkg",
    )


def control(package: Package) -> str:
    """Return the package's own description, as image scanners read it."""
    return programs.run(
        ["dpkg-deb", "--field", str(package.file)], purpose=f"read {package.name}", package="dpkg"
    )
