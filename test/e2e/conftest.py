"""The real cluster that the tests of this folder run on, and what they do where there is none.

Programs and images are brought together before the first test runs and outside every timeout.
Where root, Go or something of the kernel is missing the tests are skipped with one line that says
what; where CI is "true" that is an error. After a failure the logs are kept.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

from hack.cluster.assemble import GO_MISSING, BuildFailed, Parts, assemble
from hack.cluster.cluster import Cluster
from hack.cluster.prerequisites import problems
from test.e2e.stage import Stage

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ARTIFACTS = ROOT / ".artifacts" / "e2e"
TEST_TIMEOUT_SECONDS = 300
MANAGER_IMAGE = f"registry.test/smbpctl/manager:{version('smbpctl')}"
OPERAND_IMAGES = "registry.test/ditto-external"


@dataclass
class Session:
    """What happened so far in this test session."""

    parts: Parts | None = None
    problem: str = ""
    skip: bool = False
    failed: bool = False
    logs: list[Path] = field(default_factory=list)


SESSION = pytest.StashKey[Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the session's record."""
    config.stash[SESSION] = Session()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests before -m selects, and give them time for real machines."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.e2e)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_SECONDS))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Bring everything together when any test of this folder is going to run."""
    if session.config.option.collectonly:
        return
    if not any(HERE in item.path.parents for item in session.items):
        return
    record = session.config.stash[SESSION]
    required = os.environ.get("CI") == "true"
    found = problems(Path(os.environ.get("TMPDIR", "/tmp")))
    if found:
        record.problem, record.skip = "; ".join(found), not required
        return
    try:
        record.parts = assemble()
    except BuildFailed as error:
        record.problem = str(error)
        record.skip = error.status == GO_MISSING and not required


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail without a cluster; equal reasons make one line of the summary."""
    record = item.config.stash[SESSION]
    if record.skip:
        pytest.skip(f"no cluster to test on: {record.problem}")
    if record.problem:
        pytest.fail(f"no cluster to test on: {record.problem}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember failures, for the logs."""
    report = yield
    if report.failed:
        item.config.stash[SESSION].failed = True
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the logs of a session with a failure."""
    record = session.config.stash[SESSION]
    if not record.failed:
        return
    for number, logs in enumerate(record.logs):
        shutil.copytree(logs, ARTIFACTS / str(number), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Parts:
    """The programs and images of a cluster."""
    found = pytestconfig.stash[SESSION].parts
    assert found is not None
    return found


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
