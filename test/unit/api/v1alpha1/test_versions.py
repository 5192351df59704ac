"""The compatibility matrix."""

import pytest

from smbpctl.api.v1alpha1.versions import (
    SUPPORTED_LINES,
    ReleaseLine,
    explain,
    release_line,
    supported,
)


class TestSupported:
    @pytest.mark.parametrize("version", ["1.49.0", "1.49.99", "1.55.3", "1.63.2", "1.63.0-rc.1"])
    def test_lines_of_the_matrix(self, version: str) -> None:
        """Every release and pre-release of a supported line can be run."""
        assert supported(version)

    @pytest.mark.parametrize(
        "version", ["1.48.9", "1.64.0", "2.49.0", "0.55.0", "", "1.50", "a.b.c"]
    )
    def test_everything_else(self, version: str) -> None:
        """Older, newer and malformed versions are unknown: nothing is assumed to work."""
        assert not supported(version)

    def test_lines_are_without_gaps(self) -> None:
        """The matrix covers 1.49 to 1.63."""
        assert [str(line) for line in SUPPORTED_LINES] == [f"1.{n}" for n in range(49, 64)]


class TestReleaseLine:
    def test_minor_is_a_number(self) -> None:
        """Lines compare as numbers: 1.9 is older than 1.10."""
        older, newer = release_line("1.9.0"), release_line("1.10.0")

        assert older == ReleaseLine(1, 9)
        assert newer is not None
        assert older is not None
        assert older < newer

    @pytest.mark.parametrize("version", ["1.x.0", "v1.50.0", "1.-1.0", "\u0661.50.0"])
    def test_malformed(self, version: str) -> None:
        """Text that is no semantic version has no line."""
        assert release_line(version) is None


class TestExplain:
    @pytest.mark.parametrize(
        ("version", "said"),
        [
            ("1.63.2", "release line 1.63 is supported"),
            ("1.48.0", "the oldest supported line is 1.49"),
            ("1.64.0", "a newer operator is needed"),
            ("latest", "latest is no semantic version"),
        ],
    )
    def test_says_what_would_help(self, version: str, said: str) -> None:
        """The explanation names the line and the remedy."""
        assert said in explain(version)
