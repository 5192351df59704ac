"""What the operator can depend on: real CRDs of cert-manager and Strimzi, and a stage for them.

A module that installs or removes CRDs takes a control plane of its own:

    control_plane = own_control_plane()
    stage = own_stage()
    operator = one_operator()
"""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smbpctl.api.v1alpha1.schema import crd
from smbpctl.reconcilers.access import policy_rules
from smbpctl.resources.permissions import NAME, NAMESPACE, operator_permissions
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.bigpeer.stage import Nodes, Operator, Stage
from test.support.conversation import ROOT, wait_for

FETCH = ROOT / "hack" / "crds" / "fetch.py"
TOOL_NEEDED = 3  # exit status of fetch.py

# Fixtures fetch and build: only what a test itself does is held against the clock.
TIMEOUT = pytest.mark.timeout(180, func_only=True)


def crds(name: str, version: str = "*") -> Path:
    """Return the folder with the CRDs of a release, fetched when they are not there yet.

    Without the tools for that, skip; where CI is "true", fail.
    """
    folder, problem, fatal = _fetched(name)
    if problem and (fatal or os.environ.get("CI") == "true"):
        pytest.fail(problem, pytrace=False)
    if problem:
        pytest.skip(problem)
    (found,) = folder.glob(f"{name}-{version}")
    return found


@functools.cache
def _fetched(name: str) -> tuple[Path, str, bool]:
    """Return the cache folder, or what is wrong and whether it is worse than a missing tool."""
    command = [sys.executable, str(FETCH), name]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return Path(answer.stdout.splitlines()[-1]), "", False
    words = answer.stderr.strip()
    if answer.returncode == TOOL_NEEDED:
        return Path(), words.splitlines()[-1], False
    return Path(), f"{FETCH.relative_to(ROOT)} ended with status {answer.returncode}: {words}", True


def install(stage: Stage, folder: Path) -> None:
    """Put the CRDs of a folder into the cluster, again if need be, and wait until they serve."""
    files = ("-f", str(folder))
    stage.control_plane.kubectl("apply", "--server-side", *files)
    _established(stage.control_plane, *files)


def uninstall(stage: Stage, folder: Path) -> None:
    """Take the CRDs of a folder out of the cluster, and with them every object of theirs."""
    stage.control_plane.kubectl("delete", "--ignore-not-found", "-f", str(folder))


def _established(control_plane: ControlPlane, *crds: str) -> None:
    """Wait until CRDs serve; kubectl itself gives up on one that has no conditions yet."""
    command = ("wait", "--for=condition=Established", *crds)
    wait_for("CRDs", lambda: control_plane.kubectl(*command, check=False).returncode == 0)


def own_control_plane() -> object:
    """Return a fixture: a control plane that only this module writes to."""

    @pytest.fixture(scope="module", name="control_plane")
    def control_plane(
        binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[ControlPlane]:
        """A control plane without any CRD."""
        with ControlPlane(binaries, tmp_path_factory.mktemp("own-controlplane")) as made:
            yield made

    return control_plane


def own_stage() -> object:
    """Return a fixture: the stage on this module's control plane."""

    @pytest.fixture(scope="module", name="stage")
    def stage(
        control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Stage]:
        """CRD, rights and nodes; no operator runs yet."""
        logs = tmp_path_factory.mktemp("operators")
        with Nodes(control_plane) as nodes:
            made = Stage(control_plane, nodes, control_plane.kubeconfig, logs)
            made.apply(crd(), *operator_permissions(policy_rules()))
            _established(control_plane, "crd/bigpeers.smbpctl.dev")
            made.kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, NAME)
            yield made

    return stage


def one_operator() -> object:
    """Return a fixture: one operator for all tests of the module."""

    @pytest.fixture(scope="module", name="operator")
    def operator(stage: Stage) -> Iterator[Operator]:
        """The operator, running all the time."""
        with stage.operator() as running:
            yield running

    return operator
