"""Packages come from this machine's Debian mirror, and only those that somebody decided on."""

from pathlib import Path

import pytest

from hack.images import debian
from hack.images.contents import LEFT_OUT, PACKAGES, SUITE
from hack.images.debian import Package, chosen, source_lines
from hack.images.refusals import UNAVAILABLE, Refused


def packages(*names: str) -> list[Package]:
    """Packages as they were downloaded."""
    return [Package(name, "1", Path(f"{name}.deb")) for name in names]


class TestChosen:
    """The list is whole: nothing comes in or stays out by chance."""

    def test_the_list_by_name(self) -> None:
        """What is left out is left out, in any order of download."""
        found = chosen(packages(*reversed(PACKAGES), *LEFT_OUT))

        assert [package.name for package in found] == sorted(PACKAGES)

    def test_a_new_dependency_is_refused_by_name(self) -> None:
        """Somebody must decide whether it belongs into the image."""
        with pytest.raises(Refused, match=r"new \['libnew1'\]"):
            chosen(packages(*PACKAGES, "libnew1"))

    def test_a_package_that_is_gone_is_refused_by_name(self) -> None:
        """An image that lacks a library must not be built."""
        with pytest.raises(Refused, match=r"missing \['libc6'\]"):
            chosen(packages(*(name for name in PACKAGES if name != "libc6")))

    def test_both_lists_are_apart(self) -> None:
        """A package is either in or out, once."""
        names = [*PACKAGES, *LEFT_OUT]

        assert len(names) == len(set(names))


class TestSources:
    """The mirror is apt's; only the release is ours."""

    def test_mirrors_of_the_host_serve_our_release(self) -> None:
        """Each part of a release may have its own mirror; other repositories do not count."""
        targets = [
            "http://mirror.test/debian/ bookworm",
            "http://mirror.test/debian/ bookworm-updates",
            "http://security.test/debian-security/ bookworm-security",
            "https://packages.test/node nodistro",
        ]

        assert source_lines(targets, "bookworm") == [
            f"deb http://mirror.test/debian/ {SUITE} main",
            f"deb http://mirror.test/debian/ {SUITE}-updates main",
            f"deb http://security.test/debian-security/ {SUITE}-security main",
        ]

    def test_a_mirror_without_security_is_enough(self) -> None:
        """What the host does not have is not made up."""
        assert source_lines(["http://m.test/debian sid"], "sid") == [
            f"deb http://m.test/debian {SUITE} main"
        ]

    @pytest.mark.parametrize(
        ("targets", "release"),
        [([], "bookworm"), (["http://m.test/ubuntu noble"], ""), (["http://m.test x"], "y")],
    )
    def test_no_debian_mirror_leaves_it_to_mmdebstrap(
        self, targets: list[str], release: str
    ) -> None:
        """On another distribution mmdebstrap knows where Debian is."""
        assert source_lines(targets, release) == []


class TestDownload:
    """What is missing is said in one line, with status 3."""

    def test_without_mmdebstrap(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The package to install is named."""
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(Refused, match="install the package mmdebstrap") as caught:
            debian.download(tmp_path)

        assert caught.value.status == UNAVAILABLE

    def test_without_a_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What apt said is passed on."""
        tool = tmp_path / "mmdebstrap"
        tool.write_text("#!/bin/sh\necho 'E: Could not connect to mirror.test:80' >&2\nexit 25\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(Refused, match=r"cannot get Debian .*\n.*mirror\.test:80") as caught:
            debian.download(tmp_path)

        assert caught.value.status == UNAVAILABLE

    def test_it_asks_for_the_list_from_the_mirrors(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """mmdebstrap gets every package by name, and only unpacks."""
        tool = tmp_path / "mmdebstrap"
        tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(Refused, match="missing"):
            debian.download(tmp_path)

        arguments = (tmp_path / "arguments").read_text().splitlines()
        assert "--variant=extract" in arguments
        assert f"--include={','.join(PACKAGES)}" in arguments
        assert arguments[-2:] == [SUITE, str(tmp_path / "unused")]
