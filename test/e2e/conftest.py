"""The real cluster that the tests of this folder run on, and what they do where there is none.

Programs and images are brought together before the first test runs and outside every timeout.
Where root, Go or something of the kernel is missing the tests are skipped with one line that says
what; where CI is "true" that is an error. After a failure the logs are kept.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from hack.cluster.assemble import GO_MISSING, BuildFailed, Parts, assemble
from hack.cluster.cluster import Cluster
from hack.cluster.prerequisites import problems
from test.e2e.stage import Stage
from test.support.real_parts import Session, about_to_run, mark

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ARTIFACTS = ROOT / ".artifacts" / "e2e"
TEST_TIMEOUT_SECONDS = 300
MANAGER_IMAGE = f"registry.test/smbpctl/manager:{version('smbpctl')}"
OPERAND_IMAGES = "registry.test/ditto-external"


SESSION = pytest.StashKey[Session]()
PARTS = pytest.StashKey[Parts]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the session's record."""
    config.stash[SESSION] = Session()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests before -m selects."""
    mark(items, HERE, "e2e", seconds=TEST_TIMEOUT_SECONDS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Bring everything together when any test of this folder is going to run."""
    if not about_to_run(session, HERE):
        return
    record = session.config.stash[SESSION]
    required = os.environ.get("CI") == "true"
    found = problems(Path(tempfile.gettempdir()))
    if found:
        record.lacks(f"no cluster to test on: {'; '.join(found)}", skip=not required)
        return
    try:
        session.config.stash[PARTS] = assemble()
    except BuildFailed as error:
        lacking = error.status == GO_MISSING
        record.lacks(f"no cluster to test on: {error}", skip=lacking and not required)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail without a cluster."""
    item.config.stash[SESSION].check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember failures, for the logs."""
    report = yield
    item.config.stash[SESSION].failed |= report.failed
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Keep the logs of a session with failures, and say where."""
    if config.stash[SESSION].keep_logs(ARTIFACTS):
        terminalreporter.write_line(f"cluster logs: {ARTIFACTS}")


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Parts:
    """The programs and images of a cluster."""
    return pytestconfig.stash[PARTS]


@pytest.fixture(scope="session")
def cluster(
    parts: Parts, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Cluster]:
    """Three nodes in three zones, with every image of ours, and nothing else."""
    made = Cluster(
        tmp_path_factory.mktemp("cluster"),
        programs=parts.programs,
        control_plane=parts.control_plane,
        images=parts.images,
    )
    pytestconfig.stash[SESSION].logs.append(made.files.logs)
    with made:
        yield made


@pytest.fixture(scope="session")
def stage(cluster: Cluster) -> Stage:
    """The cluster with the operator inside, deployed as `make deploy` does it."""
    deploy(cluster)
    return Stage(cluster)


def deploy(cluster: Cluster) -> str:
    """Deploy the operator from its image; return what was said."""
    command = [sys.executable, str(ROOT / "hack" / "deploy.py"), "up"]
    command += [f"--image={MANAGER_IMAGE}", f"--set=SMBPCTL_IMAGE_PREFIX={OPERAND_IMAGES}"]
    path = f"{cluster.plan.control_plane}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
    return answer.stdout
