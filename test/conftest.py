"""What all tests share: the options that rewrite recorded files, and the golden files."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from smbpctl.runtime.meta import Manifest
from test.support.golden import Golden, GoldenFiles, GoldenPlugin

HERE = Path(__file__).parent
GOLDEN_FILES = pytest.StashKey[GoldenFiles]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options; each rewrites files whose diff is then the review."""
    group = parser.getgroup("smbpctl")
    group.addoption("--update-golden", action="store_true", help="rewrite test/golden")
    group.addoption("--update-snapshots", action="store_true", help="rewrite recorded snapshots")


def pytest_configure(config: pytest.Config) -> None:
    """Watch over the golden files of this session."""
    update = bool(config.getoption("--update-golden"))
    files = GoldenFiles(HERE / "golden", root=HERE.parent, update=update)
    config.stash[GOLDEN_FILES] = files
    config.pluginmanager.register(GoldenPlugin(files), "golden-files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare manifests with `test/golden/<name>.yaml`; missing, stale and orphan files fail."""
    files = request.config.stash[GOLDEN_FILES]

    def compare(name: str, manifests: Sequence[Manifest]) -> None:
        files.compare(name, manifests, owner=request.path)

    return compare


@pytest.fixture
def update_snapshots(pytestconfig: pytest.Config) -> bool:
    """Tell whether recorded snapshots are to be rewritten instead of compared."""
    return bool(pytestconfig.getoption("--update-snapshots"))
