"""Makes the lowest layer: a Debian root with Python and without shell or package manager."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hack.images import contents, debian, layers, trees
from hack.images.debian import Package
from hack.images.interpreter import Interpreter
from hack.images.platforms import Platform

TREE, LAYER, PACKAGE_LIST = "tree", "layer.tar.gz", "packages.txt"
"""What the folder of a finished root holds."""


def make(folder: Path, platform: Platform) -> None:
    """Make root, layer and list of packages in the empty `folder`."""
    tree = folder / TREE
    tree.mkdir()
    with TemporaryDirectory(dir=folder, prefix=".packages-") as scratch:
        packages = debian.download(Path(scratch))
        for package in packages:
            debian.unpack(package, tree)
        describe(tree, packages)
    trees.link(tree, contents.LINKS)
    trees.drop(tree, contents.ROOT_DROPPED)
    trees.add(tree, contents.ROOT_FILES)
    bundle_certificates(tree)
    python = Interpreter(tree, platform)
    python.compile(tree, f"/usr/lib/python{contents.PYTHON}")
    (folder / PACKAGE_LIST).write_text(package_list(packages), encoding="utf-8")
    made_by = f"Debian {contents.SUITE}"
    layers.write_layer(tree, folder / LAYER, made_by=made_by, compress=python.compress)


def describe(tree: Path, packages: Sequence[Package]) -> None:
    """Leave word in `tree` of what it is made of, for people and for image scanners."""
    place = trees.inside(tree, contents.PACKAGE_LIST)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(package_list(packages), encoding="utf-8")
    folder = trees.inside(tree, contents.PACKAGE_STATUS)
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        (folder / package.name).write_text(debian.control(package), encoding="utf-8")


def package_list(packages: Sequence[Package]) -> str:
    """Return one line `package=version` for each."""
    return "".join(f"{package.name}={package.version}\n" for package in packages)


def bundle_certificates(tree: Path) -> None:
    """Write the authorities of ca-certificates as the one file that OpenSSL reads, and drop them.

    What Debian's `update-ca-certificates` does at installation, where no script runs.
    """
    folder = trees.inside(tree, contents.CERTIFICATE_SOURCES)
    certificates = sorted(folder.rglob("*.crt"))
    bundle = trees.inside(tree, contents.CERTIFICATE_BUNDLE)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(certificate.read_bytes() for certificate in certificates))
    trees.drop(tree, (contents.CERTIFICATE_SOURCES,))
