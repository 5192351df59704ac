"""The Debian root tells what it is made of and trusts the authorities that Debian trusts."""

from pathlib import Path

from hack.images import contents, rootfs, trees
from hack.images.debian import Package


def test_certificates_become_one_file(tmp_path: Path) -> None:
    """Sorted, so that the file is the same every time; the sources go."""
    folder = trees.inside(tmp_path, contents.CERTIFICATE_SOURCES) / "mozilla"
    folder.mkdir(parents=True)
    (folder / "B.crt").write_text("second\n")
    (folder / "A.crt").write_text("first\n")
    (folder / "notes.txt").write_text("no certificate\n")

    rootfs.bundle_certificates(tmp_path)

    bundle = trees.inside(tmp_path, contents.CERTIFICATE_BUNDLE)
    assert bundle.read_text() == "first\nsecond\n"
    assert not trees.inside(tmp_path, contents.CERTIFICATE_SOURCES).exists()


def test_packages_are_listed_with_their_versions() -> None:
    """One line each, as they come."""
    packages = [Package("libc6", "2.41-1", Path("x")), Package("zlib1g", "1:1.3", Path("y"))]

    assert rootfs.package_list(packages) == "libc6=2.41-1\nzlib1g=1:1.3\n"
