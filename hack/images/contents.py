"""What is in the images: the one list that the archives and the Containerfile are made from."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smbpctl.operand.contract import COMPONENTS

ROOT = Path(__file__).parent.parent.parent

SUITE = "trixie"
PYTHON = "3.13"
GLIBC_MINOR = 41
"""Debian's release, its Python and the minor version of its C library: they change together."""

PACKAGES = (
    "base-files",
    "ca-certificates",
    "gcc-14-base",  # documentation only: the licence of libgcc and libstdc++
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libssl3t64",
    "libstdc++6",
    "libuuid1",
    "libzstd1",
    "media-types",
    "netbase",
    f"python{PYTHON}-minimal",
    "tzdata",
    "zlib1g",
)
"""Every Debian package whose files are in the image; none brings a shell or a package manager."""

LEFT_OUT = (
    "debconf",
    "libdb5.3t64",
    "libncursesw6",
    "libreadline8t64",
    "libsqlite3-0",
    "libtinfo6",
    "mawk",
    "openssl",
    "openssl-provider-legacy",
    "readline-common",
)
"""What Debian would install with them and an operator never runs. Anything else is an error."""

_STDLIB = f"/usr/lib/python{PYTHON}"
SITE = f"/usr/local/lib/python{PYTHON}/dist-packages"
"""Where the image's Python finds dependencies and project."""

ROOT_DROPPED = (
    "/etc/ca-certificates",
    "/etc/issue*",
    "/etc/profile.d",
    # A hook for crash reports; its link is absolute and would be followed on the builder.
    "/etc/python*",
    f"{_STDLIB}/sitecustomize.py",
    "/etc/skel",
    "/etc/update-motd.d",
    "/boot",
    "/usr/games",
    "/usr/include",
    "/usr/lib/binfmt.d",
    "/usr/lib/*-linux-gnu/gconv",
    "/usr/sbin/*",
    "/usr/share/base-files",
    "/usr/share/binfmts",
    "/usr/share/bug",
    "/usr/share/doc/*/[!c]*",
    "/usr/share/doc/*/c[!o]*",
    "/usr/share/gcc",
    "/usr/share/gdb",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/man",
    "/usr/share/pixmaps",
    "/usr/share/applications",
    f"{_STDLIB}/config-*",
    f"{_STDLIB}/idlelib",
    f"{_STDLIB}/pydoc_data",
    f"{_STDLIB}/sqlite3",
    f"{_STDLIB}/tkinter",
    f"{_STDLIB}/turtle*",
    f"{_STDLIB}/lib-dynload/_curses*",
    f"{_STDLIB}/lib-dynload/_dbm*",
    f"{_STDLIB}/lib-dynload/_sqlite3*",
    f"{_STDLIB}/lib-dynload/readline*",
)
DEPENDENCIES_DROPPED = (
    "*.c",
    "*.h",
    "*.pxd",
    "*.pyi",
    "*.pyx",
    "*/dist-packages/bin",
    "*/dist-packages/*/tests",
    "*/dist-packages/CHANGELOG.md",
    "*/dist-packages/CONTRIBUTING.md",
    "*/dist-packages/README.md",
    "*/dist-packages/pyproject.toml",
)
"""Path patterns as `find -path` has them (a star matches slashes); a match goes with all below."""

USER_ID = 65532
USER = f"{USER_ID}:{USER_ID}"
"""Numeric: the kubelet cannot tell that a name is not root."""

LINKS = {
    "/usr/bin/python3": f"python{PYTHON}",
    "/usr/lib/ssl/cert.pem": "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/ssl/certs": "/etc/ssl/certs",
}
"""Symbolic links that Debian's installation scripts would make."""

CERTIFICATE_SOURCES = "/usr/share/ca-certificates"
CERTIFICATE_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PACKAGE_LIST = "/usr/share/smbpctl/packages.txt"
PACKAGE_STATUS = "/var/lib/dpkg/status.d"
"""Where image scanners look for packages when there is no package manager's database."""

WRITABLE = "/tmp"
"""The one folder that anybody may write to (mode 1777)."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that is written out here."""

    path: str
    lines: Sequence[str]
    executable: bool = False

    @property
    def text(self) -> str:
        """Return the file's whole text."""
        return "".join(f"{line}\n" for line in self.lines)


ROOT_FILES = (
    TextFile(
        "/etc/passwd",
        (
            "root:x:0:0:root:/:/sbin/nologin",
            f"smbpctl:x:{USER_ID}:{USER_ID}:smbpctl:/:/sbin/nologin",
        ),
    ),
    TextFile("/etc/group", ("root:x:0:", f"smbpctl:x:{USER_ID}:")),
    TextFile("/etc/nsswitch.conf", ("passwd: files", "group: files", "hosts: files dns")),
)
PROJECT_FILES = (
    TextFile(
        "/usr/local/bin/smbpctl",
        ("#!/usr/bin/python3", "from smbpctl.cli import main", "", "main()"),
        executable=True,
    ),
)

LICENSE = "/licenses/LICENSE"
"""Where the project's own licence lies; those of Debian's packages and the wheels are theirs."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/bin:/usr/bin",
    "LANG": "C.UTF-8",
    # The root is read-only and everything is compiled: Python must not try to write.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}

LOCK = "requirements.image.lock"
PROJECT_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")
"""What the project's wheel is made from, below the repository's root."""

EPOCH = 1580601600
CREATED = "2020-02-02T00:00:00Z"
"""The one date in every image, so that equal inputs give equal digests at any time."""

REGISTRY = "registry.test"
"""A name under a top-level domain that is reserved for tests: nothing can be pulled from it."""

OPERAND_VERSIONS = ("1.62.4", "1.63.2", "1.64.0")
"""Two that the operator supports, for upgrades, and one that is newer than it knows."""

PAUSE_VERSION = "3.10"


@dataclass(frozen=True, slots=True)
class Image:
    """One image's name and how it runs."""

    reference: str
    entry_point: Sequence[str]
    command: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Project:
    """What pyproject.toml says about the project."""

    name: str
    version: str
    description: str
    licence: str
    authors: str


def project(file: Path = ROOT / "pyproject.toml") -> Project:
    """Return the facts that labels and names are made from."""
    table: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return Project(
        name=table["name"],
        version=table["version"],
        description=table["description"],
        licence=table["license"],
        authors=", ".join(author["name"] for author in table["authors"]),
    )


def manager(facts: Project) -> Image:
    """Return the operator's image."""
    return Image(
        reference=f"{REGISTRY}/{facts.name}/manager:{facts.version}",
        entry_point=("smbpctl",),
        command=("run",),
        labels=_labels(facts, facts.name, facts.version, facts.description),
        environment=ENVIRONMENT,
    )


def operands(facts: Project, versions: Sequence[str] = OPERAND_VERSIONS) -> list[Image]:
    """Return the images of the fake operand: one for each component and version."""
    return [
        Image(
            reference=f"{REGISTRY}/ditto-external/{component.image}:{version}",
            entry_point=("python3", "-m", "smbpctl.sandbox.member"),
            labels=_labels(facts, component.image, version, _FAKE.format(component.image)),
            environment={**ENVIRONMENT, "FAKE_VERSION": version},
        )
        for version in versions
        for component in COMPONENTS.values()
    ]


def pause(facts: Project) -> Image:
    """Return the image that keeps a pod's namespaces; its one file is `/pause`."""
    description = "Keeps the namespaces of a pod"
    return Image(
        reference=f"{REGISTRY}/{facts.name}/pause:{PAUSE_VERSION}",
        entry_point=("/pause",),
        labels=_labels(facts, "pause", PAUSE_VERSION, description),
    )


_FAKE = "Stands in for {} in tests: same ports, probes, paths and files, no data"


def _labels(facts: Project, title: str, version: str, description: str) -> Mapping[str, str]:
    """Return OCI's labels and those that the OpenShift certification asks for."""
    return {
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": facts.licence,
        "org.opencontainers.image.vendor": facts.authors,
        "org.opencontainers.image.authors": facts.authors,
        "name": title,
        "summary": description,
        "description": description,
        "version": version,
        "release": "1",
        "vendor": facts.authors,
        "maintainer": facts.authors,
    }
