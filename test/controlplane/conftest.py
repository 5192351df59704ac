"""The real control plane that every test in this folder shares, and a namespace for each test.

The programs are built, once a version, before the first test runs and outside every timeout.
Without Go and without ready-made programs the tests are skipped with one line that says what to
install; where CI is "true" that is an error. After a failure the logs are kept.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.support.real_parts import Session, about_to_run, mark

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "hack" / "controlplane" / "build.py"
ARTIFACTS = ROOT / ".artifacts" / "controlplane"
TEST_TIMEOUT_SECONDS = 180
GO_NEEDED = 3  # exit status of build.py


SESSION = pytest.StashKey[Session]()
BINARIES = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the session's record."""
    config.stash[SESSION] = Session()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests before -m selects."""
    mark(items, HERE, "controlplane", seconds=TEST_TIMEOUT_SECONDS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the programs when any test of this folder is going to run."""
    if not about_to_run(session, HERE):
        return
    # stderr is passed through: a cold build takes minutes, and its progress must be seen.
    build = subprocess.run(
        [sys.executable, str(BUILD)], stdout=subprocess.PIPE, stderr=None, text=True, check=False
    )
    record = session.config.stash[SESSION]
    if build.returncode == 0:
        session.config.stash[BINARIES] = Path(build.stdout.splitlines()[-1])
    elif build.returncode == GO_NEEDED:
        problem = "no control plane to test against: install Go (go.mod says which)"
        record.lacks(problem, skip=os.environ.get("CI") != "true")
    else:
        problem = f"{BUILD.relative_to(ROOT)} ended with status {build.returncode}"
        record.lacks(problem, skip=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail without programs."""
    item.config.stash[SESSION].check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether any test of this folder failed."""
    report = yield
    item.config.stash[SESSION].failed |= report.failed
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Keep the logs of a session with failures, and say where."""
    if config.stash[SESSION].keep_logs(ARTIFACTS):
        terminalreporter.write_line(f"control plane logs: {ARTIFACTS}")


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """The programs of the Kubernetes version under test."""
    folder = pytestconfig.stash[BINARIES]
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    found = Binaries.in_directory(folder, Path(assets) if assets else None)
    found.check_versions()
    return found


@pytest.fixture(scope="session")
def control_plane(
    binaries: Binaries,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Iterator[ControlPlane]:
    """A control plane with controllers, shared by the whole session: leave nothing behind."""
    made = ControlPlane(binaries, tmp_path_factory.mktemp("controlplane"))
    pytestconfig.stash[SESSION].logs.append(made.logs)
    with made:
        yield made


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a namespace that only this test uses, with its default service account."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    # Pods are refused until the controller manager has made the account.
    control_plane.kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name)

    yield name

    # Not awaited: a pod bound to a node that does not exist never ends.
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
